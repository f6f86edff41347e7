import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "healthcheck run",
  usage: "CONTAINER",
  summary: "Check a running container's health now.",
  description: "Exit status: 0 when the check succeeds, 1 when it does not. It counts as any other check.",
  flags: {},
  words: { min: 1, max: 1 },
  startsProgram: true,
  examples: [
    ["tsbox healthcheck run web", "exit status 0: all is well"],
    ["tsbox healthcheck run web || tsbox inspect -f '{{json .State.Health}}' web", "and what was found, if it is not"],
  ],
  async act({ words: [word = ""] }, context) {
    const { checkHealth } = await import("../../engine/attach.ts");
    checkHealth(engineOf(context), word);
  },
});
