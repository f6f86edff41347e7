/** The flags of every verb that takes images from a registry: what the project's lock file decides. */

import type { LockOptions } from "../engine/lock/policy.ts";
import type { Parsed } from "./argv.ts";
import { boolean, type Flags, string } from "./flags.ts";

const LOCK = "Lock file";

export const LOCK_FLAGS = {
  frozen: boolean({
    group: LOCK,
    help: "refuse images that tsbox.lock does not have, or has with another digest (TSBOX_FROZEN=1)",
  }),
  offline: boolean({ group: LOCK, help: "never use the network (TSBOX_OFFLINE=1)" }),
  lockfile: string({
    placeholder: "FILE",
    group: LOCK,
    help: "pins of images (default ./tsbox.lock if it is there; TSBOX_LOCK)",
  }),
} satisfies Flags;

/** A flag that was not given leaves the word to its variable. */
export function readLockOptions({
  flags,
  given,
}: Pick<Parsed<typeof LOCK_FLAGS>, "flags"> & { given: Set<string> }): LockOptions {
  return {
    ...(given.has("frozen") && { frozen: flags.frozen }),
    ...(given.has("offline") && { offline: flags.offline }),
    ...(flags.lockfile !== undefined && { lockfile: flags.lockfile }),
  };
}
