import { setTimeout as sleep } from "node:timers/promises";

/** Waits until something is so; gives up after half a minute. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let round = 0; round < 300; round++) {
    if (await holds()) return;
    await sleep(100);
  }
  throw new Error(`Cannot go on: this did not come true: ${holds}`);
}
