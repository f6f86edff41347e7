import { ReadableStream } from "node:stream/web";
import { TsboxError } from "../base/error.ts";
import { type ByteSource, iterate } from "./reader.ts";

/** What xz's errors mean (xz-embedded's `enum xz_ret`). */
const STATES: Record<string, string> = {
  "3": "it needs more memory than there is",
  "4": "its dictionary is too large",
  "5": "it is not in the xz format",
  "6": "it uses a filter of xz that is not supported",
  "7": "its xz data is damaged",
  "8": "its xz data is cut off",
};

/** Plain bytes of an xz stream. The library decodes in WebAssembly, one stream at a time. */
export async function* unxz(source: ByteSource): AsyncGenerator<Uint8Array> {
  const { XzReadableStream } = await import("xz-decompress");
  const chunks = iterate(source);
  let failure: unknown;
  const input = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await chunks.next();
        // the library waits for input that is none: an empty piece makes it see that the data is cut off
        if (done) controller.enqueue(new Uint8Array());
        else controller.enqueue(value);
      } catch (error) {
        failure = error;
        controller.error(error);
      }
    },
    async cancel() {
      await chunks.return?.();
    },
  });
  const output = (new XzReadableStream(input as never) as unknown as ReadableStream<Uint8Array>).getReader();
  try {
    for (;;) {
      const { done, value } = await output.read();
      if (done) break;
      if (value.length > 0) yield value;
    }
  } catch (error) {
    if (failure !== undefined) throw failure;
    const code = /error code (\d+)/.exec((error as Error).message)?.[1] ?? "";
    throw new TsboxError(`Cannot decompress archive: ${STATES[code] ?? (error as Error).message}`, {
      code: "BAD_ARCHIVE",
      cause: error,
    });
  } finally {
    // it lets the next stream begin; one that is decoded to its end, but not read, cannot be given up twice
    await output.cancel().catch(() => {});
    await chunks.return?.();
  }
}
