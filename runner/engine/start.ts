import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import { type ContainerRecord, STOP_MARK } from "../container/record.ts";
import type { ContainerState } from "../container/state.ts";
import { faceWords } from "../helper/wire.ts";
import { isAlive } from "../sys/process.ts";
import { attachedFace, becomeHelper, DEFAULT_DETACH_KEYS } from "./become-helper.ts";
import { containerState, noteEvent, tell } from "./container-state.ts";
import type { Engine } from "./engine.ts";
import { explainCommand } from "./explain-command.ts";

/** Starts a container in the background: its files, name and hostname are those of before. One that runs is left as it is. */
export async function start(engine: Engine, word: string): Promise<ContainerRecord> {
  const record = engine.containers.find(word);
  const state = containerState(engine, record);
  if (state.status === "running") return record;
  await makeReady(engine, record, state);
  await startDetached(engine, record);
  return record;
}

/** Whether it shares a namespace of another container, which must run first. */
export function needsOthers(engine: Engine, word: string): boolean {
  try {
    const { network, sharing = {} } = engine.containers.find(word);
    return [network, ...Object.values(sharing)].some((from) => from.startsWith("container:"));
  } catch {
    return false; // told by start()
  }
}

/** Starts one container and becomes its first client; a running one is attached to. */
export async function startAttached(
  engine: Engine,
  word: string,
  options: { stdin: boolean; keys?: number[] | undefined; signalProxy: boolean },
): Promise<never> {
  const record = engine.containers.find(word);
  const state = containerState(engine, record);
  if (state.status === "running") {
    const { attach } = await import("./attach.ts");
    return attach(engine, word, options);
  }
  await makeReady(engine, record, state);
  const face = attachedFace({ tty: record.tty, stdin: options.stdin, keys: options.keys ?? DEFAULT_DETACH_KEYS });
  const flags = [...(face.attached?.flags ?? []), ...(options.signalProxy ? [] : ["leave" as const])];
  const passing = {
    attached: { keys: [], ...face.attached, flags },
    signalProxy: !record.tty && options.signalProxy,
  };
  becomeHelper(planPath(engine, record), ...faceWords({ ...face, ...passing, onFailure: explainCommand() }));
}

/** Stops a container as `stop` does, and starts it in the background. */
export async function restart(
  engine: Engine,
  word: string,
  options: { timeout?: number; signal?: string },
): Promise<ContainerRecord> {
  const { stopRecord } = await import("./stop.ts");
  const record = engine.containers.find(word);
  await stopRecord(
    engine,
    record,
    options.timeout ?? record.stopTimeout ?? Number.POSITIVE_INFINITY,
    options.signal ?? record.stopSignal,
    "keep",
  );
  await letGo(engine, record);
  await startDetached(engine, record);
  tell(engine, record, "restart");
  return record;
}

/** Says that somebody stops the container on purpose: no policy starts it again. `keep`: nor is it removed at its end, because it will be started. */
export function markStopped(engine: Engine, record: ContainerRecord, why: "stop" | "keep" = "stop"): void {
  try {
    writeFileSync(join(engine.containers.dir(record.id), STOP_MARK), why, { mode: 0o600 });
  } catch (error) {
    // it has just removed itself
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

async function makeReady(engine: Engine, record: ContainerRecord, state: ContainerState): Promise<void> {
  if (state.status === "paused") {
    throw new TsboxError(`Cannot start container "${record.name}": state is "paused", expected "created" or "exited"`, {
      code: "PAUSED",
      hint: `"tsbox unpause ${record.name}" lets it go on`,
      exitCode: 1,
    });
  }
  if (state.status === "restarting") {
    const { stopRecord } = await import("./stop.ts");
    await stopRecord(engine, record, 0, "SIGKILL", "keep");
  }
  await letGo(engine, record);
}

/** Milliseconds that the monitor of the run before may take to end. */
const PATIENCE = 5000;

/** Takes the mark of a stop away. The monitor of the run before must have read it by then: it would start the program again, or remove its files. */
async function letGo(engine: Engine, record: ContainerRecord): Promise<void> {
  const { monitor, monitorStartTime } = containerState(engine, record);
  if (monitor !== 0 && isAlive(monitor, monitorStartTime)) {
    const { waitForExit } = await import("../sys/native.ts");
    await waitForExit(monitor, monitorStartTime, PATIENCE);
  }
  // the host's may be others by now
  if (record.network === "host") {
    const { resolvConf } = await import("./resolv-conf.ts");
    writeFileSync(join(engine.containers.dir(record.id), "resolv.conf"), resolvConf(record.network, record.dns));
  }
  noteEvent(engine, record, "start");
  rmSync(join(engine.containers.dir(record.id), STOP_MARK), { force: true });
}

async function startDetached(engine: Engine, record: ContainerRecord): Promise<void> {
  const { runHelper } = await import("../helper/client.ts");
  const { code, failed, stderr } = await runHelper(planPath(engine, record), faceWords({ detach: true }));
  if (code === 0) return;
  const { explain } = await import("./explain.ts");
  if (failed) throw explain(failed);
  throw new TsboxError(`Cannot start container "${record.name}": ${stderr || `the helper ended with status ${code}`}`, {
    code: "START_FAILED",
  });
}

function planPath(engine: Engine, record: ContainerRecord): string {
  return join(engine.containers.dir(record.id), "plan");
}
