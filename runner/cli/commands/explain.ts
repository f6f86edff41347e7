import { explain, type FailedEvent } from "../../engine/explain.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb } from "../verb.ts";

/** Hidden: the helper executes this with its failing event when set-up failed after Node was replaced. */
export default defineVerb({
  name: "explain",
  usage: "EVENT",
  summary: "Say what a failing event of the helper means.",
  flags: {},
  words: { min: 1, max: 1 },
  startsProgram: true,
  examples: [],
  async act({ words }) {
    throw explain(readEvent(words.at(-1) ?? ""));
  },
});

function readEvent(text: string): FailedEvent {
  try {
    const event = JSON.parse(text) as Partial<FailedEvent>;
    if (event.event === "failed" && typeof event.message === "string") {
      return { op: "", index: 0, of: 0, path: "", errno: "", exitCode: 125, time: "0", ...event } as FailedEvent;
    }
  } catch {
    // Said below.
  }
  throw new UsageError("Cannot explain the event: it is not a failing event of the helper");
}
