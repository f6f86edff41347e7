import { spawn } from "node:child_process";

export interface StepResult {
  /** Both output streams, as they came. */
  output: string;
  status: number;
  timedOut: boolean;
}

/** Runs a command to its end, or kills it with all its children when the time is over. */
export async function runStep(command: string[], seconds: number): Promise<StepResult> {
  const [program = "", ...args] = command;
  const env = { ...process.env };
  // A make of its own, not a part of the one that started the tests.
  for (const name of ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"]) delete env[name];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], detached: true, env });
  const pieces: Buffer[] = [];
  child.stdout.on("data", (piece: Buffer) => pieces.push(piece));
  child.stderr.on("data", (piece: Buffer) => pieces.push(piece));
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child.pid);
  }, seconds * 1000);
  const status = await new Promise<number>((resolve) => {
    child.on("error", (error) => {
      pieces.push(Buffer.from(`Cannot run ${program}: ${error.message}\n`));
      resolve(127);
    });
    // A daemon that a test left behind may hold the pipes open; the end of the process is what counts.
    child.on("exit", (code) => setTimeout(() => resolve(code ?? 1), 50));
  });
  clearTimeout(timer);
  killGroup(child.pid);
  child.stdout.destroy();
  child.stderr.destroy();
  if (timedOut) pieces.push(Buffer.from(`not ok: stopped after ${seconds} seconds\n`));
  return { output: Buffer.concat(pieces).toString(), status, timedOut };
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // All of them have ended.
  }
}
