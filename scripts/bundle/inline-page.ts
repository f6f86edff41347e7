import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { build, type Plugin } from "esbuild";

/**
 * `import page from "./page.html"` gives the page as text, complete in itself: its style sheet and its script (TypeScript, bundled) are
 * put in, and `<!-- policy -->` becomes a policy that allows exactly these two and no request to anywhere.
 */
export const inlinePage: Plugin = {
  name: "inline-page",
  setup({ onLoad }) {
    onLoad({ filter: /\.html$/ }, async ({ path }) => {
      const folder = dirname(path);
      let html = readFileSync(path, "utf8");
      const policy = ["default-src 'none'", "base-uri 'none'", "form-action 'none'"];
      const watchFiles = [path];
      const put = async (kind: "style" | "script", tag: RegExp) => {
        const source = tag.exec(html)?.[1];
        if (source === undefined) throw new Error(`${path}: there is no ${kind} to put in`);
        watchFiles.push(join(folder, source));
        const text = await bundled(join(folder, source));
        if (/<\/(style|script)|<!--/i.test(text))
          throw new Error(`${source}: its text would end the element it is put into`);
        policy.push(`${kind}-src 'sha256-${createHash("sha256").update(text).digest("base64")}'`);
        html = html.replace(tag, () => `<${kind}>${text}</${kind}>`);
      };
      await put("style", /<link rel="stylesheet" href="([^"]+)" \/>/);
      await put("script", /<script src="([^"]+)"><\/script>/);
      return { contents: html.replace("<!-- policy -->", () => policy.join("; ")), loader: "text", watchFiles };
    });
  },
};

async function bundled(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    minify: true,
    format: "iife",
    platform: "browser",
    target: ["chrome100", "firefox100", "safari15.4"],
    logLevel: "warning",
  });
  return outputFiles[0]?.text.trim() ?? "";
}
