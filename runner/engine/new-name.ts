import { TsboxError, visible } from "../base/error.ts";
import { parseReference, type Reference } from "../oci/reference.ts";

/** A name that something is to have: with a digest it would say of it what may not be so. */
export function parseNewName(name: string, action: string): Reference {
  const reference = parseReference(name);
  if (reference.digest === undefined) return reference;
  throw new TsboxError(`Cannot ${action} as "${visible(name)}": a digest is not given but computed`, {
    code: "INVALID_REFERENCE",
    hint: "leave out what follows @",
    exitCode: 1,
  });
}
