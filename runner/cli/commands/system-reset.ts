import { confirmed } from "../confirm.ts";
import { boolean } from "../flags.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "system reset",
  usage: "",
  summary: "Remove the whole store: containers, images, volumes and all else.",
  flags: { force: boolean({ short: "f", help: "do not ask" }) },
  words: { min: 0, max: 0 },
  examples: [
    ["tsbox system reset", "as if tsbox had never been used"],
    ["tsbox --root /tmp/store system reset -f", "another store, without being asked"],
  ],
  async act({ flags }, context) {
    const engine = engineOf(context);
    const items = ["all containers", "all images", "all volumes", `the folder ${engine.root}`];
    const warning = `This will remove:\n${items.map((item) => `  - ${item}\n`).join("")}`;
    if (!flags.force && !(await confirmed(context, warning))) return 1;
    const { reset } = await import("../../engine/reset.ts");
    await reset(engine);
    return 0;
  },
});
