import { mkdirSync } from "node:fs";
import { checkFeatures } from "../helper/client.ts";
import { parseSubids } from "../plan/idmap.ts";
import { readText } from "../sys/host-facts.ts";
import type { Engine } from "./engine.ts";

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

interface Row {
  purpose: string;
  needed: boolean;
  fix: (engine: Engine, detail: string) => string;
}

const kernel = (version: string) => () => `needs Linux ${version} or later`;

/** What each feature is for and how to get it; features that the helper checks and that are not here are shown as they come. */
const ROWS: Record<string, Row> = {
  "user-namespace": {
    purpose: "everything: containers without root",
    needed: true,
    fix: (_, detail) => userNamespaceFix(detail),
  },
  "map-tools": { purpose: "more than one id inside", needed: false, fix: () => "sudo apt install uidmap" },
  "subuid-range": {
    purpose: "more than one id inside",
    needed: false,
    fix: ({ host }) => `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${host.user}`,
  },
  "pid-namespace": { purpose: "hide the host's processes", needed: true, fix: outer },
  "net-namespace": { purpose: "--network none", needed: true, fix: outer },
  "ipc-namespace": { purpose: "private shared memory", needed: true, fix: outer },
  "uts-namespace": { purpose: "a hostname of its own", needed: true, fix: outer },
  "cgroup-namespace": { purpose: "hide the host's cgroups", needed: true, fix: outer },
  "time-namespace": { purpose: "an uptime of its own", needed: false, fix: kernel("5.6") },
  "overlay-userxattr": {
    purpose: "copy-on-write root filesystems",
    needed: true,
    fix: ({ root }) =>
      `needs Linux 5.11 or later, and a store on a local disk: "${root}" must not lie on overlayfs or NFS (use --root or TSBOX_ROOT)`,
  },
  "overlay-lowerdir-append": { purpose: "images of very many layers", needed: false, fix: kernel("6.5") },
  "proc-mount": {
    purpose: "/proc of the container's own",
    needed: true,
    fix: () =>
      "the outer container masks /proc: start it with --security-opt unmask=ALL (podman) or systempaths=unconfined (docker)",
  },
  "sysfs-mount": { purpose: "/sys of the container's own", needed: false, fix: outer },
  "seccomp-filter": { purpose: "the default system call filter", needed: true, fix: outer },
  openat2: { purpose: "paths that can't leave the root", needed: true, fix: kernel("5.6") },
  pidfd: { purpose: "signals that reach the right process", needed: true, fix: kernel("5.3") },
  "setns-pidfd": { purpose: "exec", needed: true, fix: kernel("5.8") },
  "cgroup-delegated": {
    purpose: "limits on memory, processes and cpu (not used yet)",
    needed: false,
    fix: () => "log in through systemd, or: sudo loginctl enable-linger $USER",
  },
};

/** Tries everything the engine leans on; the list is what `tsbox doctor` shows. */
export function doctor(engine: Engine): Finding[] {
  mkdirSync(engine.root, { recursive: true, mode: 0o700 });
  const findings = checkFeatures(engine.root).map((check): Finding => {
    const row = ROWS[check.feature];
    const detail = check.detail ?? check.errno ?? "";
    return {
      feature: check.feature,
      ok: check.ok,
      needed: row?.needed ?? false,
      purpose: row?.purpose ?? "",
      detail,
      ...(!check.ok && row && { fix: row.fix(engine, `${check.errno ?? ""} ${detail}`) }),
    };
  });
  const { host } = engine;
  if (host.uid !== 0 && parseSubids(host.subuid, host.user, host.uid).length === 0) {
    for (const finding of findings) {
      if (finding.feature === "subuid-range") finding.detail = `no line for ${host.user} in /etc/subuid`;
    }
  }
  return findings;
}

function outer(): string {
  return "an outer container or seccomp filter refuses it: allow it there";
}

/** The three ways in which distributions refuse user namespaces, each with its switch. */
export function userNamespaceFix(detail = ""): string {
  if (readText("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").trim() === "1") {
    return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0   (or an AppArmor profile with `userns,` for tsbox-helper)";
  }
  if (readText("/proc/sys/kernel/unprivileged_userns_clone").trim() === "0") {
    return "sudo sysctl -w kernel.unprivileged_userns_clone=1";
  }
  if (readText("/proc/sys/user/max_user_namespaces").trim() === "0" || detail.includes("ENOSPC")) {
    return "sudo sysctl -w user.max_user_namespaces=15000";
  }
  if (/^Seccomp:\s*2/m.test(readText("/proc/self/status"))) {
    return "the seccomp filter of an outer container refuses it: start that one with --security-opt seccomp=unconfined";
  }
  return "the kernel must be built with CONFIG_USER_NS";
}
