/**
 * Bundles the runner into dist/:
 *
 *   tsbox.cjs    what the executable (helper-c/launcher) has Node run: loads hot.cjs, with V8's code cache when that fits
 *   hot.cjs, run.cjs, ps.cjs, diff.cjs, main.cjs    the command line: what is started most, and the rest (split.ts)
 *   *.cache      what V8 compiled of each at build time
 *   unpack-worker.cjs    the thread that unpacks layers
 *   index.cjs, index.mjs    what `require("tsbox")` and `import "tsbox"` give
 *
 *   THIRD-PARTY.txt    licences of the packages that are in the bundles
 *
 * koffi stays outside: it brings a binary of its own.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BuildOptions, build } from "esbuild";
import { fillStore } from "./bundle/fill-store.ts";
import { inlinePage } from "./bundle/inline-page.ts";
import { thirdPartyNotices } from "./bundle/notices.ts";
import { buildCommandLine } from "./bundle/split.ts";

const common: BuildOptions = {
  bundle: true,
  platform: "node",
  target: "node20",
  external: ["koffi"],
  plugins: [inlinePage],
  // Names stay: they are in stack traces that `--debug` shows. The V8 cache makes their length free.
  minifyWhitespace: true,
  minifySyntax: true,
  // Node prints the line that threw.
  lineLimit: 160,
  charset: "ascii",
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
};

const commonJS: BuildOptions = {
  ...common,
  format: "cjs",
  // The sources ask for __dirname first; only the ES module has import.meta.
  define: { "import.meta.url": "undefined" },
};

// V8 knows a cache's source by its length alone: one that a failed build left could be taken for that of another source
mkdirSync("dist", { recursive: true });
for (const name of readdirSync("dist").filter((name) => name.endsWith(".cache"))) rmSync(join("dist", name));

const built = await Promise.all([
  buildCommandLine(commonJS),
  build({ ...commonJS, entryPoints: ["runner/layers/worker.ts"], outfile: "dist/unpack-worker.cjs" }),
  build({ ...commonJS, entryPoints: ["runner/index.ts"], outfile: "dist/index.cjs" }),
  build({ ...common, format: "esm", entryPoints: ["runner/index.ts"], outfile: "dist/index.mjs" }),
]);

const bundled = built.flat().flatMap(({ metafile }) => Object.keys(metafile?.inputs ?? {}));
writeFileSync("dist/THIRD-PARTY.txt", thirdPartyNotices(bundled));

// The types are for `require`, too; the package itself is of ES modules.
writeFileSync("dist/package.json", '{ "type": "commonjs" }\n');
copyFileSync("scripts/bundle/loader.cjs", "dist/tsbox.cjs");

// The store that the warming commands open is thrown away.
const store = mkdtempSync(join(tmpdir(), "tsbox-build-"));
const env = { ...process.env, TSBOX_ROOT: store };
try {
  fillStore(store, env);
  execFileSync(process.execPath, ["scripts/bundle/code-cache.cjs", "dist"], {
    stdio: "inherit",
    env,
  });
} finally {
  try {
    rmSync(store, { recursive: true, force: true });
  } catch {
    // what was unpacked belongs to subordinate ids
    execFileSync("dist/tsbox", ["unshare", "rm", "-rf", store], { env });
  }
}
