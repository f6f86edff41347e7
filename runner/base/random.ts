import { closeSync, openSync, readSync } from "node:fs";

/** So many random bytes. Straight from the kernel: node:crypto takes 2 ms to load, which every `run` would pay for its id. */
export function randomBytes(count: number): Buffer {
  const bytes = Buffer.alloc(count);
  const fd = openSync("/dev/urandom", "r");
  try {
    for (let done = 0; done < count; ) done += readSync(fd, bytes, done, count - done, null);
  } finally {
    closeSync(fd);
  }
  return bytes;
}

export function randomHex(count: number): string {
  return randomBytes(count).toString("hex");
}
