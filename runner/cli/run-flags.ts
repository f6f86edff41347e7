/** The flags of `run` and `create`. */

import { boolean, bytes, choice, duration, type Flags, list, string, value } from "./flags.ts";
import { LOCK_FLAGS } from "./lock-flags.ts";
import { parseAddHost } from "./options/add-host.ts";
import { parseCapabilities } from "./options/capability.ts";
import { CGROUP_FLAGS } from "./options/cgroup-limit.ts";
import { parseDevice, parseGpus } from "./options/device.ts";
import { parseDnsOption, parseDnsSearch, parseDnsServer } from "./options/dns.ts";
import { HEALTH_FLAGS } from "./options/health.ts";
import { parseLogDriver } from "./options/log.ts";
import { parseCgroupns, parseIpc, parseNetwork, parsePid, parseUts } from "./options/namespace.ts";
import { parsePidsLimit } from "./options/pids-limit.ts";
import { parsePlatform } from "./options/platform.ts";
import { parseExpose, parsePublish } from "./options/publish.ts";
import { parseRestart } from "./options/restart.ts";
import { parseSignal } from "./options/signal.ts";
import { parseStopTimeout } from "./options/stop-timeout.ts";
import { parseStorageOption } from "./options/storage-option.ts";
import { parseStreams } from "./options/streams.ts";
import { parseTmpfs } from "./options/tmpfs.ts";
import { parseUlimit } from "./options/ulimit.ts";
import { parseUserns } from "./options/userns.ts";
import { parseImageVolume, parseVolumesFrom } from "./options/volumes-from.ts";
import { parseEntrypoint, parseHostname, parseName } from "./options/words.ts";
import { PROCESS, PROCESS_FLAGS } from "./process-flags.ts";
import { CONNECTION_FLAGS, RETRY_FLAGS } from "./registry-flags.ts";

const FILES = "Files";
const ISOLATION = "Isolation";
const LIFE = "Life";

