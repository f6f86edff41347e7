import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { TsboxError } from "../base/error.ts";
import { Cgroup } from "../cgroup/group.ts";
import { type ContainerRecord, RESTART_POLICY } from "../container/record.ts";
import { type ContainerState, isUp } from "../container/state.ts";
import { readText } from "../sys/host-facts.ts";
import { sendSignal, waitForExit } from "../sys/native.ts";
import { isAlive } from "../sys/process.ts";
import { containerState, tell } from "./container-state.ts";
import type { Engine } from "./engine.ts";
import { signalNumber } from "./signals.ts";
import { markStopped } from "./start.ts";
import { untilEnded } from "./wait.ts";

const SIGKILL = 9;
const SIGTERM = 15;
/** Milliseconds that a monitor may take to end. */
const PATIENCE = 5000;

/** Sends the container's stop signal, and SIGKILL if it has not ended after `timeout` milliseconds. One that does not run is left as it is. */
export async function stop(
  engine: Engine,
  word: string,
  options: { timeout?: number; signal?: string } = {},
): Promise<ContainerRecord> {
  const record = engine.containers.find(word);
  await stopRecord(
    engine,
    record,
    options.timeout ?? record.stopTimeout ?? Number.POSITIVE_INFINITY,
    options.signal ?? record.stopSignal,
  );
  return record;
}

export async function stopRecord(
  engine: Engine,
  record: ContainerRecord,
  timeout: number,
  signal: string,
  why: "stop" | "keep" = "stop",
): Promise<void> {
  const state = containerState(engine, record);
  if (state.status === "restarting") {
    markStopped(engine, record, why);
    sendSignal(state.monitor, state.monitorStartTime, SIGTERM);
    await waitForExit(state.monitor, state.monitorStartTime, PATIENCE);
    // it may have been on its way to the next run
    if (isUp(containerState(engine, record))) await stopRecord(engine, record, timeout, signal, why);
    return;
  }
  if (!isUp(state)) {
    // it may have been on its way to the next run
    if (await announceStop(engine, record, state, why)) await stopRecord(engine, record, timeout, signal, why);
    return;
  }
  markStopped(engine, record, why);
  // what stands still hears no signal but SIGKILL
  if (state.status === "paused" && signalNumber(signal) !== SIGKILL)
    await (await import("./pause.ts")).unpause(engine, record.id);
  tell(engine, record, "kill", { signal: String(signalNumber(signal)) });
  if (signalNumber(signal) === SIGKILL) killAll(state);
  else sendSignal(state.pid, state.startTime, signalNumber(signal));
  if (!(await untilEnded(engine, record, state, timeout))) {
    tell(engine, record, "kill", { signal: String(SIGKILL) });
    killAll(state);
    await untilEnded(engine, record, state, Number.POSITIVE_INFINITY);
  }
  tell(engine, record, "stop");
}

/** Between an end and the next run by a policy a monitor says nothing for a moment: it is told of the stop. True: it has gone on nevertheless. */
async function announceStop(
  engine: Engine,
  record: ContainerRecord,
  state: ContainerState,
  why: "stop" | "keep",
): Promise<boolean> {
  const policy = readText(join(engine.containers.dir(record.id), RESTART_POLICY)).trim();
  const isThere = () => isAlive(state.monitor, state.monitorStartTime);
  if (state.status !== "exited" || policy === "" || policy === "no" || !isThere()) return false;
  markStopped(engine, record, why);
  for (const deadline = performance.now() + PATIENCE; isThere() && performance.now() < deadline; await sleep(5)) {
    if (containerState(engine, record).status !== "exited") return true;
  }
  return false;
}

/** The first process takes the others of its namespace with it; a cgroup ends all of them in one step. */
function killAll(state: ContainerState): void {
  sendSignal(state.pid, state.startTime, SIGKILL);
  if (state.cgroup !== "") new Cgroup(state.cgroup).kill();
}

/** Sends one signal to a running container's first process; SIGKILL, which nothing survives, until it has ended. */
export async function kill(engine: Engine, word: string, signal: string): Promise<ContainerRecord> {
  const number = signalNumber(signal);
  const record = engine.containers.find(word);
  const state = containerState(engine, record);
  if (!isUp(state)) {
    throw new TsboxError(`Cannot kill container "${record.name}": state is "${state.status}", expected "running"`, {
      code: "NOT_RUNNING",
      exitCode: 1,
    });
  }
  // as docker: who sends what ends it does not want it started again
  if (number === SIGKILL || number === signalNumber(record.stopSignal)) markStopped(engine, record);
  tell(engine, record, "kill", { signal: String(number) });
  if (number === SIGKILL) {
    killAll(state);
    await untilEnded(engine, record, state, PATIENCE);
  } else sendSignal(state.pid, state.startTime, number);
  return record;
}
