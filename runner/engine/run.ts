import { helperPath } from "../helper/locate.ts";
import { replaceProcess } from "../sys/native.ts";
import { createContainer, type FaceSupervision } from "./create-container.ts";
import type { Engine } from "./engine.ts";
import { explainCommand } from "./explain-command.ts";
import type { RunOptions } from "./run-options.ts";

/**
 * `tsbox run`: makes the container and becomes the helper, which starts it, stays beside it and exits with its status. Returns only the plan's text, for
 * `--print-plan`; otherwise this process is the helper from here on and nothing of Node is left.
 */
export async function run(engine: Engine, options: RunOptions): Promise<string> {
  const face: FaceSupervision = {
    stdio: options.tty ? "terminal" : "relay",
    onFailure: explainCommand(),
  };
  const container = await createContainer(engine, options, face);
  if (options.printPlan) return printablePlan(container.plan);
  becomeHelper(container.planPath);
}

/** Replaces this process by the helper at work on a plan; `once`: the plan's file is of no use to anybody else, and goes when it is read. */
export function becomeHelper(planPath: string, ...once: ["once"] | []): never {
  return replaceProcess(helperPath(), ["tsbox-helper", "run", planPath, ...once]);
}

/** The plan as JSON; masks are hexadecimal, since JSON has no big integers. */
export function printablePlan(plan: object): string {
  return JSON.stringify(plan, (_, value) => (typeof value === "bigint" ? `0x${value.toString(16)}` : value), 2);
}
