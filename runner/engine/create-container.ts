import { chmodSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname as hostHostname } from "node:os";
import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import { actorFields, containerActor, journal, journalPath } from "../container/journal.ts";
import { checkName, generateID, generateName } from "../container/name.ts";
import { type ContainerRecord, type Healthcheck, RESTART_POLICY, STOP_MARK } from "../container/record.ts";
import { encodePlan } from "../helper/wire.ts";
import type { ProcessConfig } from "../oci/types.ts";
import {
  containerPlan,
  driverOf,
  execPlan,
  hasAccountFiles,
  type ProcessPlan,
  type Root,
  type Supervision,
  UNSEEN_TERMINAL,
} from "../plan/build.ts";
import { capabilityMask } from "../plan/capabilities.ts";
import { type Identity, parseSubids, rootIsCaller } from "../plan/idmap.ts";
import { GUARDED, type KernelAccess, type UserMount } from "../plan/mounts.ts";
import { DEFAULT_PATH, processArgv, processEnv } from "../plan/process.ts";
import { sharedWith } from "../plan/shared.ts";
import type { Plan } from "../plan/types.ts";
import { initLayerPath } from "../store/layer-store.ts";
import { readText } from "../sys/host-facts.ts";
import { accountFiles } from "./caller-accounts.ts";
import { containerUser, withGroups } from "./container-user.ts";
import type { Engine } from "./engine.ts";
import { healthcheckOf } from "./healthcheck.ts";
import { cgroupPlan, processLimit } from "./process-limit.ts";
import { resolvConf } from "./resolv-conf.ts";
import { anonymousVolumes, makeMountFolders, resolveMounts, withVolumesOf } from "./resolve-mounts.ts";
import { type ResolvedRoot, resolveRoot } from "./root-source.ts";
import type { RunOptions } from "./run-options.ts";
import { seccompFilter, underFilter } from "./seccomp.ts";
import type { ResolvedSharing } from "./shared-namespaces.ts";
import { signalNumber } from "./signals.ts";

export const DEFAULT_SHM_SIZE = 64 << 20;
const DEFAULT_STOP_TIMEOUT = 10_000;
/** Milliseconds that nobody lives to see the end of. */
const FOR_EVER = 2 ** 40;

/** A container on disk, ready to be started by the helper. */
export interface PreparedContainer {
  record: ContainerRecord;
  dir: string;
  plan: Plan;
  /** The plan as the helper reads it. */
  planPath: string;
}

/** How the face wants to stand to the container; `create` adds the container's own files. */
export type FaceSupervision = Pick<Supervision, "stdio"> &
  Partial<Pick<Supervision, "announce" | "onFailure" | "eventsFd" | "controlFd" | "dieWithParent" | "signalProxy">>;

/** Options with everything resolved that does not depend on the container's id: image, user, mounts, filter. */
export interface Description {
  options: RunOptions;
  identity: Identity;
  resolved: ResolvedRoot;
  /** The root with the init layer on top of the image's. */
  root: Root;
  process: ProcessPlan;
  mounts: UserMount[];
  processLimit?: number;
  kernel: KernelAccess;
  sharing?: ResolvedSharing;
}

