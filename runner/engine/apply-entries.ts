import { once } from "node:events";
import { applyLayer, EVENTS_FD } from "../helper/client.ts";
import { encodeRecord, layerRecord, RecordKind } from "../layers/abi.ts";
import type { OutgoingEntry } from "../layers/writer.ts";
import { storePlan } from "../plan/build.ts";
import type { Identity } from "../plan/idmap.ts";
import { explained } from "./explain.ts";

/** Makes entries below a folder of the host: links among them lead nowhere else. */
export async function applyEntries(
  identity: Identity,
  root: string,
  entries: Iterable<OutgoingEntry> | AsyncIterable<OutgoingEntry>,
  signal?: AbortSignal,
  /** What the folder lies on, topmost first. */
  lowers: string[] = [],
): Promise<void> {
  signal?.throwIfAborted();
  const apply = applyLayer(
    storePlan(identity, [{ op: "private-mounts" }, { op: "apply", root, flags: [], lowers }], EVENTS_FD),
  );
  const write = async (bytes: Uint8Array) => {
    if (!apply.sink.write(bytes)) await Promise.race([once(apply.sink, "drain"), apply.done]);
  };
  const abort = () => apply.kill();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    for await (const { record, content } of entries) {
      await write(encodeRecord(record));
      for await (const chunk of content ?? []) await write(chunk);
    }
    apply.sink.end(encodeRecord(layerRecord(RecordKind.END)));
  } catch (error) {
    apply.kill();
    const refusal = await refusalOf(apply);
    signal?.throwIfAborted();
    throw isBrokenPipe(error) ? explained(refusal ?? error) : error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
  await apply.done.catch((error: unknown) => {
    throw explained(error);
  });
}

/** Why the helper has left, where it has. */
export function refusalOf({ done }: { done: Promise<unknown> }): Promise<unknown> {
  return done.then(
    () => undefined,
    (reason: unknown) => reason,
  );
}

/** It says only that the reader has left: why, the reader has told. */
export function isBrokenPipe(error: unknown): boolean {
  return ["EPIPE", "ECONNRESET", "ERR_STREAM_DESTROYED"].includes((error as NodeJS.ErrnoException).code ?? "");
}
