import { TsboxError } from "../base/error.ts";
import type { ContainerRecord } from "../container/record.ts";
import { isUp } from "../container/state.ts";
import { containerIdentity } from "./container-identity.ts";
import { containerState, tell } from "./container-state.ts";
import type { Engine } from "./engine.ts";
import { removeTrees } from "./remove-trees.ts";
import { stopRecord } from "./stop.ts";

/** Removes a container with its files; a running one only with `force`, which kills it. `volumes`: its anonymous ones as well. */
export async function remove(
  engine: Engine,
  word: string,
  options: { force: boolean; volumes?: boolean; timeout?: number },
): Promise<ContainerRecord> {
  const record = engine.containers.find(word);
  const state = containerState(engine, record);
  if (isUp(state) || state.status === "restarting") {
    if (!options.force) {
      throw new TsboxError(`Cannot remove container "${record.name}": state is "${state.status}", expected "exited"`, {
        code: "RUNNING",
        hint: `stop it first, or use "tsbox rm -f ${record.name}"`,
        exitCode: 1,
      });
    }
    const { timeout } = options;
    await stopRecord(engine, record, timeout ?? 0, timeout === undefined ? "SIGKILL" : record.stopSignal);
  }
  engine.containers.releaseName(record);
  await removeTrees(engine, [engine.containers.dir(record.id)], containerIdentity(engine, record));
  tell(engine, record, "destroy");
  const anonymous = record.mounts.flatMap((mount) => (mount.anonymous && mount.name ? [mount.name] : []));
  if (options.volumes && anonymous.length > 0) {
    const { removeUnused } = await import("./volumes.ts");
    await removeUnused(engine, anonymous);
  }
  return record;
}

/** For `--replace`. */
export async function removeIfPresent(engine: Engine, name: string): Promise<void> {
  try {
    await remove(engine, name, { force: true, volumes: true });
  } catch (error) {
    if (!(error instanceof TsboxError) || error.code !== "NO_SUCH_CONTAINER") throw error;
  }
}
