import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { adoptLayer } from "../engine/adopt-layer.ts";
import { containerUser } from "../engine/container-user.ts";
import { type Description, makeShared, makeWritable, planOf } from "../engine/create-container.ts";
import type { Engine } from "../engine/engine.ts";
import { explained } from "../engine/explain.ts";
import { makeInitLayer, makeMountPoints, standardPoints } from "../engine/init-layer.ts";
import { packLayer } from "../engine/pack-layer.ts";
import { processLimit } from "../engine/process-limit.ts";
import type { RunOptions } from "../engine/run-options.ts";
import { seccompFilter, underFilter } from "../engine/seccomp.ts";
import { unpackOne } from "../engine/unpack-image.ts";
import { EVENTS_FD, failure, startHelper } from "../helper/client.ts";
import { initLayerOps, storePlan } from "../plan/build.ts";
import { capabilityMask } from "../plan/capabilities.ts";
import type { Identity } from "../plan/idmap.ts";
import { GUARDED, type UserMount } from "../plan/mounts.ts";
import { DEFAULT_PATH, processEnv } from "../plan/process.ts";
import type { Op } from "../plan/types.ts";
import { blobStream } from "../store/blob-store.ts";
import { openInbox } from "../store/inbox.ts";
import { hasLayer, initLayerPath } from "../store/layer-store.ts";
import { makeStore, storeLayout } from "../store/layout.ts";
import { stagingFolder } from "../store/staging.ts";
import { closeFd, makePipe } from "../sys/native.ts";
import { keptInit } from "./kept-init.ts";
import type { MadeLayer } from "./make-layer.ts";
import { chainOn, type ParentTree } from "./parent-tree.ts";
import { StepFailed } from "./step-failed.ts";
import { LayeredTree } from "./tree/layered-tree.ts";

export interface RunRequest {
  argv: string[];
  /** The image's variables and the visible arguments. */
  env: string[];
  cwd: string;
  user: string;
  network: "none" | "host";
  mounts: UserMount[];
  /** Files and folders that are mounted over: made where the tree lacks them, and not part of the layer. */
  mountPoints: { path: string; kind: "file" | "directory" }[];
  addHosts: string[];
  sourceDateEpoch?: number;
  signal: AbortSignal;
  onLine: (line: string) => void;
}

/** How much of a failed command's output is said again with its error. */
const LAST_LINES = 10;

/** Places for what a step leaves: trees that only the user namespace may remove. */
export interface Trash {
  add(path: string, release: () => void): void;
}

/**
 * Runs one command on a tree, as `run` would: the same namespaces, filter and capabilities. What it wrote becomes a layer, or none where it changed
 * nothing.
 */
export async function runStep(
  engine: Engine,
  identity: Identity,
  parent: ParentTree,
  request: RunRequest,
  trash: Trash,
): Promise<MadeLayer | undefined> {
  const layout = storeLayout(engine.root);
  const staged = stagingFolder(layout);
  const dir = staged.path;
  trash.add(dir, staged.release);
  const lowers = parent.lowers.length > 0 ? parent.lowers : [emptyLower(dir)];
  const init = await initLayer(engine, identity, dir, lowers, request.mountPoints);
  const description = await describe(engine, identity, lowers, init, request);
  makeWritable(dir, description);
  makeShared(engine, dir, description, HOSTNAME);
  if (request.addHosts.length > 0) addHosts(join(dir, "hosts"), request.addHosts);
  const { plan } = planOf(
    description,
    HOSTNAME,
    { dir, writable: dir },
    {
      stdio: "inherit",
      stdin: false,
      detach: false,
      signalProxy: false,
      dieWithParent: true,
      eventsFd: EVENTS_FD,
      cleanup: [],
    },
  );
  await execute({ ...plan, hostnameMayStay: true }, request);
  return keepLayer(engine, identity, parent, { upper: join(dir, "upper"), init, request });
}

/** The same for every step: a name that differs would be a difference in what steps make. */
const HOSTNAME = "buildstep";

async function execute(plan: Parameters<typeof startHelper>[0], request: RunRequest): Promise<void> {
  request.signal.throwIfAborted();
  const [reader, writer] = makePipe();
  const output = new Socket({ fd: reader, readable: true, writable: false });
  let run: ReturnType<typeof startHelper>;
  try {
    run = startHelper(plan, ["ignore", writer, writer]);
  } finally {
    closeFd(writer);
  }
  const last: string[] = [];
  const lines = createInterface({ input: output, crlfDelay: Number.POSITIVE_INFINITY });
  const told = new Promise<void>((resolve) => lines.on("close", resolve));
  lines.on("line", (line) => {
    last.push(line);
    if (last.length > LAST_LINES) last.shift();
    request.onLine(line);
  });
  const abort = () => run.kill();
  request.signal.addEventListener("abort", abort, { once: true });
  try {
    const [result] = await Promise.all([run.done, told]);
    request.signal.throwIfAborted();
    const exited = result.events.find((event) => event.event === "exited");
    if (exited) {
      if (exited.code !== 0) throw new StepFailed(exited.code, last);
    } else {
      const failed = result.events.find((event) => event.event === "failed");
      throw failed ? explained(failure("run the step", result)) : new StepFailed(result.code, last);
    }
  } finally {
    request.signal.removeEventListener("abort", abort);
  }
}

