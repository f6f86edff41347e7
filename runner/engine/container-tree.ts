import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import type { ContainerRecord } from "../container/record.ts";
import type { Identity } from "../plan/idmap.ts";
import type { Op } from "../plan/types.ts";
import { initLayerPath } from "../store/layer-store.ts";
import { containerIdentity } from "./container-identity.ts";
import type { Engine } from "./engine.ts";

/** A container's own files and what they lie on. */
export interface ContainerTree {
  upper: string;
  /** The image's layers, topmost first. */
  lowers: string[];
  init: string;
  identity: Identity;
  /** A folder to mount on, in a mount namespace of its own. */
  target: string;
}

/** `host` and `--rootfs` containers lie on no image. */
export function containerTree(engine: Engine, record: ContainerRecord, action: string): ContainerTree {
  if (record.imageID === "") {
    throw new TsboxError(`Cannot ${action} container "${record.name}": it was made from no image`, {
      code: "NO_IMAGE",
      hint: "its root is a directory of this machine, which has all that it wrote",
      exitCode: 1,
    });
  }
  if (record.storageSize !== undefined) {
    throw new TsboxError(`Cannot ${action} container "${record.name}": what it wrote is in its own memory`, {
      code: "STORAGE_IN_MEMORY",
      hint: `it was made with --storage-opt size; "tsbox cp" copies files out while it runs`,
      exitCode: 1,
    });
  }
  const dir = engine.containers.dir(record.id);
  const lowers = record.lowers.slice(1);
  return {
    upper: join(dir, "upper"),
    lowers,
    init: initLayerPath(lowers),
    identity: containerIdentity(engine, record),
    target: join(dir, "merged"),
  };
}

/** Mounts layers (topmost first) as one sees them, read-only, and packs that. A running container may use the topmost. */
export function mergedOps(target: string, layers: string[], flags: string[] = []): Op[] {
  // overlay wants two layers at least where there is none to write to: the empty folder is as good as none
  const lowers = layers.length > 1 ? layers : [...layers, target];
  return [
    { op: "overlay", target, upper: "", work: "", flags: ["userxattr", "ro"], lowers },
    { op: "pack", root: target, init: "", flags: ["tree", ...flags], lowers: layers },
  ];
}
