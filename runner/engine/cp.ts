import { posix } from "node:path";
import type { Writable } from "node:stream";
import { TsboxError, visible } from "../base/error.ts";
import type { ContainerRecord } from "../container/record.ts";
import { applyLayer, EVENTS_FD, HelperFailure, lookAt, packTree } from "../helper/client.ts";
import { writableSink } from "../layers/batch.ts";
import { decompress } from "../layers/decompress.ts";
import { type PackTarResult, packTar } from "../layers/pack.ts";
import { recordStream } from "../layers/reader.ts";
import { type Rewrite, type Rewritten, rewriteRecords } from "../layers/rewrite.ts";
import { storePlan } from "../plan/build.ts";
import { insideID } from "../plan/idmap.ts";
import type { Op, Plan } from "../plan/types.ts";
import { containerIdentity } from "./container-identity.ts";
import { containerState, tell } from "./container-state.ts";
import { viewPlan } from "./container-view.ts";
import { type Destination, type GivenPath, givenPath, type Kind, placing } from "./copy-rules.ts";
import type { Engine } from "./engine.ts";
import { explained } from "./explain.ts";

/** One end of a copy. */
export type CopyEnd = { container: string; path: string } | { path: string } | "archive";

export interface CopyOptions {
  /** Owners stay as they are. Otherwise everything belongs to the caller, who is root in a container unless keep-id says otherwise. */
  archive: boolean;
  /** Copy what a link at the source is about, not the link. */
  followLink: boolean;
  /** A directory may be replaced by something else, and the reverse. */
  overwrite: boolean;
}

export interface Copied {
  entries: number;
  bytes: number;
}

/** The files of one end: the host's, or a container's. Everything is read and written by helpers that stand where those files are. */
interface Side {
  what: string;
  /** What relative paths are relative to. */
  base: string;
  plan(last: Op): Plan;
}

const LINKS_MAX = 40;

/** Copies between a container and the host, an archive, or another container. */
export async function copy(
  engine: Engine,
  from: CopyEnd,
  to: CopyEnd,
  options: CopyOptions,
  archive: { input: AsyncIterable<Uint8Array>; output: Writable },
): Promise<Copied> {
  const copied = await copyFiles(engine, from, to, options, archive);
  tellCopy(engine, from, "archive-path");
  tellCopy(engine, to, "extract-to-dir");
  return copied;
}

/** docker's words for the two halves. */
function tellCopy(engine: Engine, end: CopyEnd, action: string): void {
  if (typeof end !== "object" || !("container" in end)) return;
  tell(engine, engine.containers.find(end.container), action, { path: end.path });
}

async function copyFiles(
  engine: Engine,
  from: CopyEnd,
  to: CopyEnd,
  options: CopyOptions,
  archive: { input: AsyncIterable<Uint8Array>; output: Writable },
): Promise<Copied> {
  const container = [from, to].find((end) => typeof end === "object" && "container" in end);
  if (container === undefined) {
    throw new TsboxError("Cannot copy: neither of the two is a container's", {
      code: "NO_CONTAINER",
      exitCode: 1,
      hint: "write CONTAINER:PATH; a path of the host that has a colon is written ./a:b",
    });
  }
  const record = engine.containers.find((container as { container: string }).container);
  const sideOf = (end: Exclude<CopyEnd, "archive">) =>
    "container" in end ? containerSide(engine, engine.containers.find(end.container)) : hostSide(engine, record);
  if (from === "archive") {
    if (to === "archive") throw new TsboxError("Cannot copy from an archive to an archive", { code: "NO_CONTAINER" });
    return extract(sideOf(to), to.path, archive.input, options);
  }
  const source = sideOf(from);
  const given = givenPath(from.path, source.base);
  const found = await findSource(source, given, options.followLink);
  const pick = source.plan({ op: "pick", path: found.path });
  if (to === "archive") {
    if (found.kind === "missing") throw missing(given);
    const name = found.contents ? "" : posix.basename(given.path);
    return readInto(pick, found.path, { name: Buffer.from(name), root: true }, async (records, result) => {
      const tar: PackTarResult = { size: 0, entries: 0, exact: true };
      for await (const piece of packTar(records, {}, tar)) await written(archive.output, piece);
      return result;
    });
  }
  const destination = sideOf(to);
  const target = await findDestination(destination, givenPath(to.path, destination.base));
  const place = placing(found, target, options.overwrite);
  if ("container" in to) warnOfMemory(engine, engine.containers.find(to.container), target.resolved);
  const rewrite: Rewrite = {
    name: Buffer.from(place.name),
    ...(!options.archive && { owner: callerInside(engine, record) }),
  };
  return readInto(pick, found.path, rewrite, (records, result) =>
    placeRecords(destination, place.root, options, async (sink) => {
      for await (const piece of records) await written(sink, piece);
      return result;
    }),
  );
}

