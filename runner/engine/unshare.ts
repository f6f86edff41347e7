import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodePlan } from "../helper/wire.ts";
import { storePlan } from "../plan/build.ts";
import { ALL_CAPABILITIES } from "../plan/capabilities.ts";
import type { Engine } from "./engine.ts";
import { explainCommand } from "./explain-command.ts";
import { becomeHelper } from "./run.ts";

/** `tsbox unshare`: a command (the shell by default) in the user namespace of the store, where files of subordinate ids are root's. */
export function unshare(engine: Engine, argv: string[]): never {
  const command = argv.length > 0 ? argv : [process.env.SHELL || "/bin/sh"];
  const folder = mkdtempSync(join(tmpdir(), "tsbox-"));
  const plan = storePlan(engine.identity(), [
    { op: "private-mounts" },
    {
      op: "capabilities",
      bounding: ALL_CAPABILITIES,
      effective: ALL_CAPABILITIES,
      permitted: ALL_CAPABILITIES,
      inheritable: 0n,
      ambient: 0n,
    },
    { op: "user", uid: 0, gid: 0, groups: [] },
    { op: "cwd", path: engine.host.cwd },
    { op: "env", variables: Object.entries(process.env).map(([name, value]) => `${name}=${value}`) },
    { op: "exec", argv: command },
  ]);
  const path = join(folder, "plan");
  writeFileSync(path, encodePlan({ ...plan, cleanup: [folder], onFailure: explainCommand() }), { mode: 0o600 });
  becomeHelper(path);
}
