/** Published ports beside the host's loopback and rootlesskit's builtin driver: throughput, and small requests on kept connections. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** On one port as many zeros as are taken, on the other short answers. */
const server = (stream: number, http: number) => `
  const block = Buffer.alloc(1 << 18);
  require("net").createServer((s) => {
    const more = () => { while (s.write(block)); };
    s.on("drain", more).on("error", () => {}); more();
  }).listen(${stream});
  require("http").createServer({ keepAliveTimeout: 60000 }, (q, s) => s.end("hello")).listen(${http});`;

interface Place {
  name: string;
  stream: number;
  http: number;
  start: () => ChildProcess | undefined;
  stop?: () => void;
}

const MILLISECONDS = 1200;

async function throughput(port: number): Promise<number> {
  let bytes = 0;
  const tally = (count: number) => {
    bytes += count;
    return true;
  };
  const socket = connect({
    port,
    host: "127.0.0.1",
    onread: { buffer: Buffer.alloc(1 << 18), callback: (count) => count > 0 && tally(count) },
  });
  await once(socket, "connect");
  await sleep(200);
  const [start, before] = [performance.now(), bytes];
  await sleep(MILLISECONDS);
  const rate = (bytes - before) / (performance.now() - start) / 1e6;
  socket.destroy();
  return rate;
}

async function requests(port: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const until = performance.now() + MILLISECONDS;
  let count = 0;
  const one = () =>
    new Promise<void>((resolve, reject) => {
      request({ port, host: "127.0.0.1", agent }, (answer) => answer.resume().on("end", resolve))
        .on("error", reject)
        .end();
    });
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (; performance.now() < until; count++) await one();
    }),
  );
  agent.destroy();
  return count / (MILLISECONDS / 1000);
}

async function ready(port: number): Promise<void> {
  for (let i = 0; i < 100; i++) {
    const answered = await new Promise<boolean>((resolve) => {
      request({ port, host: "127.0.0.1" }, (answer) => answer.resume().on("end", () => resolve(true)))
        .on("error", () => resolve(false))
        .end();
    });
    if (answered) return;
    await sleep(100);
  }
  throw new Error(`no answer on port ${port}`);
}

export async function benchPorts(
  tsbox: string,
  base: number,
  rounds: number,
  table: (title: string, unit: string, samples: Map<string, number[]>, base: string) => void,
): Promise<void> {
  const node = process.execPath;
  const inside = server(7001, 7002);
  const places: Place[] = [
    {
      name: "loopback",
      stream: base,
      http: base + 1,
      start: () => spawn(node, ["-e", server(base, base + 1)], { stdio: "ignore" }),
    },
    {
      name: "tsbox",
      stream: base + 2,
      http: base + 3,
      start: () => {
        const ports = ["-p", `127.0.0.1:${base + 2}:7001`, "-p", `127.0.0.1:${base + 3}:7002`];
        spawnSync(tsbox, ["run", "-d", "--name", "ports", ...ports, "host", node, "-e", inside], { stdio: "ignore" });
        return undefined;
      },
      stop: () => spawnSync(tsbox, ["rm", "-f", "ports"], { stdio: "ignore" }),
    },
    {
      name: "rootlesskit",
      stream: base + 4,
      http: base + 5,
      start: () => {
        const ports = ["-p", `127.0.0.1:${base + 4}:7001/tcp`, "-p", `127.0.0.1:${base + 5}:7002/tcp`];
        const network = [
          "--net=slirp4netns",
          "--slirp4netns-sandbox=false",
          "--slirp4netns-seccomp=false",
          "--disable-host-loopback",
          "--port-driver=builtin",
        ];
        return spawn("rootlesskit", [...network, ...ports, node, "-e", inside], { stdio: "ignore" });
      },
    },
  ];
  const rates = new Map<string, number[]>();
  const answers = new Map<string, number[]>();
  const children = new Map<string, ChildProcess | undefined>();
  try {
    for (const { name, start, http } of places) {
      try {
        const child = start();
        child?.on("error", () => {});
        children.set(name, child);
        await ready(http);
        rates.set(name, []);
        answers.set(name, []);
      } catch (error) {
        console.error(`  left out: ${name}: ${(error as Error).message}`);
      }
    }
    for (let round = 0; round < rounds; round++) {
      for (const { name, stream, http } of places) {
        if (!rates.has(name)) continue;
        rates.get(name)?.push(await throughput(stream));
        answers.get(name)?.push(await requests(http));
      }
    }
  } finally {
    for (const { name, stop } of places) {
      stop?.();
      children.get(name)?.kill();
    }
  }
  table("published port: throughput of one connection (more is better)", "GB/s", rates, "loopback");
  table("published port: requests a second, 16 kept connections (more is better)", "1/s", answers, "loopback");
}
