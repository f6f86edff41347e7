import { TsboxError } from "../base/error.ts";
import { randomBytes, randomHex } from "../base/random.ts";

/** A generated name is one of each, with an underscore between. */
export const MOODS: readonly string[] = (
  "amber brave bright calm clever cosy daring eager fair fleet gentle glad honest jolly keen kind lively lucid mellow merry neat " +
  "nimble noble patient plucky proud quick quiet ready sage sharp silent spry steady sunny swift tidy vivid warm witty"
).split(" ");
export const ANIMALS: readonly string[] = (
  "badger beaver bison crane curlew dipper dormouse eider falcon ferret finch fox gannet gecko hare heron ibex jackdaw kestrel kite " +
  "lark lemur lynx magpie marten merlin newt osprey otter owl petrel plover puffin raven robin seal stoat swift tern vole wren"
).split(" ");

/** A name for a container that was given none; the caller tries again when it is taken. */
export function generateName(attempt: number): string {
  const number = randomBytes(6);
  const pick = (words: readonly string[], at: number) => words[number.readUInt16LE(at) % words.length];
  return `${pick(MOODS, 0)}_${pick(ANIMALS, 2)}${attempt < 3 ? "" : number.readUInt16LE(4) % 1000}`;
}

export function generateID(): string {
  return randomHex(32);
}

/** Podman's rule for names; docker wants two letters. */
export function checkName(name: string): string {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name) || name.length > 128) {
    throw new TsboxError(`Cannot use container name ${JSON.stringify(name)}: not a valid name`, {
      code: "INVALID_NAME",
      hint: "letters, digits, underscores, dots and hyphens, starting with a letter or digit",
    });
  }
  return name;
}
