import { setTimeout as sleep } from "node:timers/promises";
import { RegistryError } from "./registry-error.ts";

export interface RetryRules {
  /** New tries after the first one. */
  retries: number;
  /** Milliseconds before the first of them. */
  delay: number;
  signal?: AbortSignal;
  /** Whether the last try brought something: then the tries are counted anew. */
  progressed?: () => boolean;
}

/** Who asks for a longer wait than this is not waited for: the person at the keyboard decides. */
const LONGEST_WAIT = 120_000;

/**
 * Tries again after failures that may pass. The pause doubles each time and is never less than the registry asks for; up to a half of it is chance, so
 * that a hundred machines that were turned away together do not come back together.
 */
export async function retrying<T>(rules: RetryRules, work: () => Promise<T>): Promise<T> {
  for (let tried = 0; ; tried++) {
    try {
      return await work();
    } catch (error) {
      rules.signal?.throwIfAborted();
      if (rules.progressed?.()) tried = 0;
      if (!(error instanceof RegistryError) || !error.temporary || tried >= rules.retries) throw error;
      const asked = error.retryAfter ?? 0;
      if (asked > LONGEST_WAIT) throw error;
      await sleep(Math.max(asked, pause(rules.delay, tried)), undefined, rules.signal ? { signal: rules.signal } : {});
    }
  }
}

export function pause(delay: number, tried: number, chance: number = Math.random()): number {
  return Math.min(delay * 2 ** tried, LONGEST_WAIT) * (1 - chance / 2);
}
