import type { Reference } from "../../oci/reference.ts";

/** Where `--cache-from` looks for steps of other builds. */
export type CacheSource =
  | { type: "local"; folder: string }
  /** The first of these names that the registry has counts. */
  | { type: "registry"; references: Reference[] };

/** Which steps are kept: those of the image (`min`), or of all stages that were built (`max`). */
export type CacheMode = "min" | "max";

/** Where `--cache-to` keeps the steps of a build. */
export type CacheTarget =
  | { type: "local"; folder: string; mode: CacheMode; ignoreError: boolean }
  | { type: "registry"; reference: Reference; mode: CacheMode; ignoreError: boolean }
  /** In the image's own manifest. */
  | { type: "inline" };
