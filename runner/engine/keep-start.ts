import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { WatchedEnv } from "../base/watched-env.ts";
import { actorFields, containerActor } from "../container/journal.ts";
import { ANIMALS, MOODS } from "../container/name.ts";
import type { ContainerRecord } from "../container/record.ts";
import { builtFolder } from "../helper/locate.ts";
import { keepStart } from "../store/kept-starts.ts";
import { originFile } from "../store/layer-store.ts";
import { storeLayout } from "../store/layout.ts";
import { readText } from "../sys/host-facts.ts";
import type { PreparedContainer } from "./create-container.ts";
import type { Engine } from "./engine.ts";
import type { RunOptions } from "./run-options.ts";

/*
 * A kept start is what the launcher needs to make the same `run` again without Node: all that the runner has looked at, and all that it has made
 * ("Contract 3" in ARCHITECTURE.md, helper-c/launcher). What is looked at in more places than are listed here is not kept: `repeats` knows.
 */

/** As the launcher's. */
const MOST_MADE = 64;

/** Variables that are read past the watched environment. */
const READ_ANYWAY = ["HOME", "PATH", "TSBOX_HELPER"];

/** What was typed, and the environment that it is read with. */
export interface CommandLine {
  words: readonly string[];
  env: WatchedEnv;
}

/** A start that is being watched, so that it can be kept. */
export interface WatchedStart {
  /** The same engine; a start that warns is not kept, since a repetition could not. */
  engine: Engine;
  keep(container: PreparedContainer, faceWords: readonly string[]): void;
}

/** To be called before anything is looked at: what changes after this must be noticed. */
export function watchStart(engine: Engine, options: RunOptions, line: CommandLine): WatchedStart | undefined {
  // the launcher looks at the first word only: global flags before the verb are Node's
  if (line.words[0] !== "run" || !repeats(options) || engine.lock.named || engine.lock.frozen) return undefined;
  const program = installedProgram();
  if (program === undefined) return undefined;
  const { root, host } = engine;
  const layout = storeLayout(root);
  const accounts = ["/etc/passwd", "/etc/subuid", "/etc/subgid"].map((path) => asItIs(path));
  const key = engine.identity(options.userns).key;
  const conditions = [
    ...accounts,
    ...["tsbox-helper", "tsbox.cjs", "hot.cjs", "run.cjs"].map((name) => asItIs(join(dirname(program), name))),
    ...[layout.index, join(root, "storage.json"), originFile(layout, key)].map((path) => asItIs(path)),
    ["absent", engine.lock.path],
  ];
  let warned = false;
  const watched: Engine = {
    ...engine,
    warn(text) {
      warned = true;
      engine.warn(text);
    },
  };
  const keep = (container: PreparedContainer, faceWords: readonly string[]) => {
    const words = namePlaced(line.words, options);
    const fill = filler(container.record);
    const variables = line.env.asked();
    if (warned || !variables || !comesAgain(container.record)) return;
    const overlay = container.plan.ops.find((op) => op.op === "overlay");
    const used = [
      root,
      join(layout.layers, key),
      ...(overlay?.lowers ?? []),
      // as it was named, and as it was found: a link may lead elsewhere by then, or another folder be there
      ...options.mounts.flatMap((mount) => (mount.type === "bind" ? [mount.source] : [])),
      ...container.record.mounts.flatMap((mount) => (mount.type === "bind" ? [mount.source] : [])),
      ...(container.record.seccomp === undefined ? [] : [container.record.seccomp]),
      ...(container.plan.mapTools ? Object.values(container.plan.mapTools) : []),
      process.execPath,
    ];
    const kept = [
      ["arguments", ...list(words)],
      ["directory", host.cwd],
      ["caller", String(host.uid), String(host.gid), host.noNewPrivileges ? "0" : "1", process.umask().toString(8)],
      ["program", program],
      ...[...new Set([...READ_ANYWAY, ...variables])].map((name) => variable(name, process.env[name])),
      ...["/proc/sys/kernel/random/boot_id", "/proc/self/uid_map", "/proc/self/gid_map"].map((path) => {
        const text = readText(path);
        return ["text", path, String(text.length), text];
      }),
      ...conditions,
      ...used.map((path) => thereAsItIs(path)),
      ...makingOf(root, container, options.name !== undefined, fill),
      ["helper", ...list(["tsbox-helper", "run", container.planPath, ...faceWords].map(fill))],
    ];
    keepStart(layout, { words: line.words, cwd: host.cwd, entries: kept });
  };
  return {
    engine: watched,
    keep(container, faceWords) {
      try {
        keep(container, faceWords);
      } catch (error) {
        // a store that can't be written, a file that came or went: the next start keeps it
        if (!(error instanceof NotKept) && (error as NodeJS.ErrnoException).code === undefined) throw error;
      }
    },
  };
}

class NotKept extends Error {}

