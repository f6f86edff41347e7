import { lstatSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { TsboxError } from "../base/error.ts";
import type { ProcessConfig } from "../oci/types.ts";
import type { Root } from "../plan/build.ts";
import { type HostDirectory, hostRootEntries } from "../plan/host-root.ts";
import type { Identity } from "../plan/idmap.ts";
import type { StorageDriver } from "../plan/storage.ts";
import { kernelMountPoints, mountPoints } from "../sys/mountinfo.ts";
import type { Engine } from "./engine.ts";
import type { RunOptions } from "./run-options.ts";

/** The root filesystem of a container to be, and what its image says of the process. */
export interface ResolvedRoot {
  root: Root;
  /** Where /etc/passwd is looked for, topmost first. */
  lowers: string[];
  config: ProcessConfig;
  /** Empty for `host` and `--rootfs`. */
  imageID: string;
  image: string;
  /** Default working directory when neither the user nor the image names one. */
  cwd: string;
}

/** Variables of the caller that a sandbox of the host's own programs needs to feel at home; nothing that could be a secret. */
const HOST_ENV = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TERM", "COLORTERM"];

export async function resolveRoot(engine: Engine, options: RunOptions, identity: Identity): Promise<ResolvedRoot> {
  const { source, rm } = options;
  if ("rootfs" in source) return directoryRoot(source.rootfs, (await engine.storage()).driver);
  if (source.image === "host") return hostRoot(engine, rm);
  const { resolveImage } = await import("./resolve-image.ts");
  const image = await resolveImage(engine, source.image, {
    policy: options.pull,
    identity,
    ...(options.platform && { platform: options.platform }),
    ...(options.connection && { connection: options.connection }),
  });
  return {
    root: { kind: "image", lowers: image.lowers, volatile: rm, driver: (await engine.storage()).driver },
    lowers: image.lowers,
    config: image.config.config ?? {},
    imageID: image.imageID,
    image: source.image,
    cwd: "/",
  };
}

function directoryRoot(path: string, mounts: StorageDriver): ResolvedRoot {
  let isDirectory = false;
  try {
    isDirectory = statSync(path).isDirectory();
  } catch {
    // told below
  }
  if (!isDirectory) {
    throw new TsboxError(`Cannot use root filesystem "${path}": not a directory`, {
      code: "NO_ROOTFS",
      hint: "--rootfs takes a directory that holds an unpacked root",
    });
  }
  return { root: { kind: "directory", path, mounts }, lowers: [path], config: {}, imageID: "", image: "", cwd: "/" };
}

async function hostRoot(engine: Engine, rm: boolean): Promise<ResolvedRoot> {
  const env = Object.entries(process.env)
    .filter(([name]) => HOST_ENV.includes(name) || name.startsWith("LC_"))
    .map(([name, value]) => `${name}=${value}`);
  return {
    root: {
      kind: "host",
      entries: hostRootEntries(mountPoints(), listDirectory, kernelMountPoints()),
      volatile: rm,
      ...(await hostStorage(engine, rm)),
    },
    lowers: ["/"],
    config: { Env: env, Cmd: [process.env.SHELL || "/bin/sh"] },
    imageID: "",
    image: "host",
    cwd: engine.host.cwd,
  };
}

/** The machine's own root is too much to be copied. Where its changes can't lie in the store they lie in memory. */
async function hostStorage(
  engine: Engine,
  rm: boolean,
): Promise<Pick<Extract<Root, { kind: "host" }>, "driver" | "inMemory">> {
  const { driver, memory, why } = await engine.storage();
  if (driver === "overlay") return { driver };
  if (memory) {
    if (!rm)
      engine.warn(
        'what the sandbox of "host" writes is kept in memory, and gone when it ends: the store cannot hold it ("tsbox doctor" tells why)',
      );
    return { driver, inMemory: true };
  }
  if (driver === "fuse-overlayfs") return { driver };
  throw new TsboxError(
    `Cannot run "host": this machine's root can be neither overlaid${why && ` (${why})`} nor copied`,
    {
      code: "NO_HOST_OVERLAY",
      hint: 'run an image instead: those are copied; "tsbox doctor" tells what is in the way',
    },
  );
}

function listDirectory(path: string): HostDirectory | undefined {
  try {
    const mode = lstatSync(path).mode & 0o7777;
    // Sockets, pipes and devices are left out: these entries are bound one by one, and a bound /run/docker.sock or /run/user/1000/bus
    // would have a service of the host do outside what the sandbox asks. (Through an overlay the kernel lets nobody connect.)
    const wanted = readdirSync(path, { withFileTypes: true }).filter(
      (entry) => entry.isDirectory() || entry.isSymbolicLink() || entry.isFile(),
    );
    const entries = wanted.map((entry) => {
      const child = path === "/" ? `/${entry.name}` : `${path}/${entry.name}`;
      if (entry.isSymbolicLink()) {
        return { name: entry.name, type: "symlink" as const, mode: 0o777, target: readlinkSync(child) };
      }
      const type = entry.isDirectory() ? ("directory" as const) : ("file" as const);
      return { name: entry.name, type, mode: type === "directory" ? lstatSync(child).mode & 0o7777 : 0 };
    });
    return { mode, entries };
  } catch {
    return undefined; // not ours to read: it is not there inside either
  }
}
