/** The flags that `run` and `exec` share, and those of `exec`: few, so that it loads little. */

import { boolean, type Flags, list, value } from "./flags.ts";
import { parseDetachKeys } from "./options/detach-keys.ts";
import { parseUser, parseWorkdir } from "./options/words.ts";

/** Their group in the help. */
export const PROCESS = "Process";

export const PROCESS_FLAGS = {
  detach: boolean({ short: "d", help: "run in the background and print the container's id" }),
  interactive: boolean({ short: "i", help: "keep standard input open" }),
  tty: boolean({ short: "t", help: "give the program a terminal" }),
  detachKeys: value(parseDetachKeys, {
    placeholder: "KEYS",
    help: 'keys that leave a terminal and let the program go on (default "ctrl-p,ctrl-q"; "" for none)',
  }),
  env: list({
    short: "e",
    placeholder: "NAME[=VALUE]",
    group: PROCESS,
    help: "set a variable; without a value, the host's",
  }),
  envFile: list({ placeholder: "FILE", group: PROCESS, help: "read variables from a file, one a line" }),
  user: value(parseUser, {
    short: "u",
    placeholder: "UID[:GID]",
    group: PROCESS,
    help: "run as this user, by id or name",
  }),
  workdir: value(parseWorkdir, {
    short: "w",
    placeholder: "DIR",
    group: PROCESS,
    help: "start in this directory of the container",
  }),
} satisfies Flags;

export const EXEC_FLAGS = {
  ...PROCESS_FLAGS,
  detach: { ...PROCESS_FLAGS.detach, help: "run in the background" },
  privileged: boolean({ group: PROCESS, help: "have all capabilities of the container's user namespace" }),
} satisfies Flags;
