/** Published ports under many connections, of all manners, at once. */
import { createHash, randomInt } from "node:crypto";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";

const box = workspace();
test.after(() => box[Symbol.asyncDispose]());
const tsbox = (...args: string[]) => box.tsbox(...args);

/** The host's port, once the program inside has said that it listens. */
async function serve(name: string, script: string): Promise<number> {
  const { code, stderr } = await tsbox(
    ...["run", "-d", "--name", name, "-p", "127.0.0.1::7", "host", process.execPath, "-e", script],
  );
  assert.is(code, 0, stderr);
  await until(async () => (await tsbox("logs", name)).stdout.startsWith("up\n"));
  return Number((await tsbox("port", name, "7")).stdout.trim().split(":").at(-1));
}

async function descriptors(name: string): Promise<() => number> {
  const { stdout } = await tsbox("inspect", "--format", "{{.State.MonitorPid}}", name);
  return () => readdirSync(`/proc/${stdout.trim()}/fd`).length;
}

const ECHO = `require("net").createServer({allowHalfOpen: true}, (s) => { s.on("error", () => {}); s.pipe(s) }).listen(7, () => console.log("up"))`;

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

test("a server whose queue is short and which stands still for a while loses nobody", async () => {
  // left to the kernel's patience, which doubles, those it did not take would be announced again many seconds later
  const port = await serve(
    "busy",
    `const net = require("net"), wait = new Int32Array(new SharedArrayBuffer(4));
     net.createServer((s) => s.end("served")).listen({ port: 7, backlog: 15 }, () => {
       console.log("up"); setTimeout(() => { console.log("still"); Atomics.wait(wait, 0, 0, 9000); console.log("on") }, 300) })`,
  );
  await until(async () => (await tsbox("logs", "busy")).stdout.includes("still"));
  let served = 0;
  for (let i = 0; i < 100; i++) {
    const socket = await open(port);
    socket.on("data", () => served++).on("end", () => socket.end());
  }
  await until(async () => (await tsbox("logs", "busy")).stdout.includes("on"));
  // those who come now are not to be served before them
  for (let later = 0; served < 100 && later < 30; later++) {
    const socket = await open(port);
    await once(socket.resume(), "end");
    socket.end();
    await sleep(100);
  }
  assert.is(served, 100);
  await tsbox("rm", "-f", "-t", "0", "busy");
});

/** Reproducible numbers below `limit`. */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

test("short, slow, half-closed and broken connections at once leave nothing, and bytes stay in order", async () => {
  const seed = Number(process.env.CROWD_SEED ?? randomInt(2 ** 31));
  console.log(`seed ${seed}`);
  const below = numbers(seed);
  const port = await serve("echo", ECHO);
  const open_ = await descriptors("echo");
  const before = open_();
  const one = async (manner: number, size: number, pause: number) => {
    const socket = await open(port);
    const body = Buffer.alloc(size, `${manner}:${size}:${pause};`);
    if (manner === 0) return void socket.destroy();
    const sent = createHash("sha256").update(body).digest("hex");
    const got = createHash("sha256");
    const ended = new Promise((resolve) => socket.on("close", resolve));
    socket.on("end", () => socket.destroy());
    if (manner === 1) {
      // goes away in the middle
      socket.write(body);
      await sleep(pause);
      socket.resetAndDestroy();
      return;
    }
    socket.on("data", (data: Buffer) => {
      got.update(data);
      if (manner !== 2) return;
      socket.pause();
      setTimeout(() => socket.resume(), pause);
    });
    for (let at = 0; at < size; at += 65536) {
      if (!socket.write(body.subarray(at, at + 65536))) await Promise.race([once(socket, "drain"), ended]);
      if (manner === 3) await sleep(pause);
    }
    socket.end();
    await ended;
    assert.is(got.digest("hex"), sent, `seed ${seed}, manner ${manner}, ${size} bytes`);
  };
  let left = 1500;
  const worker = async () => {
    while (left-- > 0) await one(below(5), below(10) === 0 ? below(2 << 20) : below(5000), below(8));
  };
  await Promise.all(Array.from({ length: 60 }, worker));
  await until(() => Promise.resolve(open_() <= before + 64));
  await tsbox("rm", "-f", "-t", "0", "echo");
});

test("a reset inside does not take away what was answered before it", async () => {
  // it answers at once and leaves what it was sent unread, which the kernel makes a reset
  const port = await serve(
    "hasty",
    `require("net").createServer({pauseOnConnect: true}, (s) => { s.on("error", () => {}); setTimeout(() => { s.write("no"); s.resetAndDestroy() }, 100) }).listen(7, () => console.log("up"))`,
  );
  for (let i = 0; i < 20; i++) {
    const socket = await open(port);
    let said = "";
    socket.on("data", (data) => {
      said += data;
    });
    // libuv tells of a reset as of an end where both come at once
    socket.on("end", () => socket.destroy());
    const closed = new Promise((resolve) => socket.on("close", resolve));
    socket.write("x".repeat(1000));
    await closed;
    assert.is(said, "no");
  }
  await tsbox("rm", "-f", "-t", "0", "hasty");
});

test.run();