/** Resolves what `run` was asked for. Nothing is made yet. */
export async function describeContainer(engine: Engine, options: RunOptions): Promise<Description> {
  const identity = engine.identity(options.userns);
  if (identity.kind === "single") warnSingle(engine);
  const resolved = await resolveRoot(engine, options, identity);
  if (options.storageSize !== undefined) {
    checkStorageSize(engine, options, resolved.root);
    const { driver, memory } = await engine.storage();
    if (resolved.root.kind === "image" && driver !== "overlay") resolved.root.driver = memory ? "overlay" : "copy";
  }
  const { config, lowers } = resolved;
  const capabilities = capabilityMask(options.capAdd, options.capDrop);
  const root = resolved.root.kind === "image" ? await withInitLayer(engine, resolved.root, identity) : resolved.root;
  // with keep-id the init layer has the caller's name
  const user = containerUser(userSpec(engine, options, config.User), root.kind === "image" ? root.lowers : lowers);
  const seccomp = await seccompFilter(engine, capabilities, options.seccomp);
  const sharing = await sharingOf(engine, options, identity);
  const kernel = options.kernel
    ? (await import("./kernel-access.ts")).kernelAccess(
        options.kernel,
        sharing?.shared ?? sharedWith(ownNetwork(options)),
      )
    : GUARDED;
  const joins = Object.values(sharing?.shared ?? {}).some((source) => source !== "host");
  if (joins && options.pidsLimit) {
    engine.warn(
      "--pids-limit: the processes count with those of the container whose namespaces are shared, by its limit",
    );
  }
  const limit = joins ? undefined : processLimit(engine.host, options);
  return {
    options,
    identity,
    resolved,
    root,
    process: {
      argv: processArgv(config, options.command, options.entrypoint),
      env: processEnv(
        [`PATH=${DEFAULT_PATH}`, ...(options.tty ? ["TERM=xterm"] : []), `HOME=${user.home}`],
        (config.Env ?? []).filter((variable) => !options.unsetEnv.includes(variable.split("=", 1)[0] ?? "")),
        options.env,
      ),
      cwd: absolute(options.workdir ?? config.WorkingDir ?? "", resolved.cwd),
      user: withGroups(user, options.groupAdd, root.kind === "image" ? root.lowers : lowers),
      capabilities,
      noNewPrivileges: options.noNewPrivileges,
      ...underFilter(seccomp),
      ulimits: options.ulimits,
    },
    mounts: await resolveMounts(engine, options, { resolved, identity, user }),
    ...(limit !== undefined && { processLimit: limit }),
    kernel,
    ...(sharing && { sharing }),
  };
}

/** The container's plan, once its id and folders are known. `dir` and `writable` as in ContainerPlanInput. */
export function planOf(
  description: Description,
  id: string,
  folders: { dir: string; writable: string },
  supervision: Supervision,
): { plan: Plan; hostname: string; env: string[] } {
  const { options, root, process } = description;
  const { sharing } = description;
  const hostname = options.hostname ?? sharing?.names?.hostname ?? givenHostname(description, id);
  const env = processEnv([`HOSTNAME=${hostname}`], process.env);
  const plan = containerPlan(
    {
      ...folders,
      identity: description.identity,
      root,
      hostname,
      ...(options.hostname === undefined && { hostnameMayStay: true }),
      ...(options.domainname !== undefined && { domainname: options.domainname }),
      network: ownNetwork(options),
      ...(sharing && { shared: sharing.shared }),
      ...(sharing?.names && { names: sharing.names.dir }),
      ...(options.imageNames && { imageNames: options.imageNames }),
      mounts: description.mounts,
      readOnly: options.readOnly,
      shmSize: options.shmSize ?? DEFAULT_SHM_SIZE,
      init: options.init,
      ...(description.processLimit !== undefined && { processLimit: description.processLimit }),
      ...(options.storageSize !== undefined && { storageSize: options.storageSize }),
      kernel: description.kernel,
      makeCwd: root.kind === "image",
      ...process,
      env,
    },
    supervision,
  );
  return { plan, hostname, env };
}

/** The name of a machine whose network or names it has is its own. */
function givenHostname({ options, root, sharing }: Description, id: string): string {
  const host = options.network === "host" || root.kind === "host" || sharing?.shared.uts === "host";
  return host ? hostHostname() : id.slice(0, 12);
}

function ownNetwork({ network }: Pick<RunOptions, "network">): "none" | "host" {
  return network === "host" ? "host" : "none";
}

/** Few containers share anything but the network of the host. */
async function sharingOf(
  engine: Engine,
  options: RunOptions,
  identity: Identity,
): Promise<ResolvedSharing | undefined> {
  if (options.sharing === undefined && !options.network.startsWith("container:")) return undefined;
  return (await import("./shared-namespaces.ts")).resolveSharing(engine, options, identity);
}

/** Who the program is: as Podman, keep-id makes it the caller, whatever the image says. */
function userSpec({ host }: Engine, { user, userns }: RunOptions, imageUser = ""): string {
  return user ?? (userns ? `${userns.uid ?? host.uid}:${userns.gid ?? host.gid}` : imageUser);
}

