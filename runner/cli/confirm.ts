import { createInterface } from "node:readline";
import type { Context } from "./context.ts";

/** Asks before something is removed that nobody can bring back. What is no clear yes is a no, the end of input too. */
export async function confirmed(context: Context, warning: string): Promise<boolean> {
  context.stdout.write(`WARNING! ${warning}\nAre you sure you want to continue? [y/N] `);
  const lines = createInterface({ input: process.stdin });
  try {
    for await (const line of lines) return /^y(es)?$/i.test(line.trim());
    return false;
  } finally {
    lines.close();
    process.stdin.unref?.();
  }
}
