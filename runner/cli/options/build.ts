/** Values of `build`'s flags that are more than a word. */

import { resolve } from "node:path";
import type { BuildOutput, BuildSecret, ContextSource } from "../../build/options.ts";
import { UsageError } from "../usage-error.ts";
import { splitCsv } from "./csv.ts";

function fields(text: string): Map<string, string> {
  return new Map(
    splitCsv(text).map((field) => {
      const cut = field.indexOf("=");
      return cut < 0 ? [field, ""] : [field.slice(0, cut), field.slice(cut + 1)];
    }),
  );
}

function only(given: Map<string, string>, known: string[]): void {
  for (const name of given.keys()) {
    if (!known.includes(name))
      throw new UsageError(`unknown field "${name}"`, { hint: `fields are ${known.join(", ")}` });
  }
}

/** `id=NAME,src=FILE`, `id=NAME,env=VARIABLE`; without either the variable NAME, else the file NAME. */
export function parseSecret(text: string, cwd: string, env: NodeJS.ProcessEnv): BuildSecret {
  const given = fields(text);
  only(given, ["id", "src", "source", "env", "type"]);
  const file = given.get("src") ?? given.get("source");
  const id = given.get("id") ?? file?.split("/").at(-1);
  if (!id) throw new UsageError("it needs an id", { hint: "write id=NAME,src=FILE or id=NAME,env=VARIABLE" });
  const variable = given.get("env") ?? (given.get("type") === "env" ? (file ?? id) : undefined);
  if (variable !== undefined) return { id, source: { env: variable } };
  if (file !== undefined) return { id, source: { file: resolve(cwd, file) } };
  return { id, source: env[id] === undefined ? { file: resolve(cwd, id) } : { env: id } };
}

/** `default`, `default=SOCKET`, `NAME=SOCKET`. */
export function parseSsh(text: string, cwd: string, env: NodeJS.ProcessEnv): [id: string, socket: string] {
  const cut = text.indexOf("=");
  const id = cut < 0 ? text : text.slice(0, cut);
  const socket = cut < 0 ? env.SSH_AUTH_SOCK : resolve(cwd, text.slice(cut + 1));
  if (socket === undefined || socket === "") {
    throw new UsageError("there is no agent", {
      hint: "start ssh-agent so that SSH_AUTH_SOCK is set, or name a socket",
    });
  }
  return [id || "default", socket];
}

const TYPES = ["local", "tar", "oci", "docker"] as const;

/** `type=local,dest=DIR`; a path alone is a folder, `-` alone a tar on standard output. */
export function parseOutput(text: string, cwd: string): BuildOutput {
  if (text === "-") return { type: "tar" };
  if (!text.includes("=")) return { type: "local", dest: resolve(cwd, text) };
  const given = fields(text);
  only(given, ["type", "dest", "name"]);
  const type = TYPES.find((one) => one === given.get("type"));
  if (!type)
    throw new UsageError(`there is no type "${given.get("type") ?? ""}"`, { hint: `types are ${TYPES.join(", ")}` });
  const dest = given.get("dest");
  if (type === "local" && (dest === undefined || dest === "-")) {
    throw new UsageError("a folder needs a name", { hint: "write type=local,dest=DIR" });
  }
  return { type, ...(dest !== undefined && dest !== "-" && { dest: resolve(cwd, dest) }) };
}

/** A folder, `-` for standard input, an address of a tar or a Dockerfile, a git repository. */
export function parseContext(text: string, cwd: string): ContextSource {
  if (text === "-") return { kind: "stdin" };
  const [address = "", fragment = ""] = text.split("#", 2);
  const isGit =
    /^(git|ssh):\/\//.test(address) || /^git@[^/]+:/.test(address) || /^(https?|file):\/\/.*\.git\/?$/.test(address);
  if (isGit) {
    const [ref = "", folder = ""] = fragment.split(":", 2);
    return { kind: "git", url: address, ...(ref && { ref }), ...(folder && { folder }) };
  }
  if (/^https?:\/\//i.test(text)) return { kind: "url", url: text };
  return { kind: "folder", path: resolve(cwd, text) };
}

/** `NAME=VALUE`; a name alone takes the caller's variable, or nothing. */
export function parseBuildArgs(words: readonly string[], env: NodeJS.ProcessEnv): Map<string, string> {
  const args = new Map<string, string>();
  for (const word of words) {
    const cut = word.indexOf("=");
    if (cut === 0 || word === "") throw new UsageError(`Cannot set build argument "${word}": it has no name`);
    const value = cut < 0 ? env[word] : word.slice(cut + 1);
    if (value !== undefined) args.set(cut < 0 ? word : word.slice(0, cut), value);
  }
  return args;
}

export function parseAddHost(text: string): string {
  if (/^[^:=\s]+[:=][0-9a-fA-F.:[\]]+$/.test(text)) return text;
  throw new UsageError("expected NAME:ADDRESS", { hint: "for example db:10.0.0.5" });
}

export function parseNamedContext(text: string, cwd: string): [name: string, place: string] {
  const cut = text.indexOf("=");
  if (cut <= 0)
    throw new UsageError("expected NAME=PLACE", { hint: "for example docs=../docs or base=docker-image://alpine" });
  const place = text.slice(cut + 1);
  const layout = /^oci-layout:\/\/(.+)$/.exec(place)?.[1];
  if (layout !== undefined) return [text.slice(0, cut), `oci-layout://${resolve(cwd, layout)}`];
  const isAddress = /^[a-z-]+:\/\//.test(place) || /^git@/.test(place);
  return [text.slice(0, cut), isAddress ? place : resolve(cwd, place)];
}
