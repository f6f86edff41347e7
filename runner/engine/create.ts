import type { ContainerRecord } from "../container/record.ts";
import { createContainer } from "./create-container.ts";
import type { Engine } from "./engine.ts";
import { printablePlan, stdioMode } from "./run.ts";
import type { RunOptions } from "./run-options.ts";

/** `tsbox create`: makes the container and leaves the start to `tsbox start`. With `printPlan` the plan's text instead. */
export async function create(engine: Engine, options: RunOptions): Promise<ContainerRecord | string> {
  const container = await createContainer(engine, options, { stdio: stdioMode(options) });
  return options.printPlan ? printablePlan(container.plan) : container.record;
}
