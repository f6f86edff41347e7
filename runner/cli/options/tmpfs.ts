/** `--tmpfs TARGET[:OPTIONS]`, with the options of mount(8) for tmpfs. */

import type { TmpfsMount } from "../../engine/run-options.ts";
import { UsageError } from "../usage-error.ts";
import { isMountFlag, mountTarget } from "./mount-target.ts";

const WITH_VALUE = new Set(["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "huge", "mpol"]);

/** podman's words for what is the case here anyway. */
const WITHOUT_EFFECT = new Set(["notmpcopyup", "defaults", "private", "rprivate"]);

export function parseTmpfs(text: string): TmpfsMount {
  const colon = text.indexOf(":");
  const target = mountTarget(colon < 0 ? text : text.slice(0, colon));
  const mount: TmpfsMount = { type: "tmpfs", target, readOnly: false, options: [], flags: [] };
  const options = colon < 0 ? "" : text.slice(colon + 1);
  for (const option of options === "" ? [] : options.split(",")) {
    const [key = "", value] = option.split("=", 2);
    if (option === "ro" || option === "rw") mount.readOnly = option === "ro";
    else if (isMountFlag(option)) mount.flags.push(option);
    else if (option === "tmpcopyup") mount.copy = true;
    else if (WITHOUT_EFFECT.has(option)) continue;
    else if (WITH_VALUE.has(key) && value) mount.options.push(option);
    else {
      const known = `ro, rw, noexec, nosuid, nodev, tmpcopyup, ${[...WITH_VALUE].map((name) => `${name}=…`).join(", ")}`;
      throw new UsageError(`unknown option "${option}", expected ${known}`);
    }
  }
  return mount;
}
