/** From what `run` was asked to what of the kernel the container sees. Loaded only where something was asked. */

import { accessSync, constants, readdirSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import { GUARDED, type KernelAccess } from "../plan/mounts.ts";
import type { SharedNamespaces } from "../plan/shared.ts";
import { namespacedSysctl } from "../plan/sysctl.ts";
import type { KernelRequest } from "./run-options.ts";

type Device = KernelAccess["devices"][number];

export function kernelAccess(request: KernelRequest, shared: SharedNamespaces): KernelAccess {
  const privileged = request.privileged ?? false;
  const open = (path: string) => privileged || (request.unmask ?? []).some((pattern) => matches(path, pattern));
  return {
    masked: [...GUARDED.masked.filter((path) => !open(path)), ...(request.mask ?? [])],
    readOnly: GUARDED.readOnly.filter((path) => !open(path)),
    writableSys: privileged,
    devices: [
      ...(privileged ? allDevices() : []),
      ...(request.devices ?? []).flatMap(devicesAt),
      ...(request.gpus ? gpuDevices() : []),
    ],
    sysctls: (request.sysctls ?? []).map((text) =>
      namespacedSysctl(text, { network: shared.net === "host", ipc: shared.ipc === "host" }),
    ),
  };
}

/** `ALL`, a path, or a pattern whose `*` is any part of a name; what lies below is meant too. */
function matches(path: string, pattern: string): boolean {
  if (pattern === "ALL") return true;
  const source = pattern.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^/]*");
  return new RegExp(`^${source}(/|$)`).test(path);
}

/** A node, or the nodes of a folder (`/dev/dri`). */
function devicesAt(device: Device): Device[] {
  const found = look(device.source);
  if (found === undefined) {
    throw new TsboxError(`Cannot give the container device "${device.source}": no such file`, {
      code: "NO_DEVICE",
      hint: "--device names a node of this machine, as /dev/fuse or /dev/fuse:/dev/other",
    });
  }
  if (found.isDirectory()) {
    return readdirSync(device.source).flatMap((name) => {
      const inner = { source: join(device.source, name), target: join(device.target, name) };
      const kind = look(inner.source);
      return kind?.isDirectory() || (kind && isNode(kind)) ? devicesAt(inner) : [];
    });
  }
  if (isNode(found)) return [device];
  throw new TsboxError(`Cannot give the container device "${device.source}": it is no device`, {
    code: "NO_DEVICE",
    hint: "files and folders are shown inside by -v",
  });
}

function look(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

function isNode(found: Stats): boolean {
  return found.isCharacterDevice() || found.isBlockDevice();
}

/** Terminals are people's, and the rest is the container's own. */
const OWN =
  /^\/dev\/(console|core|fd|full|hugepages|log|mqueue|null|ptmx|pts|random|shm|std\w+|tty.*|urandom|vcs.*|zero)$/;

/** What --privileged adds: every node that the caller may open, in /dev and its folders. */
function allDevices(): Device[] {
  const found: Device[] = [];
  const list = (folder: string, depth: number) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (OWN.test(path)) continue;
      if (entry.isDirectory()) {
        if (depth > 0) list(path, depth - 1);
      } else if ((entry.isCharacterDevice() || entry.isBlockDevice()) && mayOpen(path)) {
        found.push({ source: path, target: path });
      }
    }
  };
  try {
    list("/dev", 2);
  } catch {
    // a folder that is not ours to read
  }
  return found;
}

function mayOpen(path: string): boolean {
  for (const mode of [constants.R_OK, constants.W_OK]) {
    try {
      accessSync(path, mode);
      return true;
    } catch {
      // the other one
    }
  }
  return false;
}

const GPU = /^\/dev\/(nvidia.*|dri|kfd|dxg)$/;

function gpuDevices(): Device[] {
  const nodes = readdirSync("/dev")
    .map((name) => `/dev/${name}`)
    .filter((path) => GPU.test(path));
  if (nodes.length > 0) return nodes.flatMap((path) => devicesAt({ source: path, target: path }));
  throw new TsboxError(
    "Cannot give the container GPUs: this machine has no /dev/nvidia*, /dev/dri, /dev/kfd or /dev/dxg",
    {
      code: "NO_GPU",
      hint: "the driver makes these nodes; its libraries must be in the image, or mounted by -v",
    },
  );
}
