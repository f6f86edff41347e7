import { join } from "node:path";
import { type ContainerRecord, type Healthcheck, RESTART_POLICY } from "../container/record.ts";
import { isUp, rfc3339 } from "../container/state.ts";
import { capabilityNames } from "../plan/capabilities.ts";

import { mountSource, type UserMount } from "../plan/mounts.ts";

import { readText } from "../sys/host-facts.ts";

import { containerState } from "./container-state.ts";
import type { Engine } from "./engine.ts";
import { type Health, readHealth } from "./health.ts";
import { pausedBy } from "./pause.ts";
import { exposedPorts, networkPorts, portBindings } from "./port.ts";

/** A container in the shape that `docker inspect` prints, as far as the fields mean something here. */
export function inspectContainer(engine: Engine, word: string): object {
  return describe(engine, engine.containers.find(word));
}

function describe(engine: Engine, record: ContainerRecord): object {
  const state = containerState(engine, record);
  const dir = engine.containers.dir(record.id);
  const running = isUp(state);
  const health = record.healthcheck && readHealth(engine, record);
  const policy = readText(join(dir, RESTART_POLICY)).trim();
  const [policyName = "no", most] = policy === "" ? [] : policy.split(" ");
  return {
    Id: record.id,
    Created: record.created,
    Path: record.argv[0],
    Args: record.argv.slice(1),
    State: {
      Status: state.status,
      Running: running,
      Paused: state.status === "paused",
      PausedBy: state.status === "paused" ? pausedBy(state) : "",
      Restarting: state.status === "restarting",
      Health: health ? healthObject(health) : null,
      OOMKilled: state.oomKilled,
      Dead: state.status === "dead",
      Pid: state.pid,
      ExitCode: state.exitCode,
      Error: state.error,
      StartedAt: state.startedAt,
      FinishedAt: state.finishedAt,
      Reason: state.reason,
      CgroupPath: running ? state.cgroup : "",
      MonitorPid: running || state.status === "restarting" ? state.monitor : 0,
    },
    Image: record.imageID,
    ImageName: record.image,
    ResolvConfPath: join(dir, "resolv.conf"),
    HostnamePath: join(dir, "hostname"),
    HostsPath: join(dir, "hosts"),
    LogPath: join(dir, "log"),
    Name: `/${record.name}`,
    RestartCount: state.restarts,
    Driver: record.storage ?? "overlay",
    Platform: "linux",
    HostConfig: {
      ...(record.storageSize !== undefined && { StorageOpt: { size: String(record.storageSize) } }),
      Binds: bindWords(record.mounts),
      LogConfig: logObject(record),
      RestartPolicy: { Name: policyName, MaximumRetryCount: Number(most ?? 0) },
      NetworkMode: record.network,
      IpcMode: record.sharing?.ipc ?? "shareable",
      PidMode: record.sharing?.pid ?? "",
      UTSMode: record.sharing?.uts ?? "",
      CgroupnsMode: record.sharing?.cgroup ?? "private",
      UsernsMode: usernsWord(record),
      Dns: record.dns?.servers ?? [],
      DnsSearch: record.dns?.search ?? [],
      DnsOptions: record.dns?.options ?? [],
      ExtraHosts: extraHosts(record.addHosts ?? []),
      PortBindings: portBindings(record),
      PublishAllPorts: record.publishAll ?? false,
      AutoRemove: record.autoRemove,
      ReadonlyRootfs: record.readOnly,
      Init: record.init,
      Privileged: record.kernel?.privileged ?? false,
      Devices: (record.kernel?.devices ?? []).map(({ source, target }) => ({
        PathOnHost: source,
        PathInContainer: target,
        CgroupPermissions: "rwm",
      })),
      Sysctls: Object.fromEntries(
        (record.kernel?.sysctls ?? []).map((text) => [
          text.slice(0, text.indexOf("=")),
          text.slice(text.indexOf("=") + 1),
        ]),
      ),
      GroupAdd: record.groupAdd ?? [],
      PidsLimit: record.processLimit ?? 0,
      ...limitFields(record),
      CapAdd: record.capAdd ?? null,
      CapDrop: record.capDrop ?? null,
      Ulimits: (record.ulimits ?? []).map(({ name, soft, hard }) => ({
        Name: name,
        Soft: limit(soft),
        Hard: limit(hard),
      })),
      ShmSize: record.shmSize ?? 64 << 20,
      EffectiveCaps: capabilityNames(BigInt(`0x${record.capabilities}`)),
      SecurityOpt: [
        ...(record.noNewPrivileges ? ["no-new-privileges"] : []),
        ...(record.seccomp === undefined ? ["seccomp=unconfined"] : []),
      ],
      UidMap: record.uidMap,
      GidMap: record.gidMap,
    },
    GraphDriver: {
      Name: record.storage ?? "overlay",
      Data: {
        LowerDir: record.lowers.slice(1).join(":"),
        UpperDir: join(dir, "upper"),
        WorkDir: join(dir, "work"),
        MergedDir: join(dir, "merged"),
      },
    },
    Mounts: record.mounts.map(describeMount),
    Config: {
      Hostname: record.hostname,
      User: record.user,
      Domainname: record.domainname ?? "",
      AttachStdin: record.openStdin && (record.attach?.includes("stdin") ?? true),
      AttachStdout: record.attach?.includes("stdout") ?? true,
      AttachStderr: record.attach?.includes("stderr") ?? true,
      Tty: record.tty,
      OpenStdin: record.openStdin,
      Env: record.env,
      ...(exposedPorts(record).length > 0 && { ExposedPorts: emptyObjects(exposedPorts(record)) }),
      Cmd: record.command,
      Entrypoint: record.entrypoint.length > 0 ? record.entrypoint : null,
      Image: record.image,
      WorkingDir: record.cwd,
      Labels: record.labels,
      ...(record.healthcheck && { Healthcheck: healthcheckObject(record.healthcheck) }),
      StopSignal: record.stopSignal,
      StopTimeout: record.stopTimeout === null ? -1 : record.stopTimeout / 1000,
    },
    NetworkSettings: { Networks: { [record.network]: {} }, Ports: running ? networkPorts(record) : {} },
  };
}