export const RUN_FLAGS = {
  ...PROCESS_FLAGS,
  attach: list(
    { short: "a", placeholder: "STREAM", help: "show only these of stdin, stdout and stderr, or none (default all)" },
    parseStreams,
  ),
  sigProxy: boolean({
    default: true,
    help: "pass signals on to the program (default true); with false one that ends tsbox lets it go on",
  }),
  rm: boolean({ help: "remove the container when it has ended" }),
  name: value(parseName, { placeholder: "NAME", help: "name of the container (default: one is made up)" }),
  replace: boolean({ help: "remove a container of the same --name first" }),
  pull: choice(["always", "missing", "never", "newer"], {
    help: "when to ask the registry for the image (default missing)",
  }),
  quiet: boolean({ short: "q", help: "show nothing of a pull" }),
  platform: value(parsePlatform, { placeholder: "OS/ARCH[/VARIANT]", help: "platform of the image" }),
  ...LOCK_FLAGS,
  ...CONNECTION_FLAGS,
  ...RETRY_FLAGS,
  rootfs: string({ placeholder: "DIR", help: "use a directory as root file system instead of an image" }),
  printPlan: boolean({ help: "print what would be done as JSON, and do nothing" }),
  entrypoint: value(parseEntrypoint, {
    placeholder: "PROGRAM",
    group: PROCESS,
    help: 'replace the image\'s entrypoint; "" removes it',
  }),
  init: boolean({
    group: PROCESS,
    help: "run a pid 1 that reaps processes and forwards signals; without it Ctrl-C is nothing to a program with no handler",
  }),
  ulimit: list(
    { placeholder: "NAME=SOFT[:HARD]", group: PROCESS, help: "limit a resource, as nofile=1024" },
    parseUlimit,
  ),
  ...CGROUP_FLAGS,
  pidsLimit: value(parsePidsLimit, {
    placeholder: "N",
    group: "Limits",
    help: "at most so many processes at a time (default 2048; 0: as many as you may have)",
  }),
  cgroups: choice(["enabled", "disabled"], {
    group: "Limits",
    help: "a cgroup of its own where one can be had (default), or none",
  }),
  volume: list({
    short: "v",
    placeholder: "SOURCE:TARGET[:ro]",
    group: FILES,
    help: "show a file or folder of the host inside, or a volume by its name; options: ro, O, U, nocopy, noexec…",
  }),
  mount: list({
    placeholder: "type=…,source=…,target=…",
    group: FILES,
    help: "the same in words: bind, volume, tmpfs or image",
  }),
  tmpfs: list(
    { placeholder: "TARGET[:OPTIONS]", group: FILES, help: "put an empty folder in memory there" },
    parseTmpfs,
  ),
  volumesFrom: list(
    { placeholder: "CONTAINER[:ro]", group: FILES, help: "have the volumes and bind mounts of another container" },
    parseVolumesFrom,
  ),
  imageVolume: value(parseImageVolume, {
    placeholder: "anonymous|tmpfs|ignore",
    group: FILES,
    help: "what the image's VOLUMEs become (default anonymous volumes)",
  }),
  readOnly: boolean({ group: FILES, help: "the root file system cannot be written" }),
  storageOpt: value(parseStorageOption, {
    placeholder: "size=SIZE",
    group: FILES,
    help: "at most so much can be written to the root file system; it is kept in memory then",
  }),
  shmSize: bytes({ group: FILES, help: "size of /dev/shm (default 64m)" }),
  network: value(parseNetwork, {
    aliases: ["net"],
    placeholder: "none|host|container:NAME",
    group: ISOLATION,
    help: "loopback only (default), or the network of the host or of another container",
  }),
  pid: value(parsePid, {
    placeholder: "host|container:NAME",
    group: ISOLATION,
    help: "see the processes of the host, or of another container",
  }),
  ipc: value(parseIpc, {
    placeholder: "host|private|shareable|container:NAME",
    group: ISOLATION,
    help: "System V IPC and /dev/shm of the host or another container, or such as nobody shares (default shareable)",
  }),
  uts: value(parseUts, {
    placeholder: "host|container:NAME",
    group: ISOLATION,
    help: "the host name of the host, or of another container",
  }),
  cgroupns: value(parseCgroupns, {
    placeholder: "private|host|container:NAME",
    group: ISOLATION,
    help: "see its own part of the cgroups (default), or the host's or another container's",
  }),
  publish: list(
    {
      short: "p",
      placeholder: "[[ADDRESS:]PORT:]PORT",
      group: ISOLATION,
      help: "reach a port of the container from outside, as 8080:80, 127.0.0.1:8080:80 or 8000-8005:80-85",
    },
    parsePublish,
  ),
  publishAll: boolean({
    short: "P",
    group: ISOLATION,
    help: "publish all ports that the image exposes, on free ports of the host",
  }),
  expose: list({ placeholder: "PORT", group: ISOLATION, help: "a port that -P publishes, too" }, parseExpose),
  hostname: value(parseHostname, { short: "h", placeholder: "NAME", group: ISOLATION, help: "host name inside" }),
  domainname: value(parseHostname, { placeholder: "NAME", group: ISOLATION, help: "domain name inside" }),
  userns: value(parseUserns, {
    placeholder: "keep-id[:uid=N,gid=N]",
    group: ISOLATION,
    help: "be yourself inside, or the ids given (default: root inside is you)",
  }),
  capAdd: list({ placeholder: "CAPABILITY", group: ISOLATION, help: "add a capability, or ALL" }, parseCapabilities),
  capDrop: list(
    { placeholder: "CAPABILITY", group: ISOLATION, help: "take a capability away, or ALL" },
    parseCapabilities,
  ),
  securityOpt: list({
    placeholder: "OPTION",
    group: ISOLATION,
    help: "seccomp=FILE, seccomp=unconfined, no-new-privileges=false, unmask=PATH, mask=PATH",
  }),
  privileged: boolean({
    group: ISOLATION,
    help: "all that you may have yourself: every capability, no filter, nothing hidden, your devices",
  }),
  device: list(
    { placeholder: "/dev/NODE[:TARGET]", group: ISOLATION, help: "a device of this machine that you may open" },
    parseDevice,
  ),
  gpus: value(parseGpus, { placeholder: "all", group: ISOLATION, help: "the nodes of all GPUs (no driver libraries)" }),
  sysctl: list({
    placeholder: "NAME=VALUE",
    group: ISOLATION,
    help: "a kernel parameter of the container's own: net.*, kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.*",
  }),
  groupAdd: list({ placeholder: "GROUP", group: PROCESS, help: "one more group of the program, by id or name" }),
  addHost: list({ placeholder: "NAME:ADDRESS", group: ISOLATION, help: "a line for /etc/hosts" }, parseAddHost),
  noHosts: boolean({ group: ISOLATION, help: "keep the image's /etc/hosts" }),
  dns: list(
    {
      placeholder: "ADDRESS",
      group: ISOLATION,
      help: "a name server for /etc/resolv.conf; none: the image's file stays",
    },
    parseDnsServer,
  ),
  dnsSearch: list(
    { placeholder: "DOMAIN", group: ISOLATION, help: "a domain to look short names up in; .: none" },
    parseDnsSearch,
  ),
  dnsOption: list(
    { aliases: ["dns-opt"], placeholder: "OPTION", group: ISOLATION, help: "an option of resolv.conf, as ndots:2" },
    parseDnsOption,
  ),
  label: list({ short: "l", placeholder: "KEY[=VALUE]", group: LIFE, help: "label the container" }),
  labelFile: list({ placeholder: "FILE", group: LIFE, help: "read labels from a file, one a line" }),
  cidfile: string({
    placeholder: "FILE",
    group: LIFE,
    help: "write the container's id to this file, which must not exist",
  }),
  timeout: duration({ group: LIFE, help: "end the program by SIGKILL after this time, as 30, 90s or 5m" }),
  ...HEALTH_FLAGS,
  logDriver: value(parseLogDriver, {
    placeholder: "DRIVER",
    group: LIFE,
    help: "json-file, k8s-file or local (a file of the container), none, or passthrough",
  }),
  logOpt: list({
    placeholder: "KEY=VALUE",
    group: LIFE,
    help: "max-size=10m and max-file=3: begin another file, keep so many",
  }),
  restart: value(parseRestart, {
    placeholder: "POLICY",
    group: LIFE,
    help: "start it again when it has ended: no (default), on-failure[:N], always or unless-stopped",
  }),
  stopSignal: value(parseSignal, {
    placeholder: "SIGNAL",
    group: LIFE,
    help: 'signal that "tsbox stop" sends (default SIGTERM)',
  }),
  stopTimeout: value(parseStopTimeout, {
    placeholder: "SECONDS",
    group: LIFE,
    help: 'time that "tsbox stop" waits before SIGKILL (default 10)',
  }),
} satisfies Flags;

/** `create` starts nothing. */
const { detach: _detach, detachKeys: _detachKeys, ...created } = RUN_FLAGS;
export const CREATE_FLAGS = created satisfies Flags;
