import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "unshare",
  usage: "[COMMAND [ARG…]]",
  summary: "Run a program, or your shell, in the user namespace of your containers.",
  description:
    "Files that containers left under subordinate ids are root's there, and you are root: they can be read, changed and removed.",
  flags: {},
  words: { min: 0 },
  startsProgram: true,
  examples: [
    ["tsbox unshare rm -rf ./data", "remove files that a container made under another id"],
    ["tsbox unshare cat /proc/self/uid_map", "see the id map"],
  ],
  async act({ words }, context) {
    const { unshare } = await import("../../engine/unshare.ts");
    unshare(engineOf(context), words);
  },
});
