/** Parsed flags → what the engine is asked. Files that flags name are read here, so that everything behind is pure. */

import { resolve } from "node:path";
import type { KernelRequest, MountRequest, RootSource, RunOptions, Stream } from "../engine/run-options.ts";
import { type Parsed, refuseTogether } from "./argv.ts";
import { type FlagValues, longName, parsed as readEach } from "./flags.ts";
import { resolveGateway } from "./options/add-host.ts";
import { checkLimits, readLimits } from "./options/cgroup-limit.ts";
import { readDns } from "./options/dns.ts";
import { readHealth } from "./options/health.ts";
import { labelFileLines, parseLabels } from "./options/labels.ts";
import { readLog } from "./options/log.ts";
import { parseMount } from "./options/mount.ts";
import { parseSecurityOptions } from "./options/security.ts";
import { parseVolume } from "./options/volume.ts";
import { present, readProcess, readTextFile, type Surroundings } from "./read-process.ts";
import { readConnection } from "./registry-flags.ts";
import type { RUN_FLAGS } from "./run-flags.ts";
import { UsageError } from "./usage-error.ts";

export interface RunRequest {
  options: RunOptions;
  /** One line each for what was accepted and does nothing. */
  warnings: string[];
}

export function readRun(parsed: Parsed<typeof RUN_FLAGS>, around: Surroundings): RunRequest {
  const { flags } = parsed;
  refuseTogether(parsed, "rootfs", "pull");
  refuseTogether(parsed, "rootfs", "platform");
  if (flags.rm && flags.restart) refuseTogether(parsed, "rm", "restart");
  if (flags.replace && flags.name === undefined) {
    throw new UsageError("Cannot use --replace without --name: there is nothing to replace");
  }
  refuseWithSharing(flags);
  const { source, command } = readSource(parsed, around.cwd);
  const { withoutEffect, mask, unmask, ...security } = parseSecurityOptions(flags.securityOpt, around.cwd);
  if (flags.privileged) {
    security.noNewPrivileges = false;
    security.seccomp ??= "unconfined";
  }
  const kernel = nonEmpty<KernelRequest>({
    ...(flags.privileged && { privileged: true }),
    ...(mask.length > 0 && { mask }),
    ...(unmask.length > 0 && { unmask }),
    ...(flags.device.length > 0 && { devices: flags.device }),
    ...(flags.gpus && { gpus: true }),
    ...(flags.sysctl.length > 0 && { sysctls: flags.sysctl }),
  });
  const limits = readLimits(flags);
  if (limits !== undefined) checkLimits(limits);
  if (limits !== undefined && flags.cgroups === "disabled") {
    throw new UsageError(
      `Cannot limit the container: only a cgroup can hold --${longName(Object.keys(limits)[0] ?? "")}`,
      {
        hint: "leave out --cgroups disabled",
      },
    );
  }
  const labels = [...flags.labelFile.flatMap((path) => labelFileLines(readTextFile(path, around.cwd))), ...flags.label];
  const options: RunOptions = {
    ...readProcess(flags, around),
    source,
    command,
    replace: flags.replace,
    rm: flags.rm,
    network: flags.network ?? "none",
    ...readPorts(flags),
    mounts: readMounts(flags, around.cwd),
    volumesFrom: flags.volumesFrom,
    imageVolumes: flags.imageVolume ?? "anonymous",
    readOnly: flags.readOnly,
    init: flags.init,
    capAdd: flags.privileged ? ["ALL"] : flags.capAdd.flat(),
    capDrop: flags.capDrop.flat(),
    ...security,
    ...present("kernel", kernel),
    ...present("groupAdd", flags.groupAdd.length > 0 ? flags.groupAdd : undefined),
    ...present(
      "addHosts",
      flags.addHost.length > 0 ? resolveGateway(flags.addHost, flags.network ?? "none") : undefined,
    ),
    ...present(
      "sharing",
      nonEmpty({
        ...present("pid", flags.pid),
        ...present("ipc", flags.ipc),
        ...present("uts", flags.uts),
        ...present("cgroup", flags.cgroupns),
      }),
    ),
    ...present("dns", readDns(flags)),
    ...present("imageNames", imageNames(flags)),
    ...present("domainname", flags.domainname),
    ulimits: flags.ulimit,
    labels: parseLabels(labels),
    pull: flags.pull ?? "missing",
    signalProxy: flags.sigProxy,
    printPlan: flags.printPlan,
    ...present("name", flags.name),
    ...present("entrypoint", flags.entrypoint),
    ...present("hostname", flags.hostname),
    ...present("shmSize", flags.shmSize),
    ...present("storageSize", flags.storageOpt),
    ...present("pidsLimit", flags.pidsLimit),
    ...present("limits", limits),
    ...present("cgroupsDisabled", flags.cgroups === "disabled" || undefined),
    ...present("userns", flags.userns),
    ...present("platform", flags.platform),
    ...present("connection", nonEmpty(readConnection(parsed, around.cwd))),
    ...present("health", readHealth(flags)),
    ...present("log", readLog(flags.logDriver, flags.logOpt)),
    ...present("attach", readAttach(parsed)),
    ...present("restart", flags.restart || undefined),
    // podman: no time is no limit.
    ...present("timeout", flags.timeout || undefined),
    ...present("cidfile", flags.cidfile === undefined ? undefined : resolve(around.cwd, flags.cidfile)),
    ...present("stopSignal", flags.stopSignal),
    ...present("stopTimeout", flags.stopTimeout),
  };
  const warnings = withoutEffect.map((option) => `--security-opt ${option} has no effect here`);
  // as docker
  if (options.network === "host" && (flags.publish.length > 0 || flags.publishAll)) {
    warnings.push("published ports are discarded: with --network host the program's ports are the host's own");
  }
  return { options, warnings };
}

