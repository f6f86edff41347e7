import { TsboxError } from "../base/error.ts";
import { Cgroup } from "../cgroup/group.ts";
import type { ContainerRecord } from "../container/record.ts";
import { isUp } from "../container/state.ts";
import { processStartTime } from "../sys/process.ts";
import { containerIdentity } from "./container-identity.ts";
import { containerState, noteEvent, tell } from "./container-state.ts";
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
  // its monitor removes it, and may be done by now
  if (!(record.autoRemove && state.pid !== 0)) noteRemover(engine, record, options.volumes ?? false);
  engine.containers.releaseName(record);
  // its monitor has removed it, if it was not killed
  if (state.cgroup !== "") new Cgroup(state.cgroup).remove();
  await removeTrees(engine, [engine.containers.dir(record.id)], containerIdentity(engine, record));
  tell(engine, record, "destroy");
  const anonymous = record.mounts.flatMap((mount) => (mount.anonymous && mount.name ? [mount.name] : []));
  if (options.volumes && anonymous.length > 0) {
    const { removeUnused } = await import("./volumes.ts");
    await removeUnused(engine, anonymous);
  }
  return record;
}

/** Others see that somebody is at work on it; and, if we are killed, that nobody is. */
function noteRemover(engine: Engine, record: ContainerRecord, volumes: boolean): void {
  const own = { pid: process.pid, startTime: processStartTime(process.pid) ?? "", boot: engine.host.bootID };
  noteEvent(engine, record, { event: "removing", volumes, ...own });
}

/** For `--replace`. */
export async function removeIfPresent(engine: Engine, name: string): Promise<void> {
  try {
    await remove(engine, name, { force: true, volumes: true });
  } catch (error) {
    if (!(error instanceof TsboxError) || error.code !== "NO_SUCH_CONTAINER") throw error;
  }
}