/**
 * Turns options into a container: its folder and record are made, its plan written. Nothing is started. With `printPlan` nothing is written either.
 */
export async function createContainer(
  engine: Engine,
  options: RunOptions,
  face: FaceSupervision & { maker?: ContainerRecord["maker"] },
): Promise<PreparedContainer> {
  if (options.cidfile !== undefined && existsSync(options.cidfile)) throw cidfileExists(options.cidfile);
  const description = await describeContainer(engine, options);
  const { identity, resolved, process, mounts } = description;
  const published = await publish(engine, options, resolved.config);
  const config = published?.config ?? resolved.config;
  const { maker, ...supervision } = face;
  const id = generateID();
  const labels = { ...config.Labels, ...options.labels };
  const dir = engine.containers.dir(id);
  const healthcheck = healthcheckOf(options.health, config.Healthcheck);
  const stopSignal = options.stopSignal ?? config.StopSignal ?? "SIGTERM";
  const stopTimeout = options.stopTimeout ?? DEFAULT_STOP_TIMEOUT;
  const { log } = options;
  const name = options.printPlan ? (options.name ?? "preview") : await takeName(engine, id, options);
  const { plan, hostname, env } = planOf(
    description,
    id,
    { dir, writable: dir },
    {
      stdin: options.interactive,
      ...(options.tty && { terminalSize: UNSEEN_TERMINAL }),
      detach: false,
      signalProxy: false,
      dieWithParent: false,
      ...supervision,
      ...(!options.cgroupsDisabled && { cgroup: cgroupPlan(engine.host, id, options) }),
      attach: join(dir, "attach"),
      journal: { path: journalPath(engine.root), actor: actorFields(containerActor(id, name, resolved.image, labels)) },
      restart: { policy: join(dir, RESTART_POLICY), stop: join(dir, STOP_MARK) },
      events: join(dir, "events"),
      ...(log?.driver !== "none" && log?.driver !== "passthrough" && { log: join(dir, "log") }),
      ...(log?.maxSize && { logLimit: { bytes: log.maxSize, files: log.maxFiles ?? 1 } }),
      ...(healthcheck && {
        health: { ...healthcheck, report: join(dir, "health.json"), plan: join(dir, "health") },
        stopSignal: { number: signalNumber(stopSignal), timeout: Math.min(stopTimeout, FOR_EVER) },
      }),
      lock: join(dir, "lock"),
      ...(options.timeout !== undefined && { timeout: options.timeout }),
      ...(published && { publish: published.plan }),
      ...(options.rm && { release: { folder: join(engine.root, "names"), target: id } }),
      cleanup: options.rm ? [dir, ...anonymousVolumes(engine, mounts)] : [],
    },
  );
  const record: ContainerRecord = {
    id,
    name,
    created: new Date().toISOString(),
    image: resolved.image,
    imageID: resolved.imageID,
    argv: process.argv,
    env,
    cwd: process.cwd,
    user: userSpec(engine, options, config.User),
    hostname,
    labels,
    tty: options.tty,
    openStdin: options.interactive,
    network: description.sharing?.words.network ?? options.network,
    ...(description.sharing && { sharing: description.sharing.words.sharing }),
    ...(options.userns && { userns: options.userns }),
    ...(options.domainname !== undefined && { domainname: options.domainname }),
    ...(options.dns && { dns: options.dns }),
    ...(options.addHosts && { addHosts: options.addHosts }),
    ...(published && { ports: published.ports, publishAll: options.publishAll ?? false }),
    autoRemove: options.rm,
    readOnly: options.readOnly,
    init: options.init,
    ...((description.processLimit ?? options.pidsLimit) !== undefined && {
      processLimit: description.processLimit ?? options.pidsLimit,
    }),
    ...(options.limits && { limits: options.limits }),
    ...(options.cgroupsDisabled && { cgroupsDisabled: true }),
    ...(options.storageSize !== undefined && { storageSize: options.storageSize }),
    ...(driverOf(description.root) !== "overlay" && { storage: driverOf(description.root) }),
    ...(options.kernel && { kernel: options.kernel }),
    ...(options.groupAdd && { groupAdd: options.groupAdd }),
    mounts,
    ...(options.ulimits.length > 0 && { ulimits: options.ulimits }),
    ...(options.attach && { attach: options.attach }),
    ...(options.capAdd.length > 0 && { capAdd: options.capAdd }),
    ...(options.capDrop.length > 0 && { capDrop: options.capDrop }),
    ...(options.shmSize !== undefined && { shmSize: options.shmSize }),
    stopSignal,
    stopTimeout,
    ...(healthcheck && { healthcheck }),
    ...(log && { log }),
    ...(maker && { maker }),
    uidMap: identity.uidMap,
    gidMap: identity.gidMap,
    capabilities: process.capabilities.toString(16),
    noNewPrivileges: options.noNewPrivileges,
    ...(process.seccomp !== undefined && { seccomp: process.seccomp }),
    bootID: engine.host.bootID,
    lowers: resolved.root.kind === "directory" ? resolved.lowers : [join(dir, "upper"), ...resolved.lowers],
    entrypoint: options.entrypoint ?? config.Entrypoint ?? [],
    command: options.command.length > 0 ? options.command : (config.Cmd ?? []),
    config,
  };
  const planPath = join(dir, "plan");
  if (!options.printPlan) {
    try {
      makeWritable(dir, description);
      makeShared(engine, dir, description, hostname);
      // for cp: the host's own root is another one tomorrow
      if (description.root.kind === "host") writeFileSync(join(dir, "root.json"), JSON.stringify(description.root));
      writeFileSync(planPath, encodePlan(plan), { mode: 0o600 });
      if (healthcheck)
        writeFileSync(join(dir, "health"), encodePlan(healthPlan(record, process, healthcheck, env)), { mode: 0o600 });
      if (options.restart !== undefined) writeFileSync(join(dir, RESTART_POLICY), options.restart, { mode: 0o600 });
      if (options.cidfile !== undefined) writeCidfile(options.cidfile, id);
      await withVolumesOf(engine, mounts, () => engine.containers.write(record));
      journal(engine.root, {
        type: "container",
        action: "create",
        ...containerActor(id, name, resolved.image, labels),
      });
    } catch (error) {
      engine.containers.releaseName(record);
      rmSync(dir, { recursive: true, force: true });
      published?.release();
      throw error;
    }
  }
  published?.release();
  return { record, dir, plan, planPath };
}

