import { chmodSync, closeSync, existsSync, fstatSync, mkdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { randomHex } from "../base/random.ts";
import { EVENTS_FD, failure, startHelper } from "../helper/client.ts";
import { layerRecord, RecordKind } from "../layers/abi.ts";
import { initLayerOps, storePlan } from "../plan/build.ts";
import type { Identity } from "../plan/idmap.ts";
import { initLayerPath } from "../store/layer-store.ts";
import { openInRoot } from "../sys/native.ts";
import { applyEntries } from "./apply-entries.ts";
import { type Accounts, callerAccounts } from "./caller-accounts.ts";
import { readBelow } from "./container-user.ts";
import type { Engine } from "./engine.ts";
import { explained } from "./explain.ts";

/**
 * The read-only layer between an image and a container's upper: mount points that the image lacks (/proc, /etc/hosts, …). Made once an
 * image, by an overlay whose upper it is, so that folders keep the attributes they have in the image; never committed.
 */
export async function makeInitLayer(engine: Engine, lowers: string[], identity: Identity): Promise<void> {
  const accounts = identity.kind === "single" ? { passwd: "", group: "" } : callerAccounts(engine, lowers, identity);
  const layer = initLayerPath(lowers);
  // stages of one build make it at the same time
  const staging = `${layer}.${process.pid}-${randomHex(4)}`;
  const part = (name: string) => join(staging, name);
  const byOverlay = (await engine.storage()).driver === "overlay";
  // a folder that belongs to a subordinate id can be renamed by us only where it is
  const upper = byOverlay ? part("upper") : `${staging}-upper`;
  // of a folder and its parents at once Node does not tell why it cannot make them
  if (!existsSync(staging)) mkdirSync(staging);
  for (const path of [upper, part("work"), part("merged")]) mkdirSync(path, { recursive: true });
  // it becomes "/" of the layer, whatever the caller's umask
  chmodSync(upper, statSync(lowers[0] as string).mode & 0o7777);
  if (byOverlay) await makeByOverlay(lowers, part, identity, accounts);
  else await makeByRecords(lowers, upper, identity, accounts);
  try {
    renameSync(upper, layer);
  } catch (error) {
    if (!existsSync(layer)) throw error; // another process was first: its layer is as good
  }
  const { removeTrees } = await import("./remove-trees.ts");
  await removeTrees(engine, byOverlay ? [staging] : [staging, upper], identity);
}

async function makeByOverlay(
  lowers: string[],
  part: (name: string) => string,
  identity: Identity,
  accounts: Accounts,
): Promise<void> {
  const ops = initLayerOps(lowers, part("upper"), part("work"), part("merged"), accounts);
  const result = await startHelper(storePlan(identity, ops, EVENTS_FD), ["ignore", "ignore", "pipe"]).done;
  if (result.code !== 0) throw explained(failure("make the init layer", result));
}

/** Without overlay: as a layer's entries, of which an archive could have told. */
function makeByRecords(lowers: string[], upper: string, identity: Identity, accounts: Accounts): Promise<void> {
  const files = Object.entries(accounts).filter(([, added]) => added !== "");
  const changed = files.map(([name, added]): MountPoint => {
    const path = `etc/${name}`;
    return { path, kind: "file", content: readBelow(lowers, path) + added };
  });
  return makeMountPoints(upper, lowers, [...standardPoints(lowers), ...changed], identity);
}

/** The places that every container mounts over, where the layers lack them. */
export function standardPoints(lowers: string[]): MountPoint[] {
  return [
    ...["proc", "sys", "dev", "etc"].map((path): MountPoint => ({ path, kind: "directory" })),
    ...["etc/hosts", "etc/hostname", "etc/resolv.conf"].map((path): MountPoint => ({ path, kind: "file" })),
  ].filter(({ path }) => !standsBelow(lowers, path));
}

/** Whether the layers show something at a path. A link that leads into another layer is not followed: then it is made once more, and does no harm. */
function standsBelow(lowers: string[], path: string): boolean {
  for (const lower of lowers) {
    try {
      const fd = openInRoot(lower, path);
      try {
        return !fstatSync(fd).isCharacterDevice();
      } finally {
        closeSync(fd);
      }
    } catch {
      // the next layer may have it
    }
  }
  return false;
}

export interface MountPoint {
  path: string;
  kind: "file" | "directory";
  content?: string;
}

/** Makes places that mounts lie on in a layer's tree above others; what is on the way keeps the attributes it has below. */
export function makeMountPoints(
  root: string,
  lowers: string[],
  points: MountPoint[],
  identity: Identity,
): Promise<void> {
  const entries = points.map(({ path, kind, content = "" }) => {
    const bytes = Buffer.from(content);
    const place = { path: Buffer.from(path.replace(/^\/+/, "")), mtimeSeconds: Math.trunc(Date.now() / 1000) };
    return kind === "directory"
      ? { record: layerRecord(RecordKind.DIRECTORY, { ...place, mode: 0o755 }) }
      : {
          record: layerRecord(RecordKind.FILE, { ...place, mode: 0o644, size: bytes.length, data: bytes.length }),
          content: [bytes],
        };
  });
  return applyEntries(identity, root, entries, undefined, lowers);
}
