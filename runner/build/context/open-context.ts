import { createHash } from "node:crypto";
import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { TsboxError, visible } from "../../base/error.ts";
import { buildCacheFolder } from "../../store/build-cache.ts";
import { type Ignore, ignoreOf, parseIgnore } from "../ignore.ts";
import type { BuildOptions } from "../options.ts";
import type { BuildWorld } from "../stage-builder.ts";
import { HashCache } from "./hash-cache.ts";
import { LocalTree } from "./local-tree.ts";

export interface OpenContext {
  tree: LocalTree;
  ignore: Ignore;
  hashes: HashCache;
  dockerfile: { text: string; name: string };
  /** Names the build among others: for what is remembered of the last one. */
  identity: string;
}

type World = Pick<BuildWorld, "engine" | "identity" | "trash" | "options">;

/** Brings the context to a folder, and reads the Dockerfile. */
export async function openContext(world: World, stdin: AsyncIterable<Uint8Array>): Promise<OpenContext> {
  const { options } = world;
  const { context } = options;
  if (context.kind === "stdin" && options.file === "-") {
    throw new TsboxError("Cannot build: standard input cannot be both the context and the Dockerfile", {
      code: "USAGE",
      exitCode: 1,
    });
  }
  let folder: string;
  let given: string | undefined = options.file === "-" ? await all(stdin) : undefined;
  switch (context.kind) {
    case "folder":
      folder = context.path;
      break;
    case "git":
      folder = await (await import("./git.ts")).fetchGit(world, context);
      break;
    case "url": {
      const { putFile } = await import("./fetch.ts");
      const file = await putFile(world, context.url, context.url);
      const open = () => createReadStream(file.path, { highWaterMark: 1 << 20 });
      const { archiveOrDockerfile } = await import("./archive-context.ts");
      ({ folder, given } = await archiveOrDockerfile(world, open(), given));
      break;
    }
    case "stdin": {
      const { archiveOrDockerfile } = await import("./archive-context.ts");
      ({ folder, given } = await archiveOrDockerfile(world, stdin, given));
      break;
    }
  }
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new TsboxError(
      `Cannot build "${visible(folder)}": ${existsSync(folder) ? "not a folder" : "no such folder"}`,
      {
        code: "NO_CONTEXT",
        hint: "the context is the folder that COPY takes files from: often .",
        exitCode: 1,
      },
    );
  }
  const path = given === undefined ? dockerfilePath(folder, options) : undefined;
  const dockerfile =
    path === undefined
      ? { text: given as string, name: "Dockerfile" }
      : { text: readFileSync(path, "utf8"), name: shownName(path, options.cwd) };
  const ignore = readIgnore(folder, path);
  const fixed = context.kind === "folder" ? folder : JSON.stringify(context);
  // a context that was made for this build has new inodes each time: nothing to remember
  const lasting = context.kind === "folder";
  const hashes = lasting ? contextHashes(world.engine.root, folder) : new HashCache(join(dirname(folder), "hashes"));
  const tree = new LocalTree(folder, ignore, hashes, "the context", lasting);
  return { tree, ignore, hashes, dockerfile, identity: `${fixed} ${path ?? "-"} ${options.target ?? ""}` };
}

/** What is remembered of the files of a folder that builds read from. */
export function contextHashes(root: string, folder: string): HashCache {
  const name = createHash("sha256").update(folder).digest("hex").slice(0, 32);
  return new HashCache(join(buildCacheFolder(root), "hashes", name));
}

function shownName(path: string, cwd: string): string {
  const near = relative(cwd, path);
  return near.startsWith("..") ? path : near;
}

function dockerfilePath(folder: string, options: BuildOptions): string {
  if (options.file !== undefined) {
    // beside the caller first, as docker; then in the context, as podman
    const found = [options.file, join(folder, relative(options.cwd, options.file))].find((path) =>
      statSync(path, { throwIfNoEntry: false })?.isFile(),
    );
    if (found) return found;
    throw new TsboxError(`Cannot read the Dockerfile "${visible(options.file)}": no such file`, {
      code: "NO_DOCKERFILE",
      exitCode: 1,
    });
  }
  const found = ["Dockerfile", "Containerfile", "dockerfile"].find((name) => existsSync(join(folder, name)));
  if (found) return join(folder, found);
  throw new TsboxError(`Cannot build "${visible(folder)}": it has no Dockerfile`, {
    code: "NO_DOCKERFILE",
    hint: "name one with -f, or -f - for standard input",
    exitCode: 1,
  });
}

/** `NAME.dockerignore` beside the Dockerfile, else the context's. */
function readIgnore(folder: string, dockerfile: string | undefined): Ignore {
  const places = [
    ...(dockerfile === undefined ? [] : [`${dockerfile}.dockerignore`, `${dockerfile}.containerignore`]),
    join(folder, ".containerignore"),
    join(folder, ".dockerignore"),
  ];
  const found = places.find((path) => existsSync(path));
  return found === undefined ? ignoreOf([]) : parseIgnore(readFileSync(found, "utf8"));
}

export async function all(source: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
