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
  /** `upper` is a copy of all, in which the container has worked. */
  whole: boolean;
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
    whole: record.storage === "copy",
  };
}

/** Packs layers (topmost first) as one sees them together; nothing is mounted. A running container may use the topmost. */
export function mergedOp(layers: string[], flags: string[] = []): Op {
  return { op: "pack", root: "/", init: "", flags: ["tree", "merge", ...flags], lowers: layers };
}

/** The same of a container: what it has of its own and what it lies on. */
export function containerTreeOp(
  tree: Pick<ContainerTree, "upper" | "lowers" | "init" | "whole">,
  flags: string[] = [],
): Op {
  const { upper, lowers, init, whole } = tree;
  if (!whole) return mergedOp([upper, ...lowers], flags);
  return { op: "pack", root: upper, init, flags: ["tree", "whole", ...flags], lowers };
}
