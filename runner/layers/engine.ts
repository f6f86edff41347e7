import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { WASI } from "@bjorn3/browser_wasi_shim";
import { TsboxError } from "../base/error.ts";
import { ABI_VERSION } from "./abi.ts";

interface Versioned {
  engine_version(): number;
}

/** wasm/engine.h: every export, and nothing else. */
export interface EngineExports extends Versioned {
  memory: WebAssembly.Memory;
  _initialize(): unknown;
  reader_new(flags: number): void;
  reader_buffer(): number;
  reader_want(): number;
  reader_feed(n: number): number;
  reader_next(): number;
  reader_finish(passed: number): number;
  reader_data_length(): number;
  reader_offset(): number;
  record_pointer(): number;
  record_length(): number;
  reader_error_pointer(): number;
  reader_error_length(): number;
  writer_buffer(): number;
  writer_entry(n: number): number;
  writer_pointer(): number;
  writer_error_pointer(): number;
  writer_error_length(): number;
}

/** An instance of the layer engine: one archive at a time. Its memory never grows, so the view stays valid. */
export interface Engine {
  exports: EngineExports;
  memory: Uint8Array;
}

const FILE = "layers.wasm";

/** A file of dist/: beside the bundle; or, when the sources are run as they are, in the checkout's dist/. */
export function builtFile(name: string): string {
  // A CommonJS bundle has no import.meta.url.
  const here = import.meta.url ? dirname(fileURLToPath(import.meta.url)) : __dirname;
  const candidates = [join(here, name), join(here, "..", name), join(here, "../../dist", name)];
  const found = candidates.find((path) => existsSync(path));
  if (found) return found;
  throw new TsboxError(`Cannot load the layer engine: no file ${name} beside ${here}`, {
    code: "ENGINE_MISSING",
    hint: 'in a checkout, run "make"; an installed package is damaged: install it again',
  });
}

const compiled = new Map<string, WebAssembly.Module>();

/** Compiles the engine on other threads, for those who know that it will be needed. What is wrong with it is told when it is. */
export function prepareEngine(): void {
  if (compiled.has(FILE)) return;
  const made = async () => WebAssembly.compile(await readFile(builtFile(FILE)));
  made().then(
    (module) => {
      if (!compiled.has(FILE)) compiled.set(FILE, module);
    },
    () => {},
  );
}

function compile(file: string): WebAssembly.Module {
  const known = compiled.get(file);
  if (known) return known;
  const path = builtFile(file);
  try {
    const module = new WebAssembly.Module(readFileSync(path));
    compiled.set(file, module);
    return module;
  } catch (cause) {
    throw new TsboxError(`Cannot load the layer engine from ${path}: ${(cause as Error).message}`, {
      code: "ENGINE_MISSING",
      cause,
    });
  }
}

/** An instance of a module of dist/ that speaks our version. */
export function instantiate<E extends Versioned>(file: string, imports: object, prepare?: (exports: E) => void): E {
  const exports = new WebAssembly.Instance(compile(file), imports).exports as E;
  prepare?.(exports);
  const version = exports.engine_version();
  if (version !== ABI_VERSION) {
    throw new TsboxError(
      `Cannot use the layer engine: it speaks version ${version} of the records, expected ${ABI_VERSION}`,
      { code: "ENGINE_VERSION", hint: 'in a checkout, run "make" again' },
    );
  }
  return exports;
}

export function newEngine(): Engine {
  // The module imports nothing; what it might import one day would find no files, no arguments, no environment.
  const wasi = new WASI([], [], []);
  const imports = { wasi_snapshot_preview1: wasi.wasiImport };
  const exports = instantiate<EngineExports>(FILE, imports, (made) => wasi.initialize({ exports: made }));
  return { exports, memory: new Uint8Array(exports.memory.buffer) };
}

/** Text that the engine wrote. */
export function engineText({ memory }: Pick<Engine, "memory">, pointer: number, length: number): string {
  return Buffer.from(memory.buffer, pointer, length).toString("utf8");
}
