import { join } from "node:path";
import { TsboxError, visible } from "../base/error.ts";
import { generateID } from "../container/name.ts";
import { storeLayout } from "../store/layout.ts";
import {
  checkVolumeName,
  listVolumes,
  makeVolume,
  readVolume,
  takeVolume,
  type VolumeMeta,
  volumeFolder,
  withVolumes,
} from "../store/volumes.ts";
import type { Engine } from "./engine.ts";
import { removeTrees } from "./remove-trees.ts";
import { tellVolume } from "./volume-events.ts";
import { parseVolumeOptions } from "./volume-options.ts";

/** A volume and who uses it. */
export interface ListedVolume extends VolumeMeta {
  mountpoint: string;
  /** Names of containers, running or not. */
  users: string[];
}

export interface NewVolume {
  /** Absent: one is made up, and the volume counts as anonymous, as in docker. */
  name?: string;
  labels: Record<string, string>;
  options: Record<string, string>;
}

/** Makes a volume, and returns its name. One of the same name is left as it is, unless it was asked to be something else. */
export async function createVolume(engine: Engine, wanted: NewVolume): Promise<string> {
  const layout = storeLayout(engine.root);
  const { name = generateID(), labels, options } = wanted;
  checkVolumeName(name);
  parseVolumeOptions(name, options);
  return withVolumes(layout, () => {
    const known = readVolume(layout, name);
    if (known === undefined) {
      makeVolume(layout, {
        name,
        created: new Date().toISOString(),
        labels,
        options,
        anonymous: wanted.name === undefined,
      });
      tellVolume(engine, "create", { name, labels });
    } else if (Object.keys(options).length > 0 && !sameOptions(known.options, options)) {
      throw new TsboxError(`Cannot create volume "${name}": it exists with other options`, {
        code: "VOLUME_EXISTS",
        hint: `"tsbox volume inspect ${name}" shows them; "tsbox volume rm ${name}" removes it with what is in it`,
      });
    }
    return name;
  });
}

function sameOptions(a: Record<string, string>, b: Record<string, string>): boolean {
  const text = (options: Record<string, string>) => JSON.stringify(Object.entries(options).sort());
  return text(a) === text(b);
}

export function volumes(engine: Engine): ListedVolume[] {
  const layout = storeLayout(engine.root);
  const users = usersOfVolumes(engine);
  return listVolumes(layout).map((meta) => ({
    ...meta,
    mountpoint: join(volumeFolder(layout, meta.name), "data"),
    users: users.get(meta.name) ?? [],
  }));
}

/** By its name, or the unique start of a made-up one. */
export function findVolume(engine: Engine, word: string): ListedVolume {
  const all = volumes(engine);
  const exact = all.find((volume) => volume.name === word);
  if (exact !== undefined) return exact;
  const starts = word === "" ? [] : all.filter((volume) => volume.anonymous && volume.name.startsWith(word));
  if (starts.length === 1) return starts[0] as ListedVolume;
  throw new TsboxError(
    `Cannot find volume "${visible(word)}": ${starts.length > 1 ? `${starts.length} names start with it` : "no such volume"}`,
    { code: "NO_SUCH_VOLUME", hint: '"tsbox volume ls" lists them', exitCode: 1 },
  );
}

/** Removes a volume that no container uses. */
export async function removeVolume(engine: Engine, word: string): Promise<void> {
  const layout = storeLayout(engine.root);
  await withVolumes(layout, async () => {
    const volume = findVolume(engine, word);
    const { name, users } = volume;
    if (users.length > 0) {
      throw new TsboxError(
        `Cannot remove volume "${name}": container${users.length > 1 ? "s" : ""} ${users.join(", ")} use${users.length > 1 ? "" : "s"} it`,
        { code: "VOLUME_IN_USE", hint: `remove what uses it first: "tsbox rm ${users.join(" ")}"`, exitCode: 2 },
      );
    }
    await takeVolume(layout, name, (path) => removeTrees(engine, [path], engine.identity()));
    tellVolume(engine, "destroy", volume);
  });
}

/** Removes those of the volumes that nobody uses by now. */
export async function removeUnused(engine: Engine, names: string[]): Promise<string[]> {
  const layout = storeLayout(engine.root);
  return withVolumes(layout, async () => {
    const users = usersOfVolumes(engine);
    const free = names.filter((name) => !users.has(name) && readVolume(layout, name) !== undefined);
    for (const name of free) {
      const meta = readVolume(layout, name) ?? { name };
      await takeVolume(layout, name, (path) => removeTrees(engine, [path], engine.identity()));
      tellVolume(engine, "destroy", meta);
    }
    return free;
  });
}

/** Names of the containers that have a volume, by its name. */
function usersOfVolumes(engine: Engine): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const { name, mounts } of engine.containers.all()) {
    for (const volume of new Set(mounts.flatMap((mount) => mount.name ?? []))) {
      users.set(volume, [...(users.get(volume) ?? []), name]);
    }
  }
  return users;
}

/** Where a volume's files lie, for those who read or write all of it. */
export function volumeFolderOf(engine: Engine, word: string): string {
  const volume = findVolume(engine, word);
  const type = parseVolumeOptions(volume.name, volume.options);
  if (type.type === "tmpfs") {
    throw new TsboxError(`Cannot read volume "${volume.name}": it is a tmpfs, which exists in containers only`, {
      code: "VOLUME_OPTIONS",
      exitCode: 1,
    });
  }
  return type.type === "bind" ? type.device : volume.mountpoint;
}
