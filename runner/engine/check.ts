import { createHash } from "node:crypto";
import {
  createReadStream,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { TsboxError, visible } from "../base/error.ts";
import { chainIDs } from "../oci/chain.ts";
import { isDigest } from "../oci/digest.ts";
import { isIndexType } from "../oci/media-types.ts";
import { familiarName, parseReference } from "../oci/reference.ts";
import type { Descriptor, Digest } from "../oci/types.ts";
import { parseImageConfig, parseIndex, parseJson, parseManifest } from "../oci/validate.ts";
import { idMapText } from "../plan/idmap.ts";
import { hasBlob, readBlob } from "../store/blobs.ts";
import { readIndex, refName } from "../store/image-index.ts";
import { hasLayer, type LayerMeta, layerRoot, layersBelongHere } from "../store/layer-store.ts";
import { type StoreLayout, storeLayout } from "../store/layout.ts";
import { leaseStore } from "../store/lease.ts";
import type { Engine } from "./engine.ts";
import { remakeIndex } from "./remake-index.ts";
import { removeTrees } from "./remove-trees.ts";
import { fetchAgain, identityOf, type RepairOptions, remakeLayer, remakeLowers } from "./repair.ts";
import { findOrphans } from "./sweep.ts";

/** Something that is wrong in the store. */
export interface Problem {
  subject: string;
  state: string;
  /** Sets it right, and tells how; absent where nothing can be done. */
  repair?: () => Promise<string>;
}

export interface Checked {
  images: number;
  blobs: number;
  /** Of the blobs. */
  bytes: number;
  layers: number;
  containers: number;
  volumes: number;
  problems: Problem[];
  /** What nothing leads to: no problem, a prune takes it. */
  orphans: { count: number; bytes: number };
}

export interface CheckOptions extends RepairOptions {
  /** Sizes and names only: no content is hashed. */
  quick: boolean;
}

/** Manifests and configs are read anyway. */
const QUICK = 64 << 10;

/** A container folder without a record is one in the making, or, this old, what a killed `run` left. */
const HOUR = 3_600_000;

/** Looks over the whole store. Nothing is changed. */
export async function checkStore(engine: Engine, options: CheckOptions): Promise<Checked> {
  const layout = storeLayout(engine.root);
  // what is looked at must not be swept meanwhile
  const release = await leaseStore(layout);
  try {
    const checker = new Checker(engine, layout, options);
    await checker.images();
    await checker.otherBlobs();
    await checker.layers();
    checker.containers();
    checker.volumes();
    const { files, layers } = findOrphans(engine, 0);
    const orphans = [...files, ...layers];
    checker.result.orphans = { count: orphans.length, bytes: orphans.reduce((sum, { bytes }) => sum + bytes, 0) };
    return checker.result;
  } finally {
    release();
  }
}

export interface Repaired {
  checked: Checked;
  repaired: { subject: string; how: string }[];
}

/** Checks and repairs until nothing more can be done: only a manifest that is there again tells what else is missing. */
export async function repairStore(engine: Engine, options: CheckOptions): Promise<Repaired> {
  const repaired: Repaired["repaired"] = [];
  const failed = new Map<string, string>();
  for (;;) {
    const checked = await checkStore(engine, options);
    let better = false;
    for (const { subject, repair } of checked.problems) {
      if (!repair || failed.has(subject)) continue;
      try {
        repaired.push({ subject, how: await repair() });
        better = true;
      } catch (error) {
        options.signal?.throwIfAborted();
        failed.set(subject, (error as Error).message);
      }
    }
    if (better) continue;
    for (const problem of checked.problems) {
      const why = failed.get(problem.subject);
      if (why !== undefined) problem.state += `; it could not be repaired: ${why}`;
    }
    return { checked, repaired };
  }
}

/** A layer that an image needs. */
interface NeededLayer {
  diffID: Digest;
  entry: Descriptor;
  blob?: Descriptor;
  /** Chains of the layers that it lies on, topmost first. */
  below: Digest[];
}

class Checker {
  readonly result: Checked = {
    images: 0,
    blobs: 0,
    bytes: 0,
    layers: 0,
    containers: 0,
    volumes: 0,
    problems: [],
    orphans: { count: 0, bytes: 0 },
  };
  readonly #seen = new Map<Digest, boolean>();
  /** diffID of each chainID of the images that could be read, and the entry it is needed for. */
  readonly #chains = new Map<Digest, NeededLayer>();

  constructor(
    private readonly engine: Engine,
    private readonly layout: StoreLayout,
    private readonly options: CheckOptions,
  ) {}

  #problem(subject: string, state: string, repair?: () => Promise<string>): void {
    this.result.problems.push({ subject, state, ...(repair && { repair }) });
  }

  async images(): Promise<void> {
    let entries: Descriptor[];
    try {
      entries = readIndex(this.layout);
    } catch (error) {
      this.#problem("index.json", (error as Error).message, () => remakeIndex(this.layout));
      return;
    }
    this.result.images = new Set(entries.map(({ digest }) => digest)).size;
    for (const entry of entries) await this.#image(entry);
  }

  async #image(entry: Descriptor): Promise<void> {
    const name = shownName(entry);
    const broken = nameProblem(entry);
    if (broken !== undefined) this.#problem(`image "${name}"`, broken);
    if (!isDigest(entry.digest)) return this.#problem(`image "${name}"`, "its digest is none");
    if (!(await this.#blob(entry, entry, "manifest"))) return;
    const what = `manifest ${entry.digest}`;
    try {
      const value = parseJson(readBlob(this.layout, entry.digest), what);
      if (isIndexType(entry.mediaType)) {
        for (const below of parseIndex(value, what).manifests) {
          if (hasBlob(this.layout, below.digest)) await this.#image({ ...below, annotations: entry.annotations ?? {} });
        }
        return;
      }
      const { config, layers } = parseManifest(value, what);
      const configIsGood = await this.#blob(config, entry, "config");
      for (const layer of layers) await this.#blob(layer, entry, "layer");
      if (!configIsGood) return;
      const { rootfs } = parseImageConfig(parseJson(readBlob(this.layout, config.digest), what), what);
      if (rootfs.diff_ids.length !== layers.length) {
        this.#problem(
          `image "${name}"`,
          `its config names ${rootfs.diff_ids.length} layers, its manifest ${layers.length}`,
        );
      }
      const chain = chainIDs(rootfs.diff_ids);
      for (const [i, chainID] of chain.entries()) {
        const blob = rootfs.diff_ids.length === layers.length ? layers[i] : undefined;
        const below = chain.slice(0, i).reverse();
        this.#chains.set(chainID, { diffID: rootfs.diff_ids[i] as Digest, entry, below, ...(blob && { blob }) });
      }
    } catch (error) {
      this.#problem(`image "${name}"`, (error as Error).message);
    }
  }

  /** Whether a blob of an image is what it must be. */
  async #blob(descriptor: Descriptor, entry: Descriptor, role: string): Promise<boolean> {
    const { digest, size } = descriptor;
    const known = this.#seen.get(digest);
    if (known !== undefined) return known;
    const state = await this.#blobState(digest, size);
    this.#seen.set(digest, state === undefined);
    if (state !== undefined) {
      this.#problem(`blob ${digest} (${role} of "${shownName(entry)}")`, state, () =>
        fetchAgain(this.engine, entry, descriptor, this.options),
      );
    }
    return state === undefined;
  }

  async #blobState(digest: Digest, size: number | undefined): Promise<string | undefined> {
    this.options.signal?.throwIfAborted();
    const path = this.layout.blob(digest);
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found) return "is missing";
    this.result.blobs++;
    this.result.bytes += found.size;
    if (size !== undefined && found.size !== size) return `has ${found.size} bytes, expected ${size}`;
    if (this.options.quick && found.size > QUICK) return undefined;
    try {
      const hash = createHash("sha256");
      for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
      const got = `sha256:${hash.digest("hex")}`;
      return got === digest ? undefined : `its content is another: it has ${got}`;
    } catch (error) {
      return `cannot be read: ${(error as Error).message}`;
    }
  }

  /** Blobs that no image needs are for the next pull, and must be right all the same. */
  async otherBlobs(): Promise<void> {
    const folder = dirname(this.layout.blob(`sha256:${"0".repeat(64)}`));
    for (const name of names(folder)) {
      const digest = `sha256:${name}`;
      if (!isDigest(digest)) {
        this.#problem(`file "${visible(join(folder, name))}"`, "is no blob");
        continue;
      }
      if (this.#seen.has(digest)) continue;
      const state = await this.#blobState(digest, undefined);
      if (state === undefined) continue;
      this.#problem(`blob ${digest} (of no image)`, state, async () => {
        rmSync(this.layout.blob(digest), { force: true });
        return "removed";
      });
    }
  }

  async layers(): Promise<void> {
    for (const key of names(this.layout.layers)) {
      for (const name of names(join(this.layout.layers, key))) {
        const chainID = `sha256:${name}`;
        if (!isDigest(chainID)) continue;
        this.result.layers++;
        const folder = join(this.layout.layers, key, name);
        const state = this.#layerState(folder, chainID) ?? (await this.#layerContent(key, chainID));
        if (state === undefined) continue;
        const needed = this.#chains.get(chainID);
        this.#problem(`unpacked layer ${chainID} (${key})`, state, () =>
          remakeLayer(this.engine, folder, key, needed?.entry),
        );
      }
    }
  }

  #layerState(folder: string, chainID: Digest): string | undefined {
    let meta: LayerMeta;
    try {
      meta = JSON.parse(readFileSync(join(folder, "meta.json"), "utf8")) as LayerMeta;
    } catch (error) {
      return `its meta.json cannot be read: ${(error as Error).message}`;
    }
    if (!statSync(join(folder, "root"), { throwIfNoEntry: false })?.isDirectory()) return "it has no root";
    if (meta.chainID !== chainID) return `its meta.json is of ${visible(String(meta.chainID))}`;
    const needed = this.#chains.get(chainID);
    if (needed && needed.diffID !== meta.diffID) {
      return `its meta.json has diffID ${visible(String(meta.diffID))}, its image ${needed.diffID}`;
    }
    return undefined;
  }

  /** Against the layer's blob, where there is one and it is right. */
  async #layerContent(key: string, chainID: Digest): Promise<string | undefined> {
    const { engine, layout } = this;
    const needed = this.#chains.get(chainID);
    const identity = identityOf(engine, key);
    if (this.options.quick || !identity || !needed?.blob || !this.#seen.get(needed.blob.digest)) return undefined;
    // unpacked by another user, or on another machine: the next run makes them anew
    if (!layersBelongHere(layout, key, idMapText(identity))) return undefined;
    if (!needed.below.every((one) => hasLayer(layout, key, one))) return undefined;
    this.options.signal?.throwIfAborted();
    const { layerDamage } = await import("./verify-layer.ts");
    const layer = {
      root: layerRoot(layout, key, chainID),
      lowers: needed.below.map((one) => layerRoot(layout, key, one)),
      blob: needed.blob,
      diffID: needed.diffID,
    };
    try {
      return await layerDamage(engine, identity, layer, this.options.signal);
    } catch (error) {
      this.options.signal?.throwIfAborted();
      return `it cannot be compared with its blob: ${(error as Error).message}`;
    }
  }

  containers(): void {
    const { engine } = this;
    const folder = join(engine.root, "containers");
    for (const id of engine.containers.ids()) {
      this.result.containers++;
      const path = engine.containers.dir(id);
      const record = engine.containers.read(id);
      const short = id.slice(0, 12);
      if (!record) {
        const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
        if (Date.now() - made > HOUR) {
          this.#problem(`container ${short}`, "its record is missing or damaged", async () => {
            await removeTrees(engine, [path], engine.identity());
            return "removed what was left of it";
          });
        }
        continue;
      }
      const subject = `container "${record.name}" (${short})`;
      const link = join(engine.root, "names", record.name);
      if (linkTarget(link) === undefined) {
        this.#problem(`${subject}, name`, "its name does not lead to it", async () => {
          symlinkSync(id, link);
          return "the name leads to it again";
        });
      }
      const gone = record.lowers.filter((lower) => lower.includes("/layers/") && !existsSync(lower));
      if (gone.length === 0) continue;
      const elsewhere = gone.some((lower) => !lower.startsWith(`${this.layout.layers}/`));
      if (elsewhere) this.#problem(subject, "it was made in a store at another place, and its layers are there");
      else this.#problem(subject, `${gone.length} of its layers are missing`, () => remakeLowers(engine, record));
    }
    for (const name of names(join(engine.root, "names"))) {
      const id = linkTarget(join(engine.root, "names", name));
      if (id !== undefined && existsSync(join(folder, id))) continue;
      this.#problem(`container name "${visible(name)}"`, "leads to no container", async () => {
        unlinkSync(join(engine.root, "names", name));
        return "removed";
      });
    }
  }

  volumes(): void {
    const folder = join(this.engine.root, "volumes");
    for (const name of names(folder)) {
      // a name that one has had: it goes with the container that knows it
      if (lstatSync(join(folder, name)).isSymbolicLink()) continue;
      this.result.volumes++;
      try {
        JSON.parse(readFileSync(join(folder, name, "meta.json"), "utf8"));
        if (!existsSync(join(folder, name, "data"))) throw new TsboxError("it has no data folder");
      } catch (error) {
        this.#problem(`volume "${visible(name)}"`, (error as Error).message);
      }
    }
  }
}

function shownName(entry: Descriptor): string {
  const name = refName(entry);
  if (name === undefined) return entry.digest;
  try {
    return familiarName(parseReference(name));
  } catch {
    return visible(name);
  }
}

function nameProblem(entry: Descriptor): string | undefined {
  const name = refName(entry);
  if (name === undefined) return undefined;
  try {
    parseReference(name);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
