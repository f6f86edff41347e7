import { existsSync, realpathSync } from "node:fs";
import { join, posix } from "node:path";
import { TsboxError, visible } from "../base/error.ts";
import { generateID } from "../container/name.ts";
import type { ContainerRecord } from "../container/record.ts";
import type { Identity } from "../plan/idmap.ts";
import type { UserMount } from "../plan/mounts.ts";
import { storeLayout } from "../store/layout.ts";
import { makeVolume, readVolume, renameVolume, volumeFolder, withVolumes } from "../store/volumes.ts";
import type { Engine } from "./engine.ts";
import type { ImageMount, ImageVolumes, MountFlag, RunOptions, VolumeMount } from "./run-options.ts";
import { tellVolume } from "./volume-events.ts";
import { parseVolumeOptions } from "./volume-options.ts";

/** A volume at a place of a container to be. It need not exist yet. */
export function resolveVolume(
  engine: Engine,
  request: VolumeMount,
  use: { copy: boolean; owner: { uid: number; gid: number } },
): UserMount {
  const layout = storeLayout(engine.root);
  const name = request.name ?? generateID();
  const known = request.name === undefined ? undefined : readVolume(layout, name);
  const given = parseVolumeOptions(name, known?.options ?? request.options);
  const common = {
    kind: "volume" as const,
    target: request.target,
    name,
    ...(request.name === undefined && { anonymous: true }),
    ...(known === undefined && { make: { options: request.options, labels: request.labels } }),
  };
  const flags = [
    ...(request.readOnly || given.flags.includes("ro") ? ["ro"] : []),
    ...RESTRICTIONS.filter((flag) => request.flags.includes(flag) || given.flags.includes(flag)),
  ];
  if (given.type === "tmpfs") {
    if (request.subpath !== undefined) throw noSubpath(name, "it is a tmpfs, which is empty");
    return { ...common, type: "tmpfs", flags, options: given.options };
  }
  const folder = volumeFolder(layout, name);
  return {
    ...common,
    type: "bind",
    source: given.type === "bind" ? deviceOf(name, given.device) : join(folder, "data"),
    flags: [...(given.type === "bind" && given.recursive ? ["rec"] : []), "rprivate", ...flags],
    ...(request.subpath !== undefined && { subpath: request.subpath }),
    ...(given.type === "folder" && { fill: { folder, copy: use.copy && request.subpath === undefined, ...use.owner } }),
    ...(request.chown && { owner: use.owner }),
  };
}

const RESTRICTIONS: MountFlag[] = ["nosuid", "nodev", "noexec"];

function deviceOf(name: string, device: string): string {
  if (existsSync(device)) return realpathSync(device);
  throw new TsboxError(`Cannot mount volume "${name}": its device "${visible(device)}" does not exist`, {
    code: "NO_MOUNT_SOURCE",
    hint: `make the folder, or "tsbox volume rm ${name}" and create the volume anew`,
  });
}

function noSubpath(name: string, why: string): TsboxError {
  return new TsboxError(`Cannot mount a part of volume "${name}": ${why}`, { code: "NO_MOUNT_SOURCE" });
}

/** An image's root as it is, or with writes that are the container's alone. */
export async function resolveImageMount(
  engine: Engine,
  request: ImageMount,
  options: RunOptions,
  identity: Identity,
): Promise<UserMount> {
  const { resolveImage } = await import("./resolve-image.ts");
  const image = await resolveImage(engine, request.image, {
    policy: options.pull,
    identity,
    ...(options.platform && { platform: options.platform }),
  });
  return {
    kind: "image",
    type: "overlay",
    target: request.target,
    source: request.image,
    lowers: image.lowers,
    readOnly: request.readOnly,
    flags: ["private", "nosuid", "nodev", ...(request.readOnly ? ["ro"] : [])],
    ...(request.subpath !== undefined && { subpath: request.subpath }),
  };
}

/** `--volumes-from`: the bind mounts and volumes of other containers. They stay the others': this container does not take them along when it goes. */
export async function mountsOfOthers(engine: Engine, from: RunOptions["volumesFrom"]): Promise<UserMount[]> {
  const mounts = new Map<string, UserMount>();
  for (const { container, readOnly } of from) {
    const record = engine.containers.find(container);
    for (const mount of record.mounts) {
      if (mount.kind !== "bind" && mount.kind !== "volume") continue;
      const { anonymous, ...kept } = anonymousOfPassing(record, mount) ? await takeOver(engine, mount) : mount;
      if (readOnly && !kept.flags.includes("ro")) kept.flags = [...kept.flags, "ro"];
      // the last one wins, where two name one place
      mounts.set(kept.target, kept);
    }
  }
  return [...mounts.values()];
}

function anonymousOfPassing(record: ContainerRecord, mount: UserMount): boolean {
  return record.autoRemove && mount.anonymous === true;
}

/** A container with --rm removes its anonymous volumes by their names when it ends. One that somebody else has as well gets another name. */
async function takeOver(engine: Engine, mount: UserMount): Promise<UserMount> {
  const layout = storeLayout(engine.root);
  const name = await withVolumes(layout, () => renameVolume(layout, mount.name ?? "", generateID()));
  const folder = volumeFolder(layout, name);
  if (mount.type !== "bind") return { ...mount, name };
  return { ...mount, name, source: join(folder, "data"), ...(mount.fill && { fill: { ...mount.fill, folder } }) };
}

/** The places that an image wants kept outside of its layers. */
export function volumesOfImage(
  engine: Engine,
  paths: string[],
  mode: ImageVolumes,
  owner: { uid: number; gid: number },
): UserMount[] {
  const targets = [...new Set(paths.map((path) => posix.join("/", path).replace(/\/+$/, "")))];
  return targets
    .filter((target) => target !== "")
    .map((target) =>
      mode === "tmpfs"
        ? { kind: "tmpfs", type: "tmpfs", target, flags: ["nosuid", "nodev"], options: "" }
        : resolveVolume(
            engine,
            {
              type: "volume",
              target,
              readOnly: false,
              noCopy: false,
              flags: [],
              chown: false,
              options: {},
              labels: {},
            },
            { copy: true, owner },
          ),
    );
}

/** See withVolumesOf. A volume that was there when the mounts were resolved and is not any more fails the whole. */
export async function makeVolumesOf(engine: Engine, mounts: UserMount[], work: () => void): Promise<void> {
  const layout = storeLayout(engine.root);
  await withVolumes(layout, () => {
    const missing = mounts.flatMap(({ name, make, anonymous = false }) => {
      if (name === undefined || readVolume(layout, name) !== undefined) return [];
      if (make !== undefined) return [{ name, anonymous, ...make }];
      throw new TsboxError(`Cannot mount volume "${name}": it was removed just now`, {
        code: "NO_SUCH_VOLUME",
        hint: "run the command again",
      });
    });
    // first, so that whenever we are killed somebody's record leads to the volumes
    work();
    for (const volume of missing) {
      // mounted at two places
      if (readVolume(layout, volume.name) !== undefined) continue;
      makeVolume(layout, { created: new Date().toISOString(), ...volume });
      tellVolume(engine, "create", { name: volume.name, labels: volume.labels });
    }
  });
}
