import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "volume reload",
  usage: "",
  summary: "Look for volumes anew: nothing has to be, their folders are the list.",
  description: "podman asks its volume plugins. There are none here, so that nothing is ever added or removed.",
  flags: {},
  words: { min: 0, max: 0 },
  examples: [["tsbox volume reload", "says what was added and removed: nothing"]],
  async act(_, context) {
    const { volumes } = await import("../../engine/volumes.ts");
    // as podman: a store that cannot be read is said
    volumes(engineOf(context));
    context.stdout.write("Added:\nRemoved:\n");
  },
});