function nonEmpty<T extends object>(value: T): T | undefined {
  return Object.keys(value).length === 0 ? undefined : value;
}

/** docker: with a terminal there is one stream for both outputs. */
function readAttach(parsed: Parsed<typeof RUN_FLAGS>): Stream[] | undefined {
  const { flags } = parsed;
  if (flags.attach.length === 0) return undefined;
  if (flags.detach) refuseTogether(parsed, "attach", "detach");
  return flags.attach.flat();
}

function readSource(
  { flags, words }: Parsed<typeof RUN_FLAGS>,
  cwd: string,
): { source: RootSource; command: string[] } {
  if (flags.rootfs !== undefined) return { source: { rootfs: resolve(cwd, flags.rootfs) }, command: words };
  const [image, ...command] = words;
  if (image === undefined || image === "") {
    throw new UsageError("Cannot run tsbox run: it needs an image", {
      hint: 'usage: tsbox run [FLAGS] IMAGE [COMMAND [ARG…]]; the image "host" is this machine\'s own root',
    });
  }
  return { source: { image }, command };
}

function readMounts(flags: FlagValues<typeof RUN_FLAGS>, cwd: string): MountRequest[] {
  const mounts = [
    ...flags.volume.map((text) => readEach((one) => parseVolume(one, cwd), text, "--volume")),
    ...flags.mount.map((text) => readEach((one) => parseMount(one, cwd), text, "--mount")),
    ...flags.tmpfs,
  ];
  const targets = new Set<string>();
  for (const { target } of mounts) {
    if (targets.has(target)) throw new UsageError(`Cannot mount on "${target}": two mounts name it`);
    targets.add(target);
  }
  return mounts;
}

/** Files of the image that nothing is mounted over. */
function imageNames({ noHosts, dns }: FlagValues<typeof RUN_FLAGS>): ("hosts" | "resolv.conf")[] | undefined {
  const names = [...(noHosts ? ["hosts" as const] : []), ...(dns.includes("none") ? ["resolv.conf" as const] : [])];
  return names.length > 0 ? names : undefined;
}

/** What would change somebody else's namespace, in docker's words. */
function refuseWithSharing(flags: FlagValues<typeof RUN_FLAGS>): void {
  const refuse = (what: string, mode: string) => {
    throw new UsageError(`Cannot use ${what} and the ${mode}: conflicting options`);
  };
  if (flags.noHosts && flags.addHost.length > 0) refuse("--add-host", "image's own /etc/hosts (--no-hosts)");
  if (flags.uts !== undefined && (flags.hostname ?? flags.domainname) !== undefined) refuse("--hostname", "UTS mode");
  if (!flags.network?.startsWith("container:")) return;
  const mode = "container type network mode";
  if (flags.hostname !== undefined) refuse("--hostname", mode);
  if (flags.publish.length > 0 || flags.publishAll) refuse("port publishing", mode);
  if (flags.expose.length > 0) refuse("port exposing", mode);
  if (flags.addHost.length > 0) refuse("custom host-to-IP mapping", mode);
  if (flags.dns.length + flags.dnsSearch.length + flags.dnsOption.length > 0) refuse("dns", mode);
}

function readPorts(flags: FlagValues<typeof RUN_FLAGS>): Pick<RunOptions, "publish" | "publishAll" | "expose"> {
  const own = flags.network !== "host";
  return {
    ...(flags.publish.length > 0 && own && { publish: flags.publish.flat() }),
    ...(flags.publishAll && own && { publishAll: true }),
    ...(flags.expose.length > 0 && { expose: flags.expose.flat() }),
  };
}
