import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { TsboxError, visible } from "../../base/error.ts";
import { runGit } from "../../helper/git.ts";
import { ignoreOf } from "../ignore.ts";
import { scratchFolder } from "../scratch-folder.ts";
import type { BuildWorld } from "../stage-builder.ts";
import { type GitAddress, parseGitAddress } from "./git-address.ts";
import { HashCache } from "./hash-cache.ts";
import { LocalTree } from "./local-tree.ts";

/** Fetches one commit of a repository into a folder that goes with the build. Returns the folder that is meant. */
export async function fetchGit(
  world: Pick<BuildWorld, "engine" | "trash" | "options">,
  address: GitAddress,
  keepGitDir = false,
): Promise<string> {
  const folder = join(scratchFolder(world), "repository");
  const run = (...words: string[]) => runGit(words, { signal: world.options.signal, env: world.options.env });
  const what = `fetch "${visible(address.url)}"`;
  await run("init", "--quiet", folder).then(told(what));
  // relative addresses of submodules begin there
  await run("-C", folder, "remote", "add", "--", "origin", address.url).then(told(what));
  const ref = address.ref ?? "HEAD";
  await run("-C", folder, "fetch", "--quiet", "--depth", "1", "--", address.url, ref).then(told(what));
  await run("-C", folder, "checkout", "--quiet", "--detach", "FETCH_HEAD").then(told(what));
  await submodules(folder, run, what, keepGitDir);
  if (!keepGitDir) rmSync(join(folder, ".git"), { recursive: true, force: true });
  if (address.folder === undefined) return folder;
  const tree = new LocalTree(folder, ignoreOf([]), new HashCache(join(folder, "..", "hashes")), "the repository");
  const [found] = tree.find(address.folder);
  if (found?.kind === "directory") return join(folder, found.path);
  throw new TsboxError(`Cannot build "${visible(address.url)}": it has no folder "${visible(address.folder)}"`, {
    code: "NO_CONTEXT",
    exitCode: 1,
  });
}

/** As docker does it: a repository is the context with all that it is made of. */
async function submodules(
  folder: string,
  run: (...words: string[]) => ReturnType<typeof runGit>,
  what: string,
  keepGitDir: boolean,
): Promise<void> {
  if (!existsSync(join(folder, ".gitmodules"))) return;
  await run("-C", folder, "submodule", "--quiet", "update", "--init", "--recursive", "--depth", "1").then(
    told(`${what} with its submodules`),
  );
  if (keepGitDir) return;
  // each submodule's, which leads to what is removed with the repository's own
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.name === ".git" && entry.isFile()) rmSync(join(entry.parentPath ?? entry.path, entry.name));
  }
}

export async function gitTree(
  world: Pick<BuildWorld, "engine" | "trash" | "options">,
  text: string,
  { keepGitDir }: { keepGitDir: boolean },
): Promise<LocalTree> {
  const folder = await fetchGit(world, parseGitAddress(text), keepGitDir);
  return new LocalTree(folder, ignoreOf([]), new HashCache(join(folder, "..", "hashes")), "the repository");
}

function told(what: string) {
  return ({ code, stderr }: { code: number; stderr: string }) => {
    if (code === 0) return;
    const lines = stderr.trim().split("\n");
    const why = lines.findLast((line) => /^(fatal|error): /.test(line)) ?? lines.at(-1) ?? "";
    throw new TsboxError(`Cannot ${what}: ${code === 127 ? "the program git is not installed" : visible(why)}`, {
      code: "GIT",
      exitCode: 1,
    });
  };
}
