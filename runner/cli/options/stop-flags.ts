import { value } from "../flags.ts";
import { parseSignal } from "./signal.ts";
import { parseStopTimeout } from "./stop-timeout.ts";

/** How a container is asked to end: of every verb that does. */
export const STOP_FLAGS = {
  timeout: value(parseStopTimeout, {
    short: "t",
    aliases: ["time"],
    placeholder: "SECONDS",
    help: "time before SIGKILL (default 10, or the container's own); -1 waits for ever",
  }),
  signal: value(parseSignal, {
    short: "s",
    placeholder: "SIGNAL",
    help: "send this signal instead of the stop signal",
  }),
};

export function stopOptions(flags: { timeout: number | undefined; signal: string | undefined }): {
  timeout?: number;
  signal?: string;
} {
  return {
    ...(flags.timeout === undefined ? {} : { timeout: flags.timeout }),
    ...(flags.signal === undefined ? {} : { signal: flags.signal }),
  };
}
