import { randomBytes } from "node:crypto";
import http, { type IncomingMessage } from "node:http";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { eachChunk, plainConnection } from "../../../runner/registry/body-chunks.ts";

/** Large enough to go past the parser. */
const BODY = randomBytes(3_000_000);

/** Answers with whatever `answer` writes; how many connections there were. */
async function serve(answer: (socket: Socket, count: number) => void) {
  let count = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    count++;
    socket.on("data", () => answer(socket, count));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const agent = Object.assign(new http.Agent({ keepAlive: true }), { createConnection: plainConnection });
  return {
    connections: () => count,
    ask: (options: http.RequestOptions = {}) =>
      new Promise<IncomingMessage>((resolve, reject) => {
        const { port } = server.address() as AddressInfo;
        const request = http.request({ host: "127.0.0.1", port, agent, ...options });
        request.on("response", resolve).on("error", reject).end();
      }),
    async [Symbol.asyncDispose]() {
      agent.destroy();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const head = (length: number | string) => `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`;

async function assertRejects(work: Promise<unknown>): Promise<void> {
  const [result] = await Promise.allSettled([work]);
  assert.is(result?.status, "rejected");
}

async function received(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  await eachChunk(answer, (chunk) => void chunks.push(Buffer.from(chunk)));
  return Buffer.concat(chunks);
}

test("eachChunk() gives a large body whole, wherever it is cut, also when it is asked for late", async () => {
  for (const cut of [0, 1, 1000, 70_000, 1_500_000, BODY.length - 1]) {
    await using server = await serve(async (socket) => {
      socket.write(Buffer.concat([Buffer.from(head(BODY.length)), BODY.subarray(0, cut)]));
      await sleep(5);
      socket.write(BODY.subarray(cut));
    });
    for (const late of [0, 20]) {
      const answer = await server.ask();
      if (late > 0) await sleep(late);
      assert.ok((await received(answer)).equals(BODY), `cut at ${cut}, ${late} ms late`);
    }
  }
});

test("eachChunk() leaves the connection of a small body, and of one in chunks, for the next", async () => {
  const small = BODY.subarray(0, 1000);
  await using server = await serve((socket) => {
    socket.write(Buffer.concat([Buffer.from(head(small.length)), small]));
  });
  for (let round = 0; round < 3; round++) assert.ok((await received(await server.ask())).equals(small));
  assert.is(server.connections(), 1);
  await using chunked = await serve((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (let at = 0; at < BODY.length; at += 1_000_000) {
      const part = BODY.subarray(at, at + 1_000_000);
      socket.write(Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n")]));
    }
    socket.write("0\r\n\r\n");
  });
  for (let round = 0; round < 2; round++) assert.ok((await received(await chunked.ask())).equals(BODY));
  assert.is(chunked.connections(), 1);
});

test("eachChunk() leaves the connection of a body that had all come before it was asked for", async () => {
  const body = BODY.subarray(0, 1_050_000);
  await using server = await serve((socket) => {
    socket.write(Buffer.concat([Buffer.from(head(body.length)), body]));
  });
  for (let round = 0; round < 2; round++) {
    const answer = await server.ask({ highWaterMark: 4 << 20 } as http.RequestOptions);
    while (answer.readableLength < body.length) await sleep(1);
    assert.ok((await received(answer)).equals(body));
  }
  assert.is(server.connections(), 1);
});

test("eachChunk() fails where the answer was closed before", async () => {
  await using server = await serve((socket) => {
    socket.write(Buffer.concat([Buffer.from(head(BODY.length)), BODY.subarray(0, 1000)]));
    socket.end();
  });
  const answer = await server.ask();
  answer.on("error", () => {});
  await sleep(50);
  assert.is(
    await received(answer).then(
      () => "whole",
      () => "refused",
    ),
    "refused",
  );
});

test("eachChunk() gives what has come while the rest is not there, and more at once where there is more", async () => {
  const first = 1_234_567;
  let goOn = () => {};
  await using server = await serve((socket) => {
    socket.write(Buffer.concat([Buffer.from(head(BODY.length)), BODY.subarray(0, first)]));
    goOn = () => socket.write(BODY.subarray(first));
  });
  const chunks: Buffer[] = [];
  let length = 0;
  await eachChunk(await server.ask(), (chunk) => {
    chunks.push(Buffer.from(chunk));
    length += chunk.length;
    if (length === first) goOn();
  });
  assert.ok(Buffer.concat(chunks).equals(BODY));
  assert.ok(chunks.some((chunk) => chunk.length > 65_536));
});

test("eachChunk() gives all that came before a body was cut off, also where it waits for more to come", async () => {
  await using server = await serve(async (socket) => {
    socket.write(head(BODY.length));
    await sleep(50);
    // a full read, behind which there may be more
    socket.end(BODY.subarray(0, 65_536));
  });
  let length = 0;
  const answer = await server.ask();
  const taken = eachChunk(answer, (chunk) => {
    length += chunk.length;
  });
  await assertRejects(taken);
  assert.is(length, 65_536);
});

test("eachChunk() takes no more than was announced", async () => {
  await using server = await serve((socket) => {
    socket.write(Buffer.concat([Buffer.from(head(BODY.length - 100_000)), BODY]));
  });
  assert.ok((await received(await server.ask())).equals(BODY.subarray(0, -100_000)));
});

test("eachChunk() fails where a body is cut off, its answer is ended, or `take` throws", async () => {
  await using server = await serve(async (socket) => {
    socket.write(Buffer.concat([Buffer.from(head(BODY.length)), BODY.subarray(0, 2_000_000)]));
    await sleep(20);
    socket.destroy();
  });
  const told = async (work: Promise<unknown>) =>
    (
      (await work.then(
        () => new Error("it ended well"),
        (e) => e,
      )) as Error
    ).message;
  assert.match(await told(received(await server.ask())), /aborted|closed/);
  await using silent = await serve((socket) => {
    socket.write(Buffer.concat([Buffer.from(head(BODY.length)), BODY.subarray(0, 2_000_000)]));
  });
  const stop = new AbortController();
  const answer = await silent.ask({ signal: stop.signal });
  setTimeout(() => stop.abort(), 20);
  assert.match(await told(received(answer)), /abort/);
  let calls = 0;
  const refused = eachChunk(await silent.ask(), () => {
    calls++;
    throw new Error("the disk is full");
  });
  assert.is(await told(refused), "the disk is full");
  await sleep(20);
  assert.is(calls, 1);
});

test.run();
