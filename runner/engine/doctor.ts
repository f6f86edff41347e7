import { existsSync, readlinkSync } from "node:fs";
import { makeFolder } from "../base/make-folder.ts";
import { checkFeatures } from "../helper/client.ts";
import { isInitialMap, parseSubids } from "../plan/idmap.ts";
import { isOlder, kernelShortcomings, needsKernel } from "../plan/kernel-needs.ts";
import type { StorageDriver } from "../plan/storage.ts";
import { userNamespaceHint } from "../plan/user-namespace.ts";
import { readText } from "../sys/host-facts.ts";
import type { Engine } from "./engine.ts";
import { decide, type FoundStorage } from "./try-storage.ts";

export interface Finding {
  feature: string;
  ok: boolean;
  /** Whether `run` needs it, or only gets weaker without. */
  needed: boolean;
  /** What it is for. */
  purpose: string;
  detail: string;
  /** What to type, when it is not ok. */
  fix?: string;
}

/** How to get a feature; `run` cannot do without those that are needed. Features without a row are only shown. */
interface Row {
  needed: boolean;
  fix: (engine: Engine, detail: string) => string;
}

const kernel =
  (version: string) =>
  ({ host }: Engine): string =>
    needsKernel(version, host.kernel);

const ROWS: Record<string, Row> = {
  "user-namespace": { needed: true, fix: (_, detail) => userNamespaceFix(detail) },
  newuidmap: { needed: false, fix: () => "sudo apt install uidmap" },
  newgidmap: { needed: false, fix: () => "sudo apt install uidmap" },
  "subuid-range": {
    needed: false,
    fix: ({ host }) => {
      const range = freeRange(host.subuid + host.subgid);
      return `sudo usermod --add-subuids ${range} --add-subgids ${range} ${host.user}`;
    },
  },
  "mount-namespace": { needed: true, fix: outer },
  "pid-namespace": { needed: true, fix: outer },
  "network-namespace": { needed: true, fix: outer },
  "ipc-namespace": { needed: true, fix: outer },
  "uts-namespace": {
    needed: false,
    fix: () =>
      "an outer container's filter refuses it: its own name stays (start it with --security-opt seccomp=unconfined)",
  },
  "cgroup-namespace": { needed: true, fix: outer },
  "time-namespace": { needed: false, fix: kernel("5.6") },
  "overlay-userxattr": {
    needed: false,
    fix: ({ root, host }) =>
      isOlder(host.kernel, "5.11")
        ? needsKernel("5.11", host.kernel)
        : `put the store, now "${root}", on a local disk or tmpfs (--root or TSBOX_ROOT), not on overlayfs, NFS or FUSE`,
  },
  "overlay-memory": { needed: false, fix: kernel("6.6") },
  "fuse-overlayfs": {
    needed: false,
    fix: (_, detail) =>
      detail.includes("not installed")
        ? "sudo apt install fuse-overlayfs"
        : "needs /dev/fuse (--device /dev/fuse for an outer container), and sudo apt install fuse-overlayfs",
  },
  "overlay-lowerdir-plus": { needed: false, fix: kernel("6.5") },
  "user-xattr": {
    needed: false,
    fix: ({ root }) => `"${root}" must lie on a file system with user xattrs (ext4, xfs, btrfs)`,
  },
  "whiteout-device": {
    needed: false,
    fix: ({ host, root }) =>
      isOlder(host.kernel, "5.8")
        ? needsKernel("5.8", host.kernel)
        : `the file system of "${root}" refuses them: extended attributes take their place`,
  },
  "proc-mount": {
    needed: true,
    fix: (_, detail) =>
      !detail.includes("cover")
        ? outer()
        : "an outer container masks /proc: start it with --security-opt unmask=ALL (podman) or systempaths=unconfined (docker, tsbox); run --pid host does without",
  },
  "sysfs-mount": { needed: false, fix: outer },
  "mqueue-mount": { needed: true, fix: outer },
  "devpts-mount": { needed: true, fix: outer },
  "tmpfs-mount": { needed: true, fix: outer },
  "cgroup2-mount": { needed: false, fix: outer },
  "mount-api": { needed: true, fix: kernel("5.2") },
  openat2: { needed: true, fix: kernel("5.6") },
  "pidfd-open": { needed: true, fix: kernel("5.3") },
  "setns-pidfd": { needed: true, fix: kernel("5.8") },
  "seccomp-filter": { needed: true, fix: outer },
  "cgroup-delegation": {
    needed: false,
    fix: () => "log in through systemd on a machine with cgroup v2, or: sudo loginctl enable-linger $USER",
  },
};

