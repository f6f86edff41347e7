import type { NetworkMode } from "../../engine/run-options.ts";
import { UsageError } from "../usage-error.ts";

export function parseNetwork(text: string): NetworkMode {
  if (text === "none" || text === "host") return text;
  throw new UsageError("expected none or host", {
    hint: '"none" has the loopback only; "host" shares the host\'s network',
  });
}
