import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomHex } from "../base/random.ts";
import type { Engine } from "../engine/engine.ts";
import { explained } from "../engine/explain.ts";
import { EVENTS_FD, failure, startHelper } from "../helper/client.ts";
import type { OutgoingEntry } from "../layers/writer.ts";
import { storePlan } from "../plan/build.ts";
import type { Identity } from "../plan/idmap.ts";
import type { UserMount } from "../plan/mounts.ts";
import { buildCacheFolder } from "../store/build-cache.ts";
import { storeLayout } from "../store/layout.ts";
import { lock, unlock } from "../sys/native.ts";
import type { SourceTree } from "./context/source-tree.ts";
import { collect } from "./copy-files.ts";
import type { RunMount } from "./dockerfile/types.ts";
import type { BuildSecret } from "./options.ts";
import type { RunRequest } from "./run-step.ts";

/** Where the mounts of a RUN come from. */
export interface MountSources {
  secrets: BuildSecret[];
  ssh: Map<string, string>;
  env: NodeJS.ProcessEnv;
  /** The layers of a stage or image, topmost first; undefined: the context. */
  tree(from: string | undefined): Promise<{ lowers: string[] }>;
  /** The same as a tree to copy from. */
  source(from: string): Promise<SourceTree>;
  /** A value with its variables expanded. */
  expand(text: string): string;
  cwd: string;
  refuse(mount: RunMount, why: string, hint?: string): Error;
}

export interface PreparedMounts {
  mounts: UserMount[];
  points: RunRequest["mountPoints"];
  /** Variables that secrets give. */
  env: string[];
  release(): void;
}

/** Makes the mounts of one RUN ready below `dir`. */
export async function prepareMounts(
  engine: Engine,
  identity: Identity,
  list: RunMount[],
  sources: MountSources,
  dir: string,
): Promise<PreparedMounts> {
  const result: PreparedMounts = { mounts: [], points: [], env: [], release: () => {} };
  const held: number[] = [];
  result.release = () => {
    for (const fd of held.splice(0)) unlock(fd);
  };
  try {
    for (const [number, mount] of list.entries()) {
      const value = (name: string) => {
        const text = mount.fields.get(name);
        return text === undefined ? undefined : sources.expand(text);
      };
      const flag = (name: string) => /^(true|1)$/i.test(mount.fields.get(name) ?? "false");
      const target = absolute(value("target") ?? "", sources.cwd);
      const place = { mount, value, flag, target, folder: join(dir, `given-${number}`) };
      switch (mount.type) {
        case "tmpfs": {
          const size = value("size");
          result.mounts.push({
            kind: "tmpfs",
            type: "tmpfs",
            target,
            flags: ["nosuid", "nodev"],
            options: size === undefined ? "mode=1777" : `mode=1777,size=${size}`,
          });
          result.points.push({ path: target, kind: "directory" });
          break;
        }
        case "bind":
          await bind(result, place, sources);
          break;
        case "cache":
          await cache(engine, identity, result, place, held, sources);
          break;
        case "secret":
          await secret(identity, result, place, sources);
          break;
        case "ssh":
          ssh(result, place, sources);
          break;
      }
    }
    return result;
  } catch (error) {
    result.release();
    throw error;
  }
}

interface Place {
  mount: RunMount;
  value(name: string): string | undefined;
  flag(name: string): boolean;
  target: string;
  folder: string;
}

/** A part of the context, a stage or an image. What is written to it with `rw` is thrown away. */
async function bind(result: PreparedMounts, place: Place, sources: MountSources): Promise<void> {
  const { lowers } = await sources.tree(place.value("from"));
  const source = place.value("source") ?? "/";
  const { LayeredTree } = await import("./tree/layered-tree.ts");
  const node = new LayeredTree(lowers).lookup(source);
  if (!node) throw sources.refuse(place.mount, `there is no "${source}" to mount`);
  result.mounts.push({
    kind: "bind",
    type: "overlay",
    target: place.target,
    source: lowers[0] ?? "",
    lowers,
    ...(node.path !== "" && { subpath: `/${node.path}` }),
    readOnly: !place.flag("readwrite"),
    flags: ["private", "nosuid", "nodev", ...(place.flag("readwrite") ? [] : ["ro"])],
  });
  result.points.push({ path: place.target, kind: node.kind === "directory" ? "directory" : "file" });
}

