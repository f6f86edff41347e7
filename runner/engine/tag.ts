import { TsboxError } from "../base/error.ts";
import { formatReference, parseReference } from "../oci/reference.ts";
import { changeIndex, withName, withoutName } from "../store/image-index.ts";
import { storeLayout } from "../store/layout.ts";
import type { Engine } from "./engine.ts";
import { checkNotBuiltin, getImage } from "./stored-image.ts";

/** Gives an image one more name; an image that had it before loses it. */
export async function tag(engine: Engine, source: string, name: string): Promise<void> {
  checkNotBuiltin(name, "tag an image as");
  const reference = parseReference(name);
  if (reference.digest !== undefined) {
    throw new TsboxError(`Cannot tag an image as "${name}": a digest is not given but computed`, {
      code: "INVALID_REFERENCE",
      hint: "leave out what follows @",
      exitCode: 1,
    });
  }
  const image = getImage(engine, source);
  const [entry] = image.entries;
  if (!entry) return;
  await changeIndex(storeLayout(engine.root), (entries) =>
    withName(entries, formatReference(reference), withoutName(entry)),
  );
}
