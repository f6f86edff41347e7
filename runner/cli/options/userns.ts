/** `--userns keep-id[:uid=N,gid=N]`. `host` and the empty word mean the default, as in rootless podman: root inside is you. */

import type { KeepId } from "../../engine/run-options.ts";
import { UsageError } from "../usage-error.ts";

export function parseUserns(text: string): KeepId | undefined {
  if (text === "" || text === "host") return undefined;
  const [, mode = text, rest] = /^([^:]*):(.*)$/.exec(text) ?? [];
  if (mode !== "keep-id") throw new UsageError("expected keep-id[:uid=N,gid=N] or host");
  const keep: KeepId = { mode };
  for (const part of rest === undefined ? [] : rest.split(",")) {
    const match = /^(uid|gid)=(\d{1,10})$/.exec(part);
    const id = Number(match?.[2]);
    // 2³²-1 is the kernel's "no id".
    if (match === null || id >= 0xffff_ffff) throw new UsageError(`expected uid=N or gid=N, got "${part}"`);
    keep[match[1] === "uid" ? "uid" : "gid"] = id;
  }
  return keep;
}