async function describe(
  engine: Engine,
  identity: Identity,
  lowers: string[],
  init: string,
  request: RunRequest,
): Promise<Description> {
  const user = containerUser(request.user, lowers);
  const capabilities = capabilityMask([], []);
  const seccomp = await seccompFilter(engine, capabilities);
  const limit = processLimit(engine.host, {});
  const options: RunOptions = { ...PLAIN, network: request.network, hostname: HOSTNAME };
  return {
    options,
    identity,
    resolved: {
      root: { kind: "image", lowers, volatile: true, driver: (await engine.storage()).driver },
      lowers,
      config: {},
      imageID: "",
      image: "",
      cwd: "/",
    },
    root: { kind: "image", lowers: [init, ...lowers], volatile: true, driver: (await engine.storage()).driver },
    process: {
      argv: request.argv,
      env: processEnv([`PATH=${DEFAULT_PATH}`, `HOME=${user.home}`], request.env),
      cwd: request.cwd,
      user,
      capabilities,
      noNewPrivileges: false,
      ...underFilter(seccomp),
      ulimits: [],
    },
    mounts: request.mounts,
    kernel: GUARDED,
    ...(limit !== undefined && { processLimit: limit }),
  };
}

const PLAIN: RunOptions = {
  source: { image: "" },
  command: [],
  detach: false,
  interactive: false,
  tty: false,
  env: [],
  unsetEnv: [],
  replace: false,
  rm: true,
  network: "none",
  mounts: [],
  volumesFrom: [],
  imageVolumes: "ignore",
  readOnly: false,
  init: false,
  capAdd: [],
  capDrop: [],
  noNewPrivileges: false,
  ulimits: [],
  labels: {},
  pull: "never",
  printPlan: false,
  signalProxy: true,
};

/** An overlay needs something to lie on, also where the image is `scratch`. */
function emptyLower(dir: string): string {
  const path = join(dir, "empty", "root");
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o755);
  return path;
}

/** The mount points between the tree and what the step writes: those of every container, kept beside the tree, or this step's own. */
async function initLayer(
  engine: Engine,
  identity: Identity,
  dir: string,
  lowers: string[],
  points: RunRequest["mountPoints"],
): Promise<string> {
  const tree = new LayeredTree(lowers);
  const missing = points.filter(({ path }) => !isThere(tree, path));
  if (missing.length === 0) {
    const fitting = keptInit(lowers);
    if (fitting !== undefined) return fitting;
    const kept = initLayerPath(lowers);
    if (!existsSync(kept)) await makeInitLayer(engine, lowers, identity);
    return kept;
  }
  const place = join(dir, "init");
  for (const name of ["upper", "work", "merged"]) mkdirSync(join(place, name), { recursive: true });
  chmodSync(join(place, "upper"), (tree.lookup("")?.mode ?? 0o755) & 0o7777);
  if ((await engine.storage()).driver !== "overlay") {
    await makeMountPoints(join(place, "upper"), lowers, [...standardPoints(lowers), ...missing], identity);
    return join(place, "upper");
  }
  const ops = initLayerOps(lowers, join(place, "upper"), join(place, "work"), join(place, "merged"), {
    passwd: "",
    group: "",
  });
  const extra = missing.map(
    ({ path, kind }): Op =>
      kind === "directory"
        ? { op: "mkdir", dest: path, mode: 0o755 }
        : { op: "file", dest: path, mode: 0o644, content: "" },
  );
  const plan = storePlan(identity, [...ops.slice(0, -1), ...extra, { op: "finish" }], EVENTS_FD);
  const result = await startHelper(plan, ["ignore", "ignore", "pipe"]).done;
  if (result.code !== 0) throw explained(failure("make the mount points", result));
  return join(place, "upper");
}

/** Behind a folder that is closed to the caller it counts as missing: what is there already is left as it is. */
function isThere(tree: LayeredTree, path: string): boolean {
  try {
    return tree.lookup(path) !== undefined;
  } catch {
    return false;
  }
}

/** Packs what was written; the tree that is there already becomes the unpacked layer. */
async function keepLayer(
  engine: Engine,
  identity: Identity,
  parent: ParentTree,
  done: { upper: string; init: string; request: RunRequest },
): Promise<MadeLayer | undefined> {
  const layout = storeLayout(engine.root);
  const { upper, init, request } = done;
  const { driver } = await engine.storage();
  makeStore(layout);
  // the disk takes its time with the blob: the next step needs the tree only
  const inbox = openInbox(layout);
  let leftOpen = false;
  try {
    const packed = await packLayer(engine, {
      upper,
      lowers: parent.lowers,
      init,
      whole: driver === "copy",
      identity,
      inbox,
      ...(request.sourceDateEpoch !== undefined && { sourceDateEpoch: request.sourceDateEpoch }),
      signal: request.signal,
    });
    if (!packed.changed) return undefined;
    const chainID = chainOn(parent.chainID, packed.diffID);
    const parents = parent.chainID === undefined ? [] : [parent.chainID];
    // what fuse-overlayfs writes has marks of its own
    const adopted =
      driver === "overlay" && (await adoptLayer(engine, { upper, lowers: parent.lowers, packed, parents, identity }));
    if (!adopted && !hasLayer(layout, identity.key, chainID)) {
      const expected = { diffID: packed.diffID, chainID, verified: true, signal: request.signal };
      await unpackOne(engine, identity, blobStream(inbox.layout, packed.digest), parent.lowers, expected);
    }
    const { diffID, digest, size, mediaType, tarSize } = packed;
    leftOpen = true;
    const blob = inbox.adopt([digest]).then(() => ({ digest, size }));
    blob.then(inbox.release, inbox.release);
    return { diffID, mediaType, tarSize, chainID, blob };
  } finally {
    if (!leftOpen) inbox.release();
  }
}

/** `--add-host NAME:ADDRESS`. */
function addHosts(path: string, hosts: string[]): void {
  const lines = hosts.map((host) => {
    const cut = host.search(/[:=]/);
    return `${host.slice(cut + 1)}\t${host.slice(0, cut)}\n`;
  });
  writeFileSync(path, readFileSync(path, "utf8") + lines.join(""));
}