/** One check, as an exec of the container's own user; its monitor adds whom to join. */
function healthPlan(record: ContainerRecord, process: ProcessPlan, check: Healthcheck, env: string[]): Plan {
  return execPlan({ ...process, argv: check.command, env, ulimits: [] }, record, undefined, {
    stdio: "inherit",
    stdin: false,
    detach: false,
    signalProxy: false,
    dieWithParent: true,
    cleanup: [],
  });
}

/** Most containers publish nothing: then nothing more is loaded. */
async function publish(engine: Engine, options: RunOptions, config: ProcessConfig) {
  if (!options.publishAll && !options.publish?.length && !options.expose?.length) return undefined;
  const { choosePorts } = await import("./choose-ports.ts");
  return choosePorts(engine, options, config);
}

/** Takes the asked-for name, or a generated one that is free. */
async function takeName(engine: Engine, id: string, options: RunOptions): Promise<string> {
  if (options.name !== undefined) {
    checkName(options.name);
    if (options.replace) await (await import("./remove.ts")).removeIfPresent(engine, options.name);
    engine.containers.create(id, options.name);
    return options.name;
  }
  for (let attempt = 0; ; attempt++) {
    const name = generateName(attempt);
    try {
      engine.containers.create(id, name);
      return name;
    } catch (error) {
      if (!(error instanceof TsboxError) || error.code !== "NAME_TAKEN" || attempt === 20) throw error;
    }
  }
}

