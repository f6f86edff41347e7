import { TsboxError, visible } from "../base/error.ts";
import { journal } from "../container/journal.ts";
import { familiarName, formatReference, parseReference } from "../oci/reference.ts";
import type { Descriptor } from "../oci/types.ts";
import { changeIndex, refName, withName, withoutName } from "../store/image-index.ts";
import { storeLayout } from "../store/layout.ts";
import type { Engine } from "./engine.ts";
import { parseNewName } from "./new-name.ts";
import { checkNotBuiltin, findNamed, getImage } from "./stored-image.ts";

/** Gives an image one more name; an image that had it before loses it. */
export async function tag(engine: Engine, source: string, name: string): Promise<void> {
  checkNotBuiltin(name, "tag an image as");
  const reference = parseNewName(name, "tag an image");
  const image = getImage(engine, source);
  const [entry] = image.entries;
  if (!entry) return;
  await changeIndex(storeLayout(engine.root), (entries) =>
    withName(entries, formatReference(reference), withoutName(entry)),
  );
  journal(engine.root, { type: "image", action: "tag", id: image.id, name: formatReference(reference) });
}

/** Takes names away from an image, all of them when none is given; the image stays. Returns those that are gone. */
export async function untag(engine: Engine, source: string, names: string[]): Promise<string[]> {
  const image = getImage(engine, source);
  const gone = names.length === 0 ? image.entries.flatMap((entry) => refName(entry) ?? []) : names.map(stored);
  await changeIndex(storeLayout(engine.root), (entries) => {
    const kept = entries.filter((entry) => !gone.includes(refName(entry) ?? ""));
    const orphaned = image.entries.filter(
      (entry, i) =>
        image.entries.findIndex(({ digest }) => digest === entry.digest) === i &&
        !kept.some(({ digest }) => digest === entry.digest),
    );
    return [...kept, ...orphaned.map(withoutName)];
  });
  for (const name of gone) journal(engine.root, { type: "image", action: "untag", id: image.id, name });
  return gone.map((name) => familiarName(parseReference(name)));

  function stored(word: string): string {
    const name = refName(findNamed(image.entries, word) ?? ({} as Descriptor));
    if (name !== undefined) return name;
    throw new TsboxError(`Cannot untag "${visible(word)}": it is no name of image "${visible(source)}"`, {
      code: "NO_SUCH_NAME",
      hint: `"tsbox images" lists names`,
      exitCode: 1,
    });
  }
}
