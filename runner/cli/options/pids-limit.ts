import { UsageError } from "../usage-error.ts";

/** As docker and podman: 0 and -1 are no limit. */
export function parsePidsLimit(text: string): number {
  if (text === "-1") return 0;
  const limit = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(limit <= 0x7fffffff)) throw new UsageError("expected a whole number, or -1 for no limit");
  return limit;
}
