import { TsboxError } from "../base/error.ts";

/** Settings that each ipc namespace has its own of. */
const IPC = new Set(
  ["msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"].map(
    (name) => `kernel.${name}`,
  ),
);

/** What the container shares with the host; there a setting would be the host's. */
export interface Shared {
  network: boolean;
  ipc: boolean;
}

/** `net.ipv4.ip_forward=1` as the helper takes it, if it is a setting of the container's own namespaces. */
export function namespacedSysctl(text: string, shared: Shared): { name: string; value: string } {
  const [, given = "", value = ""] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (given === "") throw refused(text, "expected NAME=VALUE");
  // sysctl(8): where the first separator is a slash, dots are part of a name
  const path = /^[^./]*\//.test(given) ? given : given.replaceAll(/[./]/g, (sign) => (sign === "." ? "/" : "."));
  if (!/^[\w:@-][\w.:@-]*(\/[\w:@-][\w.:@-]*)+$/.test(path))
    throw refused(given, "it is no name of a kernel parameter");
  const name = path.replaceAll("/", ".");
  if (path.startsWith("net/")) {
    if (shared.network) throw refused(given, "not allowed in host network namespace");
  } else if (IPC.has(name) || path.startsWith("fs/mqueue/")) {
    if (shared.ipc) throw refused(given, "not allowed in host IPC namespace");
  } else {
    throw refused(
      given,
      "is not in a separate kernel namespace",
      "it would change the host; net.*, fs.mqueue.*, kernel.shm*, kernel.msg* and kernel.sem can be set",
    );
  }
  return { name: path, value };
}

function refused(name: string, why: string, hint?: string): TsboxError {
  return new TsboxError(`Cannot set sysctl ${JSON.stringify(name)}: ${why}`, {
    code: "SYSCTL",
    hint: hint ?? "as --sysctl net.ipv4.ip_forward=1",
  });
}
