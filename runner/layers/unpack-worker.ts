import { Worker } from "node:worker_threads";
import { TsboxError } from "../base/error.ts";
import { closeFd, shareMemory } from "../sys/native.ts";
import { builtFile } from "./engine.ts";
import { Hasher } from "./lent-hash.ts";
import type { UnpackedLayer } from "./unpack.ts";
import { unpackMemory } from "./unpack-engine.ts";
import type { UnpackJob } from "./unpack-file.ts";

/** Classes do not survive the way between threads. */
interface PackedError {
  message: string;
  code: string | undefined;
  hint: string | undefined;
  stack: string | undefined;
  /** A TsboxError, meant for people. */
  told: boolean;
}

/** The worker's word that there is something to hash. */
export const HASH = "hash";

export type Answer = { unpacked: UnpackedLayer; error?: undefined } | { error: PackedError };

export function packError(error: unknown): PackedError {
  const { message, code, hint, stack } = error as { [K in "message" | "code" | "hint" | "stack"]?: string };
  return { message: message ?? String(error), code, hint, stack, told: error instanceof TsboxError };
}

function unpackError({ message, code, hint, stack, told }: PackedError): Error {
  const details = { ...(code !== undefined && { code }), ...(hint !== undefined && { hint }) };
  const error = told ? new TsboxError(message, details) : Object.assign(new Error(message), details);
  if (stack !== undefined) error.stack = stack;
  return error;
}

/**
 * A thread that unpacks layers one after the other while this one downloads, so that both cores are busy. There is none before the first job, or
 * start(): it takes 30 ms to be ready, in which other things can be done.
 */
export class UnpackWorker {
  #worker: Worker | undefined;
  #memory: WebAssembly.Memory | undefined;
  #descriptor: number | undefined;
  /** Memory cannot be shared here. */
  #alone = false;

  start(): Worker {
    if (this.#worker === undefined) {
      // flags of this process (a loader of the tests) are not for the bundle
      this.#worker = new Worker(builtFile("unpack-worker.cjs"), { execArgv: [] });
      this.#worker.unref();
      this.#worker.on("error", () => {}); // told to whoever waits for an answer
    }
    return this.#worker;
  }

  /**
   * A descriptor of the memory in which gzip is decompressed, for whoever takes the records: with it jobs may say `mapped`. Undefined where memory cannot be
   * shared.
   */
  memory(): number | undefined {
    if (this.#memory === undefined && !this.#alone) {
      const memory = unpackMemory();
      try {
        this.#descriptor = shareMemory(new Uint8Array(memory.buffer));
        this.#memory = memory;
      } catch {
        this.#alone = true;
      }
    }
    return this.#descriptor;
  }

  /** `mapped`: apply has mapped memory(). This thread hashes meanwhile: it has the time once everything is downloaded. */
  unpack({ mapped = false, ...job }: Omit<UnpackJob, "lent"> & { mapped?: boolean }): Promise<UnpackedLayer> {
    const worker = this.start();
    const memory = mapped ? this.#memory : undefined;
    const hasher = memory && new Hasher(memory.buffer);
    const lent = memory && hasher && { memory, hasher: hasher.shared };
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        worker.off("message", onMessage).off("error", onError).off("exit", onExit).unref();
        act();
      };
      const onMessage = (answer: Answer | typeof HASH) => {
        if (answer === HASH) return hasher?.work();
        settle(() => (answer.error ? reject(unpackError(answer.error)) : resolve(answer.unpacked)));
      };
      const onError = (error: Error) => settle(() => reject(error));
      const onExit = () => settle(() => reject(new Error("the unpacking thread ended")));
      worker.on("message", onMessage).on("error", onError).on("exit", onExit).ref();
      worker.postMessage({ ...job, ...(lent && { lent }) });
    });
  }

  /** A job that it still has must have lost its file or its pipe: a thread that blocks cannot be ended. */
  async close(): Promise<void> {
    await this.#worker?.terminate();
    if (this.#descriptor !== undefined) closeFd(this.#descriptor);
    this.#descriptor = undefined;
    this.#memory = undefined;
  }
}