/** The folders that one container writes to. */
export function makeWritable(
  dir: string,
  { root, identity, mounts }: Pick<Description, "root" | "identity" | "mounts">,
): void {
  makeMountFolders(dir, mounts);
  // then the plan has them made by container root
  if (root.kind === "image" && !rootIsCaller(identity.uidMap)) return;
  const upper = join(dir, "upper");
  mkdirSync(upper);
  // the caller's umask would close "/" to the container's other users
  chmodSync(
    upper,
    root.kind === "image" && root.lowers[0] !== undefined ? statSync(root.lowers[0]).mode & 0o7777 : 0o755,
  );
  mkdirSync(join(dir, "work"));
  if (root.kind !== "host") return;
  root.entries.forEach((entry, number) => {
    if (entry.kind !== "overlay") return;
    // the upper directory's own mode is what the sandbox sees of the place
    const upper = join(dir, "upper", String(number));
    mkdirSync(upper);
    chmodSync(upper, entry.mode);
    mkdirSync(join(dir, "work", String(number)));
  });
}

/** The mount point and the files that are mounted over /etc/hosts and its like. */
export function makeShared(engine: Engine, dir: string, description: Description, hostname: string): void {
  const { options, root, identity, resolved } = description;
  mkdirSync(join(dir, "merged"), { mode: 0o755 });
  const host = options.network === "host" || root.kind === "host";
  writeFileSync(join(dir, "hostname"), `${hostname}\n`);
  // the name must lead to an address that is there: programs look their own up
  const full = options.domainname === undefined ? hostname : `${hostname}.${options.domainname} ${hostname}`;
  const hosts = (host && readText("/etc/hosts")) || `${LOCAL_HOSTS}127.0.1.1\t${full}\n`;
  writeFileSync(join(dir, "hosts"), hosts + (options.addHosts ?? []).map((line) => `${line}\n`).join(""));
  writeFileSync(join(dir, "resolv.conf"), resolvConf(options.network, options.dns));
  for (const name of ["hostname", "hosts", "resolv.conf"]) chmodSync(join(dir, name), 0o644);
  if (root.kind !== "image" || !hasAccountFiles(identity)) return;
  for (const [name, text] of Object.entries(accountFiles(engine, resolved.lowers, identity))) {
    writeFileSync(join(dir, name), text);
    chmodSync(join(dir, name), 0o644);
  }
}

const LOCAL_HOSTS = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

function writeCidfile(path: string, id: string): void {
  try {
    writeFileSync(path, id, { flag: "wx" });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") throw cidfileExists(path);
    throw new TsboxError(`Cannot write cidfile "${path}": ${(cause as Error).message}`, { code: "CIDFILE", cause });
  }
}

function cidfileExists(path: string): TsboxError {
  return new TsboxError(`Cannot write cidfile "${path}": it exists`, {
    code: "CIDFILE",
    hint: "remove it, or name another",
  });
}

function absolute(path: string, base: string): string {
  if (path === "") return base;
  return path.startsWith("/") ? path : join("/", path);
}

async function withInitLayer(
  engine: Engine,
  root: Extract<Root, { kind: "image" }>,
  identity: Identity,
): Promise<Root> {
  const kept = initLayerPath(root.lowers);
  // made once an image: what makes it is not loaded by the runs after
  if (!existsSync(kept)) await (await import("./init-layer.ts")).makeInitLayer(engine, root.lowers, identity);
  return { ...root, lowers: [kept, ...root.lowers] };
}

function checkStorageSize(engine: Engine, options: RunOptions, root: Root): void {
  if (root.kind === "directory") {
    throw new TsboxError("Cannot limit what the container writes: --rootfs is written to directly", {
      code: "NO_STORAGE_SIZE",
      hint: "use an image or a quota of the directory's file system instead of --storage-opt size",
    });
  }
  if (!options.rm) {
    engine.warn(
      "--storage-opt size: what the container writes to its root is kept in memory, and gone when it ends (volumes stay)",
    );
  }
}

function warnSingle(engine: Engine): void {
  const { host } = engine;
  const why =
    host.mapTools === undefined
      ? "newuidmap is not installed"
      : host.noNewPrivileges
        ? "newuidmap gains no privilege here (an outer sandbox has set no_new_privs)"
        : parseSubids(host.subuid + host.subgid, host.user, host.uid).length > 0
          ? "your range of ids does not exist in the user namespace around"
          : `/etc/subuid and /etc/subgid have no range for ${host.user}`;
  engine.warn(
    `one id only: ${why}, so files of other owners and a change of user do not work inside ("tsbox doctor" tells the fix)`,
  );
}
