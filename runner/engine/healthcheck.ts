import { TsboxError } from "../base/error.ts";
import type { Healthcheck } from "../container/record.ts";
import type { HealthOptions } from "./run-options.ts";

/** Docker's defaults, in milliseconds. */
const DEFAULTS = { interval: 30_000, timeout: 30_000, startPeriod: 0, startInterval: 5_000, retries: 3 };

const NANOSECONDS = 1_000_000;

/** As an image's config has it: times in nanoseconds, 0 for the default. */
interface ImageHealthcheck {
  Test?: string[];
  Interval?: number;
  Timeout?: number;
  StartPeriod?: number;
  StartInterval?: number;
  Retries?: number;
}

/** The flags' health check, or the image's with what the flags change of it; undefined where none is wanted. */
export function healthcheckOf(flags: HealthOptions | undefined, image: object | undefined): Healthcheck | undefined {
  const test = flags?.test ?? (image as ImageHealthcheck | undefined)?.Test ?? [];
  const [kind, ...words] = test;
  if (flags?.disabled || kind === undefined || kind === "NONE") {
    if (flags && !flags.disabled && kind === undefined) {
      throw new TsboxError("Cannot check the container's health: the image has no check, and --health-cmd names none", {
        code: "NO_HEALTHCHECK",
        hint: '--health-cmd "curl -f http://localhost/"',
      });
    }
    return undefined;
  }
  const found = (image ?? {}) as ImageHealthcheck;
  const time = (nanoseconds: number | undefined) => (nanoseconds ? nanoseconds / NANOSECONDS : undefined);
  const command = kind === "CMD" ? words : kind === "CMD-SHELL" ? ["/bin/sh", "-c", words.join(" ")] : test;
  if (command.length === 0) {
    throw new TsboxError("Cannot check the container's health: the check has no command", { code: "NO_HEALTHCHECK" });
  }
  return {
    command,
    interval: flags?.interval ?? time(found.Interval) ?? DEFAULTS.interval,
    timeout: flags?.timeout ?? time(found.Timeout) ?? DEFAULTS.timeout,
    startPeriod: flags?.startPeriod ?? time(found.StartPeriod) ?? DEFAULTS.startPeriod,
    startInterval: flags?.startInterval ?? time(found.StartInterval) ?? DEFAULTS.startInterval,
    retries: flags?.retries ?? (found.Retries || DEFAULTS.retries),
    onFailure: flags?.onFailure ?? "none",
  };
}