/** As in docker the files lie below a tmpfs that is not there; but they cannot be seen when it is. */
function warnOfMemory(engine: Engine, record: ContainerRecord, path: string): void {
  const holds = (target: string) => path === target || path.startsWith(`${target}/`);
  const [mount] = record.mounts.filter(({ target }) => holds(target)).sort((a, b) => b.target.length - a.target.length);
  if (mount?.type !== "tmpfs" || containerState(engine, record).pid !== 0) return;
  engine.warn(
    `"${visible(mount.target)}" is a tmpfs, empty at each start: what is copied there cannot be seen when container "${record.name}" runs`,
  );
}

/** Whoever runs tsbox, as the container knows them. */
function callerInside(engine: Engine, { uidMap, gidMap }: ContainerRecord): { uid: number; gid: number } {
  return { uid: insideID(uidMap, engine.host.uid) ?? 0, gid: insideID(gidMap, engine.host.gid) ?? 0 };
}

function containerSide(engine: Engine, record: ContainerRecord): Side {
  return { what: `in container "${record.name}"`, base: "/", plan: (last) => viewPlan(engine, record, last) };
}

/** Under the container's id map, so that owners mean the same on both sides. */
function hostSide(engine: Engine, record: ContainerRecord): Side {
  const identity = containerIdentity(engine, record);
  return {
    what: "on the host",
    base: engine.host.cwd,
    plan: (last) => storePlan(identity, [{ op: "private-mounts" }, last], EVENTS_FD),
  };
}

/*** Looking ***/

interface Seen {
  kind: Kind;
  /** Where links have led. */
  path: string;
}

/** What a path is; links at its end are followed if asked for. Those on the way the kernel follows. */
async function look(side: Side, start: string, follow: boolean): Promise<Seen> {
  let path = start;
  for (let links = 0; links < LINKS_MAX; links++) {
    const [seen] = await lookAt(side.plan({ op: "look", paths: [path] })).catch((error: unknown) => {
      throw explained(error);
    });
    if (seen === undefined) throw new TsboxError(`Cannot look at "${visible(path)}": the helper said nothing`);
    if (seen.kind !== "link" || !follow) return { kind: seen.kind, path };
    path = posix.resolve(posix.dirname(path), decodeURIComponent(seen.link ?? ""));
  }
  throw new TsboxError(`Cannot look at "${visible(start)}" ${side.what}: too many links`, {
    code: "LINKS",
    exitCode: 1,
  });
}

async function findSource(
  side: Side,
  given: GivenPath,
  follow: boolean,
): Promise<GivenPath & { kind: Kind; path: string }> {
  const seen = await look(side, given.path, follow || given.slash || given.contents);
  if (seen.kind === "missing") throw missing(given, side);
  return { ...given, ...seen };
}

function missing(given: GivenPath, side?: Side): TsboxError {
  return new TsboxError(`Cannot copy "${visible(given.path)}": there is no such file${side ? ` ${side.what}` : ""}`, {
    code: "NO_SUCH_FILE",
    exitCode: 1,
  });
}

async function findDestination(side: Side, given: GivenPath): Promise<Destination> {
  const seen = await look(side, given.path, true);
  const parent = seen.kind === "missing" ? (await look(side, posix.dirname(seen.path), true)).kind : "directory";
  return { ...given, kind: seen.kind, resolved: seen.path, parent };
}

/*** Moving ***/

/** Reads one thing, and lets `consume` have its records, said anew. */
async function readInto(
  plan: Plan,
  shown: string,
  rewrite: Rewrite,
  consume: (records: AsyncIterable<Uint8Array>, result: Rewritten) => Promise<Copied>,
): Promise<Copied> {
  const pick = packTree(plan);
  const result: Rewritten = { entries: 0, bytes: 0 };
  try {
    const copied = await consume(rewriteRecords(pick.records, rewrite, result), result);
    await pick.done;
    return copied;
  } catch (error) {
    const cutOff = error instanceof TsboxError && error.code === "BAD_RECORDS";
    pick.records.destroy();
    if (!cutOff) pick.kill();
    const refusal = await pick.done.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    // of two failures the reader's own says more than that the stream was cut off
    throw cutOff ? explained(pickFailed(refusal ?? error, shown)) : error;
  }
}