/** Tries everything the engine leans on; the list is what `tsbox doctor` shows. */
export async function doctor(engine: Engine): Promise<Finding[]> {
  makeFolder(engine.root, 0o700);
  const checks = checkFeatures(engine.root);
  const storage = decide(engine.root, engine.host.kernel, checks);
  const isNative = checks.some(({ feature, ok }) => feature === "overlay-userxattr" && ok);
  const shown = isNative ? checks.filter(({ feature }) => !INSTEAD_OF_OVERLAY.includes(feature)) : checks;
  const findings = shown.map((check): Finding => {
    const row = ROWS[check.feature];
    const detail = check.detail ?? check.errno ?? "";
    return {
      feature: check.feature,
      ok: check.ok,
      needed: row?.needed ?? false,
      purpose: check.purpose ?? "",
      detail,
      ...(!check.ok && row && { fix: row.fix(engine, `${check.errno ?? ""} ${detail}`) }),
    };
  });
  const { host } = engine;
  namesOneCause(findings);
  if (checks.some(({ feature, ok }) => feature === "user-namespace" && ok)) {
    const at = findings.findIndex(({ feature }) => feature === "overlay-userxattr");
    findings.splice(at, 0, await storageFinding(engine, storage));
  }
  for (const detail of kernelShortcomings(host.kernel)) {
    findings.push({ feature: "kernel", ok: false, needed: false, purpose: "what this kernel is too old for", detail });
  }
  tellRanges(engine, findings);
  if (host.uid !== 0 && parseSubids(host.subuid, host.user, host.uid).length === 0) {
    for (const finding of findings) {
      if (finding.feature === "subuid-range") finding.detail = `no line for ${host.user} in /etc/subuid`;
    }
  }
  return findings;
}

/** A range of a few ids is one, but images have users up to 65534. */
function tellRanges({ host }: Engine, findings: Finding[]): void {
  const finding = findings.find(({ feature }) => feature === "subuid-range");
  const [uids, gids] = [host.subuid, host.subgid].map((text) => parseSubids(text, host.user, host.uid));
  if (!finding?.ok || !uids?.length || !gids?.length) return;
  const total = (ranges: { count: number }[]) => ranges.reduce((sum, { count }) => sum + count, 0);
  const least = Math.min(total(uids), total(gids));
  finding.detail = uids.map(({ start, count }) => `${start}:${count}`).join(", ");
  if (least >= USUAL_IDS) return;
  const range = freeRange(host.subuid + host.subgid);
  finding.ok = false;
  finding.detail += `: no user above id ${least} can be had; files of such owners keep them beside`;
  finding.fix = `sudo usermod --add-subuids ${range} --add-subgids ${range} ${host.user}`;
}

/** Up to "nobody". */
const USUAL_IDS = 65_534;

/** Where user namespaces are refused nothing else can be tried: what to do about it is said once. */
function namesOneCause(findings: Finding[]): void {
  const first = findings.find(({ feature }) => feature === "user-namespace");
  if (first === undefined || first.ok) return;
  for (const finding of findings) {
    if (finding === first || finding.ok || finding.detail !== first.detail) continue;
    finding.detail = "see user-namespace";
    delete finding.fix;
  }
}

/** Nobody misses them where overlay itself works. */
const INSTEAD_OF_OVERLAY = ["overlay-memory", "fuse-overlayfs", "dev-fuse"];

async function storageFinding(engine: Engine, found: FoundStorage): Promise<Finding> {
  const { forced, driver } = await engine.storage();
  const said = forced
    ? `${driver}, as was asked for; ${found.driver} would be taken otherwise`
    : `${found.driver}${SLOWER[found.driver]}`;
  const ok = found.driver === "overlay";
  return {
    feature: "storage-driver",
    ok,
    needed: false,
    purpose: "how a container's root is made of its image",
    detail: ok || forced ? said : `${said}; overlay: ${found.why}`,
  };
}

const SLOWER: Record<StorageDriver, string> = {
  overlay: "",
  "fuse-overlayfs": ": every file access goes through a program",
  copy: ": each container starts with a copy of its image",
};

/** 65536 ids that no line of /etc/subuid and /etc/subgid grants to anybody. */
function freeRange(text: string): string {
  const ends = [...text.matchAll(/:(\d+):(\d+)$/gm)].map(([, start, count]) => Number(start) + Number(count));
  const start = Math.max(100_000, ...ends);
  return `${start}-${start + 65_535}`;
}

function outer(): string {
  return "an outer container or seccomp filter refuses it: allow it there";
}

/** Why a user namespace was refused, and what to do. */
export function userNamespaceFix(detail = ""): string {
  const number = (path: string) => {
    const text = readText(path).trim();
    return text === "" ? undefined : Number(text);
  };
  const [apparmor, clone, most] = [
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    "/proc/sys/kernel/unprivileged_userns_clone",
    "/proc/sys/user/max_user_namespaces",
  ].map(number);
  const facts = {
    ...(apparmor !== undefined && { apparmor }),
    ...(clone !== undefined && { clone }),
    ...(most !== undefined && { most }),
    filtered: isFiltered(),
    initial: isInitialMap(readText("/proc/self/uid_map")),
    ownProc: isOwnProc(),
    known: existsSync("/proc/self/ns/user") || !existsSync("/proc/self"),
  };
  return userNamespaceHint(facts, detail);
}

/** Somebody has put a seccomp filter around this process. */
export function isFiltered(): boolean {
  return /^Seccomp:\s*2/m.test(readText("/proc/self/status"));
}

function isOwnProc(): boolean {
  try {
    return readlinkSync("/proc/self") === String(process.pid);
  } catch {
    return false;
  }
}
