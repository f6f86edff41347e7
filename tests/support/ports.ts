/** Ports of this machine that a test names before anything listens there. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const LOWEST = 10_000;

export async function freePort(): Promise<number> {
  return freePorts(1);
}

/**
 * The first of so many free ports in a row. They lie below those the kernel gives to connections and to
 * servers without a wish: any other test's connection could take one of those before it is used.
 */
export async function freePorts(count: number): Promise<number> {
  const firstOfKernel = Number(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split(/\s+/)[0]);
  // where a machine gives nearly all of them to the kernel, there is nothing better
  const end = firstOfKernel > 2 * LOWEST ? firstOfKernel : 1 << 16;
  for (let attempt = 0; attempt < 100; attempt++) {
    const first = LOWEST + Math.floor(Math.random() * (end - LOWEST - count));
    const free = await Promise.all(Array.from({ length: count }, (_, i) => isFree(first + i)));
    if (free.every(Boolean)) return first;
  }
  throw new Error(`Cannot find ${count} free ports in a row between ${LOWEST} and ${end}`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port);
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
