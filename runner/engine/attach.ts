import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import { helperPath } from "../helper/locate.ts";
import { replaceProcess } from "../sys/native.ts";
import { DEFAULT_DETACH_KEYS } from "./become-helper.ts";
import { containerState, tell } from "./container-state.ts";
import type { Engine } from "./engine.ts";
import { findRunning } from "./running.ts";

/** `tsbox attach`: becomes a client of the container's monitor, beside others. */
export function attach(
  engine: Engine,
  word: string,
  options: { stdin: boolean; keys?: number[] | undefined; signalProxy: boolean },
): never {
  const record = engine.containers.find(word);
  const { status } = containerState(engine, record);
  if (status !== "running") {
    throw new TsboxError(`Cannot attach to container "${record.name}": state is "${status}", expected "running"`, {
      code: "NOT_RUNNING",
      hint:
        status === "paused" ? `"tsbox unpause ${record.name}" lets it go on` : `"tsbox start -a" starts and attaches`,
      exitCode: 1,
    });
  }
  tell(engine, record, "attach");
  const { tty, openStdin } = record;
  return replaceProcess(helperPath(), [
    "tsbox-helper",
    "attach",
    join(engine.containers.dir(record.id), "attach"),
    tty ? (options.keys ?? DEFAULT_DETACH_KEYS).join(",") : "",
    ...(options.stdin && openStdin ? ["stdin"] : []),
    ...(tty ? ["terminal"] : []),
    ...(options.signalProxy && !tty ? ["signal-proxy"] : []),
  ]);
}

/** `tsbox healthcheck run`: has the monitor check now, and ends with the verdict. */
export function checkHealth(engine: Engine, word: string): never {
  const { record } = findRunning(engine, word, "check the health of");
  if (!record.healthcheck) {
    throw new TsboxError(`Cannot check the health of container "${record.name}": it has no health check`, {
      code: "NO_HEALTHCHECK",
      hint: "--health-cmd of run and create names one",
    });
  }
  const socket = join(engine.containers.dir(record.id), "attach");
  return replaceProcess(helperPath(), ["tsbox-helper", "attach", socket, "", "health"]);
}
