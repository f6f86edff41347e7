import { formatReference } from "../../oci/reference.ts";
import type { StepResult } from "../../store/build-cache.ts";
import type { BuildWorld, StageState } from "../stage-builder.ts";

/** Writes the steps of a build to the places of `--cache-to`: the image is complete by now. */
export async function exportSteps(
  world: Pick<BuildWorld, "engine" | "options" | "tell">,
  all: ReadonlyMap<string, StepResult>,
  target: StageState,
): Promise<void> {
  const { engine, options, tell } = world;
  const own = stepsOf(target, all);
  for (const place of options.cacheTo) {
    if (place.type === "inline") continue;
    const steps = place.mode === "max" ? all : own;
    try {
      if (place.type === "local") (await import("./local.ts")).keepInFolder(engine, place.folder, steps);
      else {
        const { keepInRegistry } = await import("./registry-export.ts");
        const layers = await keepInRegistry(engine, place.reference, steps, options);
        tell({
          type: "note",
          text: `cache written to ${formatReference(place.reference)}: ${steps.size} steps, ${layers} layers`,
        });
      }
    } catch (error) {
      options.signal.throwIfAborted();
      if (!place.ignoreError) throw error;
      tell({ type: "note", text: (error as Error).message });
    }
  }
}

/** The steps that an image is made of. */
export function stepsOf(state: StageState, all: ReadonlyMap<string, StepResult>): Map<string, StepResult> {
  return new Map(
    state.steps.flatMap((key) => {
      const result = all.get(key);
      return result ? [[key, result] as const] : [];
    }),
  );
}
