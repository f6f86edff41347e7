import { chmodSync, existsSync, mkdirSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { TsboxError, visible } from "../base/error.ts";
import { makeFolder } from "../base/make-folder.ts";
import type { Identity } from "../plan/idmap.ts";
import type { UserMount } from "../plan/mounts.ts";
import type { ResolvedUser } from "../plan/user.ts";
import type { Engine } from "./engine.ts";
import type { ResolvedRoot } from "./root-source.ts";
import type { BindMount, MountFlag, MountRequest, RunOptions, TmpfsMount } from "./run-options.ts";

/** What mounts are resolved against. */
export interface MountSurroundings {
  resolved: ResolvedRoot;
  identity: Identity;
  user: ResolvedUser;
}

/**
 * The mounts of a container to be: those asked for, those of other containers, and volumes where the image wants some. Volumes get their
 * names here and are made later, by withVolumesOf; a run without any never loads what knows them.
 */
export async function resolveMounts(
  engine: Engine,
  options: RunOptions,
  around: MountSurroundings,
): Promise<UserMount[]> {
  const own = await Promise.all(options.mounts.map((request) => resolveMount(engine, request, options, around)));
  const imageVolumes = options.imageVolumes === "ignore" ? {} : (around.resolved.config.Volumes ?? {});
  if (options.volumesFrom.length === 0 && Object.keys(imageVolumes).length === 0) return own;
  const { mountsOfOthers, volumesOfImage } = await import("./volume-mounts.ts");
  const mounts = addMounts(own, await mountsOfOthers(engine, options.volumesFrom));
  const { uid, gid } = around.user;
  return addMounts(mounts, volumesOfImage(engine, Object.keys(imageVolumes), options.imageVolumes, { uid, gid }));
}

/** The nearer wish wins where two name one place. */
function addMounts(mounts: UserMount[], more: UserMount[]): UserMount[] {
  const targets = new Set(mounts.map((mount) => mount.target));
  return [...mounts, ...more.filter((mount) => !targets.has(mount.target))];
}

async function resolveMount(
  engine: Engine,
  request: MountRequest,
  options: RunOptions,
  around: MountSurroundings,
): Promise<UserMount> {
  const owner = { uid: around.user.uid, gid: around.user.gid };
  switch (request.type) {
    case "tmpfs":
      return tmpfs(request);
    case "bind":
      return bind(request, owner, options.printPlan);
    case "volume": {
      const { resolveVolume } = await import("./volume-mounts.ts");
      // the host's own root has everybody's files: nothing of it is copied unasked
      const copy = !request.noCopy && around.resolved.root.kind !== "host";
      return resolveVolume(engine, request, { copy, owner });
    }
    case "image": {
      const { resolveImageMount } = await import("./volume-mounts.ts");
      return resolveImageMount(engine, request, options, around.identity);
    }
  }
}

/** Docker's defaults; `exec`, `suid` and `dev` undo them one by one. */
const TMPFS_FLAGS = ["nosuid", "nodev", "noexec"];

function tmpfs(request: TmpfsMount): UserMount {
  return {
    kind: "tmpfs",
    type: "tmpfs",
    target: request.target,
    flags: [
      ...(request.readOnly ? ["ro"] : []),
      ...TMPFS_FLAGS.filter((flag) => !request.flags.includes(flag.slice(2) as MountFlag)),
    ],
    options: request.options.join(","),
    ...(request.copy && { copy: true }),
  };
}

function bind(request: BindMount, owner: { uid: number; gid: number }, dry: boolean): UserMount {
  const { target } = request;
  const source = bindSource(request.source, request.createSource && !request.overlay, dry);
  const restricting = request.flags.filter((flag) => flag.startsWith("no"));
  if (request.overlay) {
    if (!statSync(source).isDirectory()) {
      throw new TsboxError(`Cannot mount "${visible(source)}" as an overlay: it is not a folder`, {
        code: "NO_MOUNT_SOURCE",
        hint: "the option O is for folders; a file can be mounted with ro",
      });
    }
    const flags = ["private", ...restricting];
    return { kind: "bind", type: "overlay", target, source, lowers: [source], readOnly: false, flags };
  }
  if (request.chown) checkGivable(source);
  return {
    kind: "bind",
    type: "bind",
    source,
    target,
    flags: [
      ...(request.recursive ? ["rec"] : []),
      ...(request.readOnly ? ["ro"] : []),
      request.propagation ?? "rprivate",
      ...restricting,
    ],
    ...(request.chown && { owner }),
  };
}

/** Podman's rule: some folders are too much to be given away by a slip. */
function checkGivable(source: string): void {
  const homes = [process.env.HOME, "/home", "/root"];
  if (
    source !== "/" &&
    !homes.includes(source) &&
    !/^\/(bin|boot|dev|etc|lib|opt|proc|root|run|sbin|sys|usr|var)$/.test(source)
  )
    return;
  throw new TsboxError(
    `Cannot change the owner of everything in "${visible(source)}": it is a folder of the system or a home`,
    {
      code: "MOUNT_OWNER",
      hint: "leave the option U away, or use --userns keep-id, so that the files stay yours",
    },
  );
}

function bindSource(source: string, create: boolean, dry: boolean): string {
  if (!existsSync(source)) {
    if (!create) {
      throw new TsboxError(`Cannot mount "${visible(source)}": it does not exist`, {
        code: "NO_MOUNT_SOURCE",
        hint: "create it first, or use -v, which makes a missing folder",
      });
    }
    if (dry) return source;
    try {
      makeFolder(source);
    } catch (cause) {
      throw new TsboxError(
        `Cannot mount "${visible(source)}": it does not exist, and may not be made (${(cause as NodeJS.ErrnoException).code})`,
        {
          code: "NO_MOUNT_SOURCE",
          cause,
          hint: "name a folder that is there, or one that you may make",
        },
      );
    }
  }
  return realpathSync(source);
}

/** What the overlays among the mounts need on the host, below the container's own folder. */
export function makeMountFolders(dir: string, mounts: UserMount[]): void {
  for (const [number, mount] of mounts.entries()) {
    if (mount.type !== "overlay") continue;
    const place = join(dir, "mounts", String(number));
    for (const name of ["upper", "work", "merged"]) mkdirSync(join(place, name), { recursive: true, mode: 0o711 });
    // the upper directory's own mode is what the container sees of the place
    const [top] = mount.lowers;
    if (top !== undefined) chmodSync(join(place, "upper"), statSync(top).mode & 0o7777);
  }
}

/** Folders of the volumes that go with the container. */
export function anonymousVolumes(engine: Engine, mounts: UserMount[]): string[] {
  return mounts.flatMap((mount) => (mount.anonymous && mount.name ? [join(engine.root, "volumes", mount.name)] : []));
}

/** Makes the volumes among the mounts that do not exist; until `work` is done, which notes that they are used, none is removed. */
export async function withVolumesOf(engine: Engine, mounts: UserMount[], work: () => void): Promise<void> {
  if (!mounts.some((mount) => mount.name !== undefined)) return work();
  const { makeVolumesOf } = await import("./volume-mounts.ts");
  return makeVolumesOf(engine, mounts, work);
}
