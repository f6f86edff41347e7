import { UsageError } from "../usage-error.ts";

/** `--restart POLICY` in the words that the monitor reads; empty: never. */
export function parseRestart(text: string): string {
  const found = /^(no|always|unless-stopped|on-failure)(?::(\d+))?$/.exec(text);
  const [, policy = "", most] = found ?? [];
  if (found === null || (most !== undefined && policy !== "on-failure")) {
    throw new UsageError("expected no, always, unless-stopped or on-failure[:N]");
  }
  if (policy === "no") return "";
  return Number(most ?? 0) > 0 ? `on-failure ${Number(most)}` : policy;
}
