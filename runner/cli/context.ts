/** What a command meets of the world: made once in main, by hand in tests. */

export interface Output {
  write(text: string | Uint8Array): unknown;
  isTTY?: boolean;
  columns?: number;
  rows?: number;
}

export interface Context {
  /** The store's folder, if `--root` named one. */
  root: string | undefined;
  /** What `--storage-driver` named. */
  storageDriver?: string | undefined;
  debug: boolean;
  env: NodeJS.ProcessEnv;
  cwd: string;
  stdout: Output;
  stderr: Output;
  stdinIsTerminal: boolean;
  /** Aborted by SIGHUP, SIGINT or SIGTERM while Node itself is at work. */
  signal: AbortSignal;
  /** Milliseconds since 1970. */
  now(): number;
}

/** The same with some parts changed. Not a copy: a copy would make the streams, which most starts of a program never use. */
export function changed(context: Context, changes: Partial<Context>): Context {
  return Object.create(context, Object.getOwnPropertyDescriptors(changes)) as Context;
}

export function warn(context: Context, line: string): void {
  context.stderr.write(`warning: ${line}\n`);
}
