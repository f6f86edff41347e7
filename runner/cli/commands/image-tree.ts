import { visible } from "../../base/error.ts";
import type { TreeLayer } from "../../engine/image-tree.ts";
import { boolean } from "../flags.ts";
import { shortId } from "../table.ts";
import { humanSize } from "../units.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "image tree",
  usage: "IMAGE",
  summary: "Show the layers of an image, and which images end with them.",
  flags: { whatrequires: boolean({ help: "instead: its topmost layer, and all that other images put on it" }) },
  words: { min: 1, max: 1 },
  examples: [
    ["tsbox image tree wordpress", "its layers, the lowest first"],
    ["tsbox image tree --whatrequires debian:12", "what would have to be made anew with a new debian:12"],
  ],
  async act({ flags, words: [word = ""] }, context) {
    const { imageTree } = await import("../../engine/image-tree.ts");
    const tree = imageTree(engineOf(context), word, { whatRequires: flags.whatrequires });
    const head = [
      `Image ID: ${shortId(tree.id)}`,
      `Tags:     [${tree.names.map(visible).join(" ")}]`,
      `Size:     ${humanSize(tree.size, 4)}`,
      "Image Layers",
    ];
    context.stdout.write(`${[...head, ...branches(tree.layers)].join("\n")}\n`);
  },
});

function branches(layers: readonly TreeLayer[], indent = ""): string[] {
  return layers.flatMap((layer, i) => {
    const last = i === layers.length - 1;
    const top = layer.topOf.length > 0 ? ` Top Layer of: [${layer.topOf.map(visible).join(" ")}]` : "";
    const line = `${indent}${last ? "└──" : "├──"} ID: ${shortId(layer.chainID)} Size: ${humanSize(layer.size, 4)}${top}`;
    return [line, ...branches(layer.children, `${indent}${last ? "    " : "│   "}`)];
  });
}