/** The launcher that this was started by, if it is the installed one with its own helper. */
function installedProgram(): string | undefined {
  const script = process.argv[1] ?? "";
  if (script !== join(builtFolder(), "tsbox.cjs") || process.env.TSBOX_HELPER !== undefined) return undefined;
  return script.slice(0, -".cjs".length);
}

/** Whether all that such a run looks at is listed above. */
function repeats(options: RunOptions): boolean {
  const { source, mounts, pull, seccomp } = options;
  return (
    "image" in source &&
    source.image !== "host" &&
    (pull === "missing" || pull === "never") &&
    options.network === "none" &&
    !options.sharing &&
    !options.kernel &&
    !options.addHosts &&
    !options.connection &&
    !options.publish?.length &&
    !options.publishAll &&
    !options.expose?.length &&
    options.cidfile === undefined &&
    !options.replace &&
    !options.printPlan &&
    options.volumesFrom.length === 0 &&
    (seccomp === undefined || seccomp === "unconfined") &&
    mounts.every((mount) => mount.type === "tmpfs" || (mount.type === "bind" && !mount.overlay && !mount.chown))
  );
}

/** What an image wants can be more than the options say. */
function comesAgain({ mounts, storage }: ContainerRecord): boolean {
  return storage === undefined && mounts.every((mount) => mount.name === undefined);
}

/** Names, folders and files as they were made, with the fresh values taken out. */
function makingOf(
  root: string,
  { record, dir }: PreparedContainer,
  named: boolean,
  fill: (text: string) => string,
): string[][] {
  const actor = containerActor(record.id, record.name, record.image, record.labels);
  const created = actorFields({ type: "container", action: "create", ...actor });
  const steps = [["store", root], named ? ["name"] : ["name-of", ...list(MOODS), ...list(ANIMALS)]];
  let count = 1;
  const visit = (folder: string) => {
    for (const entry of readdirSync(join(dir, folder), { withFileTypes: true })) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      const mode = (statSync(join(dir, path)).mode & 0o7777).toString(8);
      if (++count > MOST_MADE) throw new NotKept();
      if (entry.isDirectory()) {
        steps.push(["folder", path, mode]);
        visit(path);
      } else if (entry.isFile()) {
        const content = fill(readFileSync(join(dir, path), "latin1"));
        steps.push(["file", path === RECORD ? `${RECORD}.new` : path, mode, String(content.length), content]);
      } else {
        throw new NotKept();
      }
    }
  };
  visit("");
  return [...steps, ["rename", `${RECORD}.new`, RECORD], ["journal", `{"time":"${HOLE}T",${fill(created)}}\n`]];
}

const RECORD = "record.json";

/** Stands, with a letter, for what the launcher makes anew. */
const HOLE = "\x01";

/** The words with a placeholder where the name is: starts that differ by their name only are one. */
function namePlaced(words: readonly string[], { name, command }: RunOptions): string[] {
  if (words.some((word) => word.includes(HOLE))) throw new NotKept();
  if (name === undefined) return [...words];
  const flags = words.length - command.length - 1;
  const at = words.flatMap((word, i) => {
    if (i >= flags) return [];
    return word === `--name=${name}` || (word === name && words[i - 1] === "--name") ? [i] : [];
  });
  if (at.length !== 1) throw new NotKept();
  return words.map((word, i) => (i === at[0] ? `${word.slice(0, word.length - name.length)}${HOLE}N` : word));
}

/** Puts the launcher's placeholders where a container's id, name, times and maker stand. */
function filler({ id, name, created, maker }: ContainerRecord): (text: string) => string {
  const places: [string, string][] = [
    [`"id":"${id}","name":"${name}"`, `"id":"${HOLE}I","name":"${HOLE}N"`],
    [`"created":"${created}"`, `"created":"${HOLE}C"`],
    [id, `${HOLE}I`],
    [id.slice(0, 12), `${HOLE}i`],
  ];
  if (maker) {
    const { pid, startTime } = maker;
    places.push([
      `"maker":{"pid":${pid},"startTime":"${startTime}"}`,
      `"maker":{"pid":${HOLE}P,"startTime":"${HOLE}S"}`,
    ]);
  }
  return (text) => {
    if (text.includes(HOLE)) throw new NotKept();
    return places.reduce((result, [value, place]) => result.replaceAll(value, place), text);
  };
}

/** A file that must not have been written since, or must still be missing. */
function asItIs(path: string): string[] {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (!found) return ["absent", path];
  const { dev, ino, size, mtimeNs, ctimeNs } = found;
  return ["same", path, ...[dev, ino, size, mtimeNs, ctimeNs].map(String)];
}

/** A file or folder that must still be that one. */
function thereAsItIs(path: string): string[] {
  const { dev, ino } = statSync(path, { bigint: true });
  return ["there", path, String(dev), String(ino)];
}

function variable(name: string, value: string | undefined): string[] {
  return value === undefined ? ["unset", name] : ["variable", name, value];
}

function list(words: readonly string[]): string[] {
  return [String(words.length), ...words];
}
