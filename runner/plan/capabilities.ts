import { TsboxError } from "../base/error.ts";

/** Linux capabilities in the order of their numbers (capability.h). */
export const CAPABILITIES = (
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE " +
  "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN " +
  "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE " +
  "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split(" ");

/** Docker's default set. */
const DEFAULT = (
  "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL " +
  "AUDIT_WRITE"
).split(" ");

const bit = (name: string): bigint => {
  const number = CAPABILITIES.indexOf(name.replace(/^CAP_/, ""));
  if (number < 0) {
    throw new TsboxError(`Cannot use capability "${name}": no such capability`, {
      code: "UNKNOWN_CAPABILITY",
      hint: "see capabilities(7); ALL stands for every one",
    });
  }
  return 1n << BigInt(number);
};

export const ALL_CAPABILITIES: bigint = (1n << BigInt(CAPABILITIES.length)) - 1n;

/** The mask of `--cap-add` and `--cap-drop` over Docker's default set. As Docker has it: ALL first, then names; add wins over drop of ALL. */
export function capabilityMask(add: string[], drop: string[]): bigint {
  let mask = DEFAULT.reduce((sum, name) => sum | bit(name), 0n);
  if (drop.includes("ALL")) mask = 0n;
  if (add.includes("ALL")) mask = ALL_CAPABILITIES;
  for (const name of add) if (name !== "ALL") mask |= bit(name);
  for (const name of drop) if (name !== "ALL") mask &= ~bit(name);
  return mask;
}

/** The names in a mask, with their CAP_ prefix. */
export function capabilityNames(mask: bigint): string[] {
  return CAPABILITIES.filter((_, number) => (mask >> BigInt(number)) & 1n).map((name) => `CAP_${name}`);
}
