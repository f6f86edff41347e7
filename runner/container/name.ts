import { randomBytes, randomInt } from "node:crypto";
import { TsboxError } from "../base/error.ts";

const MOODS = (
  "amber brave bright calm clever cosy daring eager fair fleet gentle glad honest jolly keen kind lively lucid mellow merry neat " +
  "nimble noble patient plucky proud quick quiet ready sage sharp silent spry steady sunny swift tidy vivid warm witty"
).split(" ");
const ANIMALS = (
  "badger beaver bison crane curlew dipper dormouse eider falcon ferret finch fox gannet gecko hare heron ibex jackdaw kestrel kite " +
  "lark lemur lynx magpie marten merlin newt osprey otter owl petrel plover puffin raven robin seal stoat swift tern vole wren"
).split(" ");

/** A name for a container that was given none; the caller tries again when it is taken. */
export function generateName(attempt: number): string {
  const pick = (words: string[]) => words[randomInt(words.length)];
  return `${pick(MOODS)}_${pick(ANIMALS)}${attempt < 3 ? "" : randomInt(1000)}`;
}

export function generateID(): string {
  return randomBytes(32).toString("hex");
}

/** Docker's rule for names. */
export function checkName(name: string): string {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name) || name.length > 128) {
    throw new TsboxError(`Cannot use container name ${JSON.stringify(name)}: not a valid name`, {
      code: "INVALID_NAME",
      hint: "letters, digits, underscores, dots and hyphens, at least two, starting with a letter or digit",
    });
  }
  return name;
}
