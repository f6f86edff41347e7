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
  debug: boolean;
  env: NodeJS.ProcessEnv;
  cwd: string;
  stdout: Output;
  stderr: Output;
  stdinIsTerminal: boolean;
  /** Aborted by SIGINT or SIGTERM while Node itself is at work. */
  signal: AbortSignal;
  /** Milliseconds since 1970. */
  now(): number;
}

export function warn(context: Context, line: string): void {
  context.stderr.write(`warning: ${line}\n`);
}