/** In the records what is read is called `x`. */
function pickFailed(error: unknown, shown: string): unknown {
  if (!(error instanceof HelperFailure) || error.event?.op !== "pick") return error;
  return new HelperFailure(error.message, { ...error.event, path: error.event.path.replace(/^x(?=\/|$)/, shown) });
}

/** Makes what `produce` writes below a directory of that side. */
async function placeRecords(
  side: Side,
  root: string,
  options: Pick<CopyOptions, "overwrite"> & { root?: boolean },
  produce: (sink: Writable) => Promise<Copied>,
): Promise<Copied> {
  const flags = [...(options.overwrite ? ["overwrite"] : []), ...(options.root ? ["root"] : [])];
  const apply = applyLayer(side.plan({ op: "place", root, flags }));
  try {
    const produced = produce(apply.sink).then((copied) => {
      // not waited for: a sink whose reader has gone never says that it has ended
      apply.sink.end();
      return copied;
    });
    produced.catch(() => {}); // told below
    const [copied] = await Promise.all([produced, apply.done]);
    return copied;
  } catch (error) {
    apply.sink.destroy();
    if (error instanceof TsboxError && !(error instanceof HelperFailure)) apply.kill();
    const refusal = await apply.done.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    throw error instanceof TsboxError && !(error instanceof HelperFailure) ? error : placeFailed(refusal ?? error);
  }
}

function placeFailed(error: unknown): unknown {
  const event = error instanceof HelperFailure ? error.event : undefined;
  if (event?.op === "place" && event.errno === "EROFS") {
    return new TsboxError(`Cannot copy to "${visible(event.path)}": it is read-only in the container`, {
      code: "READ_ONLY",
      exitCode: 1,
    });
  }
  if (event?.op !== "place" || (event.errno !== "EISDIR" && event.errno !== "ENOTDIR")) return explained(error);
  const what = event.errno === "EISDIR" ? "a directory is there" : "something else than a directory is there";
  return new TsboxError(`Cannot copy to "${visible(event.path)}": ${what}`, {
    code: "KINDS_DIFFER",
    hint: "remove it first, or use --overwrite",
    exitCode: 1,
  });
}

/** An archive → files in a directory that is there. Owners are those of the archive. */
async function extract(
  side: Side,
  path: string,
  input: AsyncIterable<Uint8Array>,
  options: Pick<CopyOptions, "overwrite"> & { root?: boolean },
): Promise<Copied> {
  const given = givenPath(path, side.base);
  const seen = await look(side, given.path, true);
  if (seen.kind !== "directory") {
    const why = seen.kind === "missing" ? "it does not exist" : "it is not a directory";
    throw new TsboxError(`Cannot extract the archive in "${visible(given.path)}": ${why}`, {
      code: "NOT_A_DIRECTORY",
      exitCode: 1,
    });
  }
  return placeRecords(side, seen.path, options, (sink) =>
    recordStream(decompress(input), writableSink(sink), { whiteouts: false }),
  );
}

function written(sink: Writable, piece: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    sink.write(piece, (error) => (error ? reject(error) : resolve()));
  });
}

/*** Volumes ***/

/** A directory of the store as a tar. */
export async function exportFolder(engine: Engine, folder: string, output: Writable): Promise<void> {
  const plan = storeSide(engine).plan({ op: "pick", path: folder });
  await readInto(plan, folder, { name: Buffer.alloc(0), root: true }, async (records, result) => {
    const tar: PackTarResult = { size: 0, entries: 0, exact: true };
    for await (const piece of packTar(records, {}, tar)) await written(output, piece);
    return result;
  });
}

/** The reverse; the directory itself gets owner and mode of the archive's root. */
export function importFolder(engine: Engine, folder: string, input: AsyncIterable<Uint8Array>): Promise<Copied> {
  return extract(storeSide(engine), folder, input, { overwrite: false, root: true });
}

function storeSide(engine: Engine): Side {
  const identity = engine.identity();
  return {
    what: "in the store",
    base: "/",
    plan: (last) => storePlan(identity, [{ op: "private-mounts" }, last], EVENTS_FD),
  };
}