/** A folder of the store that outlives the build. */
async function cache(
  engine: Engine,
  identity: Identity,
  result: PreparedMounts,
  place: Place,
  held: number[],
  sources: MountSources,
): Promise<void> {
  const id = place.value("id") || place.target;
  const owner = { uid: Number(place.value("uid") ?? 0), gid: Number(place.value("gid") ?? 0) };
  const mode = Number.parseInt(place.value("mode") ?? "0755", 8);
  const name = createHash("sha256")
    .update(JSON.stringify([identity.key, id, owner, place.value("from") ?? "", place.value("source") ?? ""]))
    .digest("hex")
    .slice(0, 32);
  const sharing = place.value("sharing") ?? "shared";
  const base = join(buildCacheFolder(engine.root), "mounts");
  mkdirSync(base, { recursive: true, mode: 0o711 });
  let folder = join(base, name);
  if (sharing !== "shared") {
    const layout = storeLayout(engine.root);
    mkdirSync(layout.locks, { recursive: true, mode: 0o700 });
    if (sharing === "locked") held.push(await lock(layout.lock(`build-mount-${name}`)));
    else {
      // private: the first folder that nobody uses
      const { tryLock } = await import("../sys/native.ts");
      for (let number = 0; ; number++) {
        const fd = tryLock(layout.lock(`build-mount-${name}-${number}`));
        if (fd === undefined) continue;
        held.push(fd);
        folder = join(base, number === 0 ? name : `${name}-${number}`);
        break;
      }
    }
  }
  if (!existsSync(join(folder, "data"))) {
    const start = await cacheStart(place, sources);
    mkdirSync(folder, { recursive: true, mode: 0o711 });
    writeFileSync(join(folder, "meta.json"), JSON.stringify({ id, ...owner, created: new Date().toISOString() }));
    // made beside it: a cache is whole or not there
    const staged = join(folder, `new-${randomHex(8)}`);
    mkdirSync(staged, { mode: 0o711 });
    if (start) {
      const { applyEntries } = await import("../engine/apply-entries.ts");
      await applyEntries(identity, staged, start);
    }
    // while it is still the caller's
    chmodSync(staged, mode);
    await give(identity, staged, owner);
    try {
      renameSync(staged, join(folder, "data"));
    } catch (error) {
      if (!existsSync(join(folder, "data"))) throw error;
      // another step was first
    }
  }
  result.mounts.push({
    kind: "bind",
    type: "bind",
    source: join(folder, "data"),
    target: place.target,
    flags: ["private", ...(place.flag("readonly") ? ["ro"] : [])],
  });
  result.points.push({ path: place.target, kind: "directory" });
}

/** What `from=` and `source=` fill a new cache with; undefined: it begins empty. */
async function cacheStart(place: Place, sources: MountSources): Promise<OutgoingEntry[] | undefined> {
  const from = place.value("from");
  if (from === undefined) {
    if (place.value("source") === undefined) return undefined;
    throw sources.refuse(place.mount, "source= is a folder of from=", "name a stage, an image or a context by from=");
  }
  const tree = await sources.source(from);
  const source = place.value("source") ?? "/";
  const [found] = tree.find(source);
  if (found?.kind !== "directory") throw sources.refuse(place.mount, `"${source}" of ${tree.name} is no folder`);
  return (await collect(tree, found, []))
    .filter(({ path }) => path !== "")
    .map(({ record, content }) => {
      const bytes = content?.();
      return { record, ...(bytes && { content: bytes }) };
    });
}

/** What the build was given by --secret: a file that no layer sees, or a variable. */
async function secret(identity: Identity, result: PreparedMounts, place: Place, sources: MountSources): Promise<void> {
  const id = place.value("id") || place.target.split("/").at(-1) || "";
  const variable = place.value("env");
  const given = sources.secrets.find((one) => one.id === id);
  const content = given && readSecret(given, sources.env);
  if (content === undefined) {
    if (!place.flag("required")) return;
    throw sources.refuse(place.mount, `the build was not given the secret "${id}"`, `use --secret id=${id},src=FILE`);
  }
  if (variable !== undefined) {
    result.env.push(`${variable}=${content.toString()}`);
    if (place.value("target") === undefined) return;
  }
  const target = place.value("target") === undefined ? `/run/secrets/${id}` : place.target;
  mkdirSync(place.folder, { mode: 0o711 });
  const file = join(place.folder, "secret");
  writeFileSync(file, content, { mode: 0o600 });
  chmodSync(file, Number.parseInt(place.value("mode") ?? "0400", 8));
  const owner = { uid: Number(place.value("uid") ?? 0), gid: Number(place.value("gid") ?? 0) };
  await give(identity, file, owner);
  result.mounts.push({ kind: "bind", type: "bind", source: file, target, flags: ["ro", "private", "nosuid", "nodev"] });
  result.points.push({ path: target, kind: "file" });
}

function readSecret({ source }: BuildSecret, env: NodeJS.ProcessEnv): Buffer | undefined {
  if ("file" in source) return readFileSync(source.file);
  const value = env[source.env];
  return value === undefined ? undefined : Buffer.from(value);
}

/** The caller's key agent, as a socket. */
function ssh(result: PreparedMounts, place: Place, sources: MountSources): void {
  const id = place.value("id") || "default";
  const socket = sources.ssh.get(id);
  if (socket === undefined) {
    if (!place.flag("required")) return;
    throw sources.refuse(place.mount, `the build was given no agent "${id}"`, `use --ssh ${id}`);
  }
  if (!statSync(socket, { throwIfNoEntry: false })?.isSocket()) {
    throw sources.refuse(
      place.mount,
      `"${socket}" is not the socket of an agent`,
      "start ssh-agent, and add a key to it",
    );
  }
  const target = place.value("target") === undefined ? `/run/buildkit/ssh_agent.${result.mounts.length}` : place.target;
  result.mounts.push({ kind: "bind", type: "bind", source: socket, target, flags: ["private", "nosuid", "nodev"] });
  result.points.push({ path: target, kind: "file" });
  result.env.push(`SSH_AUTH_SOCK=${target}`);
}

/** Gives a path to an id that only exists in the user namespace. */
async function give(identity: Identity, path: string, owner: { uid: number; gid: number }): Promise<void> {
  if (owner.uid === 0 && owner.gid === 0) return;
  const plan = storePlan(identity, [{ op: "chown", source: path, ...owner }, { op: "finish" }], EVENTS_FD);
  const result = await startHelper(plan, ["ignore", "ignore", "pipe"]).done;
  if (result.code !== 0) throw explained(failure(`give "${path}" to ${owner.uid}:${owner.gid}`, result));
}

function absolute(path: string, cwd: string): string {
  return path.startsWith("/") ? path : join(cwd, path);
}
