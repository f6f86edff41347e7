import { storeLayout } from "../store/layout.ts";
import { stagingFolder } from "../store/staging.ts";
import type { BuildWorld } from "./stage-builder.ts";

/** A folder that goes with the build. */
export function scratchFolder(world: Pick<BuildWorld, "engine" | "trash">): string {
  const staged = stagingFolder(storeLayout(world.engine.root));
  world.trash.add(staged.path, staged.release);
  return staged.path;
}
