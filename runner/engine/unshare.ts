import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodePlan } from "../helper/wire.ts";
import { storePlan, storeRootOps } from "../plan/build.ts";
import { becomeHelper } from "./become-helper.ts";
import type { Engine } from "./engine.ts";
import { explainCommand } from "./explain-command.ts";

/** `tsbox unshare`: a command (the shell by default) in the user namespace of the store, where files of subordinate ids are root's. */
export function unshare(engine: Engine, argv: string[]): never {
  const command = argv.length > 0 ? argv : [process.env.SHELL || "/bin/sh"];
  const folder = mkdtempSync(join(tmpdir(), "tsbox-"));
  const plan = storePlan(engine.identity(), [
    ...storeRootOps(),
    { op: "cwd", path: engine.host.cwd },
    { op: "env", variables: Object.entries(process.env).map(([name, value]) => `${name}=${value}`) },
    { op: "exec", argv: command },
  ]);
  const path = join(folder, "plan");
  writeFileSync(path, encodePlan({ ...plan, cleanup: [folder], onFailure: explainCommand() }), { mode: 0o600 });
  becomeHelper(path);
}
