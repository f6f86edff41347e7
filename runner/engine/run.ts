import { type Face, faceWords } from "../helper/wire.ts";
import type { AttachedFlag } from "../plan/types.ts";
import { processStartTime } from "../sys/process.ts";
import { attachedFace, becomeHelper, DEFAULT_DETACH_KEYS } from "./become-helper.ts";
import { createContainer } from "./create-container.ts";
import type { Engine } from "./engine.ts";
import { explainCommand } from "./explain-command.ts";
import { type CommandLine, watchStart } from "./keep-start.ts";
import type { RunOptions } from "./run-options.ts";

/**
 * `tsbox run`: makes the container and becomes the helper, which starts it, stays beside it and exits with its status. Returns only the plan's text, for
 * `--print-plan`; otherwise this process is the helper from here on and nothing of Node is left. A `line` is kept for the launcher, which repeats it without Node.
 */
export async function run(engine: Engine, options: RunOptions, line?: CommandLine): Promise<string> {
  const watched = line && watchStart(engine, options, line);
  const container = await createContainer(watched?.engine ?? engine, options, {
    stdio: stdioMode(options),
    // should this process be killed before it is the helper, somebody has to know that nobody will start it
    ...(options.rm && { maker: { pid: process.pid, startTime: processStartTime(process.pid) ?? "" } }),
  });
  const face = runFace(options, container.record.id);
  if (options.printPlan) return printablePlan({ ...container.plan, ...face });
  const words = faceWords({ ...face, onFailure: explainCommand() });
  watched?.keep(container, words);
  becomeHelper(container.planPath, ...words);
}

/** `--log-driver passthrough` hands the program our own descriptors. */
export function stdioMode(options: RunOptions): "terminal" | "relay" | "inherit" {
  if (options.tty) return "terminal";
  return options.log?.driver === "passthrough" ? "inherit" : "relay";
}

/**
 * In the foreground the helper is the monitor itself; but where the program may go on without us (detach keys, a restart policy), the monitor is a
 * process of its own and we are its first client.
 */
function runFace(options: RunOptions, id: string): Face {
  if (options.detach) return { detach: true, announce: id };
  const restarts = options.restart !== undefined || options.health?.onFailure === "restart";
  const shown = options.attach;
  if (!options.tty && !restarts && shown === undefined && options.signalProxy) return { signalProxy: true };
  const face = attachedFace({
    tty: options.tty,
    keys: options.detachKeys ?? DEFAULT_DETACH_KEYS,
    stdin: options.interactive && (shown?.includes("stdin") ?? true),
  });
  const flags: AttachedFlag[] = [...(face.attached?.flags ?? [])];
  if (shown?.includes("stdout") === false) flags.push("no-stdout");
  if (shown?.includes("stderr") === false) flags.push("no-stderr");
  if (!options.signalProxy) flags.push("leave");
  return { ...face, attached: { keys: [], ...face.attached, flags }, signalProxy: !options.tty && options.signalProxy };
}

/** The plan as JSON; masks are hexadecimal, since JSON has no big integers. */
export function printablePlan(plan: object): string {
  return JSON.stringify(plan, (_, value) => (typeof value === "bigint" ? `0x${value.toString(16)}` : value), 2);
}
