import { existsSync, rmSync, writeFileSync } from "node:fs";
import type { StoreLayout } from "./layout.ts";

/** Enough for the index of a thousand images, and what is noted beside it. */
const SIZE = 1 << 20;

const place = (layout: StoreLayout) => layout.lock("reserve");

/** Room that is kept for a full disk: to remove an image, an index without it must be written first. */
export function keepReserve(layout: StoreLayout): void {
  if (existsSync(place(layout))) return;
  try {
    writeFileSync(place(layout), Buffer.alloc(SIZE, "reserve "), { mode: 0o600, flag: "wx" });
  } catch {
    // no folder yet, or no room: half of it would be no help
    rmSync(place(layout), { force: true });
  }
}

/** Gives the room up; false when there was none. */
export function spendReserve(layout: StoreLayout): boolean {
  if (!existsSync(place(layout))) return false;
  rmSync(place(layout), { force: true });
  return true;
}