/** As it stands behind --userns. */
function usernsWord({ userns }: ContainerRecord): string {
  if (userns === undefined) return "";
  const ids = (["uid", "gid"] as const).flatMap((key) => (userns[key] === undefined ? [] : `${key}=${userns[key]}`));
  return ids.length > 0 ? `${userns.mode}:${ids.join(",")}` : userns.mode;
}

/** Lines of /etc/hosts as --add-host has them. */
function extraHosts(lines: string[]): string[] {
  return lines.flatMap((line) => {
    const [address, names = ""] = line.split("\t");
    return names.split(" ").map((name) => `${name}:${address}`);
  });
}

/** Docker's names and units; as there, swap is twice the memory where nothing was said. */
function limitFields({ limits = {}, cgroupsDisabled }: ContainerRecord): object {
  const { memory = 0, memorySwap = 0, cpus = 0 } = limits;
  return {
    Cgroups: cgroupsDisabled ? "disabled" : "default",
    Memory: memory,
    MemorySwap: memorySwap === 0 ? memory * 2 : memorySwap,
    MemoryReservation: limits.memoryReservation ?? 0,
    NanoCpus: Math.round(cpus * 1e9),
    CpuShares: limits.cpuShares ?? 0,
    CpuPeriod: limits.cpuPeriod ?? 0,
    CpuQuota: limits.cpuQuota ?? 0,
    CpusetCpus: limits.cpusetCpus ?? "",
    CpusetMems: limits.cpusetMems ?? "",
    BlkioWeight: limits.blkioWeight ?? 0,
  };
}

/** docker: -1 is no limit. */
function limit(value: number | "unlimited"): number {
  return value === "unlimited" ? -1 : value;
}

/** As they would stand behind -v. */
function bindWords(mounts: UserMount[]): string[] | null {
  const words = mounts
    .filter(({ kind, anonymous }) => (kind === "bind" || kind === "volume") && !anonymous)
    .map((mount) => `${mount.name ?? mountSource(mount)}:${mount.target}:${mount.flags.includes("ro") ? "ro" : "rw"}`);
  return words.length > 0 ? words : null;
}

function emptyObjects(names: string[]): object {
  return Object.fromEntries(names.map((name) => [name, {}]));
}

/** Docker's form. */
function describeMount(mount: UserMount): object {
  const readOnly = mount.flags.includes("ro");
  return {
    Type: mount.kind,
    ...(mount.name !== undefined && { Name: mount.name }),
    Source: mountSource(mount),
    Destination: mount.target,
    ...(mount.kind === "volume" && { Driver: "local" }),
    Mode: [...(readOnly ? ["ro"] : []), ...(mount.kind === "bind" && mount.type === "overlay" ? ["O"] : [])].join(","),
    RW: !readOnly,
    Propagation: mount.kind === "bind" ? (mount.flags.find((flag) => PROPAGATION.test(flag)) ?? "rprivate") : "",
    ...(mount.type !== "tmpfs" && mount.subpath !== undefined && { SubPath: mount.subpath }),
  };
}

const PROPAGATION = /^r?(private|slave|shared)$/;

function healthObject({ status, failingStreak, log }: Health): object {
  return {
    Status: status,
    FailingStreak: failingStreak,
    Log: log.map(({ start, end, exitCode, output }) => ({
      Start: rfc3339(start),
      End: rfc3339(end),
      ExitCode: exitCode,
      Output: output,
    })),
  };
}

/** Nanoseconds, as in an image's config. */
function healthcheckObject(check: Healthcheck): object {
  const time = (milliseconds: number) => milliseconds * 1_000_000;
  return {
    Test: ["CMD", ...check.command],
    Interval: time(check.interval),
    Timeout: time(check.timeout),
    StartPeriod: time(check.startPeriod),
    StartInterval: time(check.startInterval),
    Retries: check.retries,
    OnFailure: check.onFailure,
  };
}

function logObject({ log }: ContainerRecord): object {
  return {
    Type: log?.driver ?? "k8s-file",
    Config: {
      ...(log?.maxSize && { "max-size": String(log.maxSize) }),
      ...(log?.maxFiles && { "max-file": String(log.maxFiles) }),
    },
  };
}
