/** `--health-…`: what of an image's health check is changed. */

import type { HealthOptions } from "../../engine/run-options.ts";
import { boolean, choice, duration, type Flags, type FlagValues, number, string, value } from "../flags.ts";
import { parseDuration } from "../units.ts";
import { UsageError } from "../usage-error.ts";

const HEALTH = "Health";

export const HEALTH_FLAGS = {
  healthCmd: string({
    placeholder: "COMMAND",
    group: HEALTH,
    help: 'a shell\'s line that succeeds where all is well, or a JSON list; "none" for none',
  }),
  healthInterval: value(parseInterval, {
    placeholder: "TIME",
    group: HEALTH,
    help: "time between two checks (default 30s)",
  }),
  healthTimeout: duration({ group: HEALTH, help: "time after which a check has failed (default 30s)" }),
  healthRetries: number({ min: 1, group: HEALTH, help: "failures in a row that make it unhealthy (default 3)" }),
  healthStartPeriod: duration({ group: HEALTH, help: "time in which failures do not count yet (default 0s)" }),
  healthStartInterval: duration({ group: HEALTH, help: "time between two checks meanwhile (default 5s)" }),
  healthOnFailure: choice(["none", "kill", "restart", "stop"], {
    group: HEALTH,
    help: "what is done to a container that has become unhealthy (default none)",
  }),
  noHealthcheck: boolean({ group: HEALTH, help: "leave out the image's check" }),
} satisfies Flags;

export function readHealth(flags: FlagValues<typeof HEALTH_FLAGS>): HealthOptions | undefined {
  const interval = flags.healthInterval;
  const given: Omit<HealthOptions, "disabled"> = {
    ...(flags.healthCmd !== undefined && { test: parseTest(flags.healthCmd) }),
    ...(typeof interval === "number" && { interval }),
    ...(flags.healthTimeout !== undefined && { timeout: Math.max(1, flags.healthTimeout) }),
    ...(flags.healthRetries !== undefined && { retries: flags.healthRetries }),
    ...(flags.healthStartPeriod !== undefined && { startPeriod: flags.healthStartPeriod }),
    ...(flags.healthStartInterval !== undefined && { startInterval: Math.max(1, flags.healthStartInterval) }),
    ...(flags.healthOnFailure !== undefined && { onFailure: flags.healthOnFailure }),
  };
  const many = Object.keys(given).length > 0;
  if (flags.noHealthcheck) {
    if (many) throw new UsageError("Cannot use --no-healthcheck together with other --health flags");
    return { disabled: true };
  }
  if (interval === "disable") return { disabled: true };
  return many ? { disabled: false, ...given } : undefined;
}

/** podman: `disable` for no checks but those of "healthcheck run". */
function parseInterval(text: string): number | "disable" {
  return text === "disable" ? text : Math.max(1, parseDuration(text));
}

function parseTest(text: string): string[] {
  if (text === "none" || text === "") return ["NONE"];
  if (!text.startsWith("[")) return ["CMD-SHELL", text];
  try {
    const words: unknown = JSON.parse(text);
    if (Array.isArray(words) && words.length > 0 && words.every((word) => typeof word === "string")) {
      return ["CMD", "CMD-SHELL", "NONE"].includes(words[0] ?? "") ? words : ["CMD", ...words];
    }
  } catch {
    // said below
  }
  throw new UsageError("Cannot read --health-cmd: a JSON list holds words in double quotes");
}
