import type { IncomingMessage } from "node:http";
import { connect, type Socket, type TcpNetConnectOpts } from "node:net";

const READ_SIZE = 64 << 10;
/** What is read at once while there is more: each piece costs whoever takes it some calls. */
const PIECE = 4 * READ_SIZE;

/** Takes bytes that come over a connection, instead of the parser of HTTP: up to `left` of them. */
interface Taker {
  left: number;
  take(bytes: Uint8Array): void;
}
/** Of the connections that have one; known is every plainConnection(). */
const takers = new WeakMap<Socket, Taker | undefined>();

/**
 * A connection that reads into one buffer, not into a new one each time: the pages of those cost as much as the reading. What the parser of HTTP
 * makes of the bytes is a copy, so that nobody sees the buffer change.
 */
export function plainConnection(options: TcpNetConnectOpts): Socket {
  const space = Buffer.allocUnsafeSlow(PIECE);
  let filled = 0;
  const pass = (socket: Socket) => {
    const taker = takers.get(socket);
    const bytes = space.subarray(0, Math.min(filled, taker?.left ?? 0));
    filled = 0;
    if (bytes.length > 0) taker?.take(bytes);
  };
  const onread = {
    buffer: () => space.subarray(filled, filled + READ_SIZE),
    callback(this: Socket, count: number, buffer: Uint8Array) {
      const taker = takers.get(this);
      if (!taker) {
        this.emit("data", buffer.subarray(0, count));
        return true;
      }
      filled += count;
      // a read that is not full was the last one for now
      if (count === READ_SIZE && filled < Math.min(PIECE, taker.left)) return true;
      pass(this);
      return true;
    },
  };
  const socket = connect({ ...options, onread } as TcpNetConnectOpts);
  takers.set(socket, undefined);
  // before the parser hears of it: what has come is not lost
  for (const end of ["end", "error"]) socket.on(end, () => pass(socket));
  return socket;
}

/** Bytes of a body from which on a connection is worth giving up for them. */
const LARGE = 1 << 20;

/**
 * Gives the body's bytes to `take` as they come; they change after it returns. What it throws ends the answer. A large body that comes as it is, over a
 * plainConnection(), goes past parser and streams, which together cost more than receiving, keeping and digesting it: the connection is closed then.
 */
export function eachChunk(answer: IncomingMessage, take: (chunk: Uint8Array) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const { socket } = answer;
    if (answer.destroyed) return reject(answer.errored ?? new Error("the connection was closed"));
    let refused = false;
    const guarded = (chunk: Uint8Array) => {
      if (refused) return;
      try {
        take(chunk);
      } catch (error) {
        refused = true;
        answer.destroy();
        reject(error);
      }
    };
    answer.on("end", resolve).on("error", reject);
    answer.on("close", () => reject(new Error("the connection was closed")));
    let left = lengthOf(answer);
    if (!(left >= LARGE && takers.has(socket))) {
      answer.on("data", guarded);
      return;
    }
    // what the parser has passed on already
    for (let chunk = answer.read() as Buffer | null; chunk !== null; chunk = answer.read() as Buffer | null) {
      left -= chunk.length;
      guarded(chunk);
    }
    // all of it: the connection is for the next request
    if (left === 0) return;
    const taker: Taker = {
      left,
      take(bytes) {
        taker.left -= bytes.length;
        guarded(bytes);
        if (taker.left > 0) return;
        resolve();
        answer.destroy();
      },
    };
    takers.set(socket, taker);
    socket.resume();
  });
}

/** NaN where it is not told, or where the bytes that come are not those of the body. */
function lengthOf({ headers }: IncomingMessage): number {
  return headers["transfer-encoding"] === undefined ? Number(headers["content-length"]) : Number.NaN;
}
