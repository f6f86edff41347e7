import type { IncomingMessage } from "node:http";
import { visible } from "../base/error.ts";
import type { Descriptor } from "../oci/types.ts";
import { eachChunk } from "./body-chunks.ts";
import { RegistryError } from "./registry-error.ts";
import type { Answer } from "./transport.ts";

/** The bytes of a blob from `start` on. */
export interface BlobAnswer {
  start: number;
  stream: IncomingMessage;
  /** Instead of reading the stream: gives all bytes to `take` as they come, in pieces that change after it returns. */
  eachChunk(take: (chunk: Uint8Array) => void): Promise<void>;
}

/** Asks for a blob from `offset` on; whoever does not know ranges sends all of it. `ask` refuses statuses that are not expected. */
export async function blobFrom(
  descriptor: Descriptor,
  offset: number,
  action: string,
  ask: (headers: Record<string, string>, expect: number[]) => Promise<Answer>,
): Promise<BlobAnswer> {
  let answer = offset > 0 ? await ask({ range: `bytes=${offset}-` }, [200, 206, 416]) : await ask({}, [200, 206]);
  if (answer.status === 416) {
    // it cannot, for whatever reason: then all of it
    answer.body.resume();
    answer = await ask({}, [200, 206]);
  }
  const start = answer.status === 206 ? offset : 0;
  try {
    checkLength(answer, start, descriptor.size, action);
  } catch (error) {
    answer.body.destroy();
    throw error;
  }
  return { start, stream: answer.body, eachChunk: (take) => eachChunk(answer.body, take) };
}

/** A registry that announces other bytes than those asked for need not be listened to. */
function checkLength(
  answer: { status: number; headers: IncomingMessage["headers"] },
  start: number,
  size: number,
  action: string,
): void {
  const { "content-range": range, "content-length": length } = answer.headers;
  const whole = answer.status === 206 ? /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(range ?? "") : undefined;
  const wrongTotal = whole && whole[2] !== "*" && Number(whole[2]) !== size;
  if (answer.status === 206 && (!whole || Number(whole[1]) !== start || wrongTotal)) {
    throw new RegistryError(
      `Cannot ${action}: asked for bytes from ${start} of ${size}, got "${visible(String(range))}"`,
      0,
    );
  }
  if (length !== undefined && Number(length) > size - start) {
    throw new RegistryError(
      `Cannot ${action}: the registry announces ${visible(length)} bytes, more than the ${size - start} bytes announced by the manifest`,
      0,
    );
  }
}
