import { TsboxError } from "../base/error.ts";
import { kernelAtLeast } from "../base/kernel.ts";

/** Docker's profile format (JSON), as far as it decides anything. */
export interface SeccompProfile {
  defaultAction: string;
  defaultErrnoRet?: number;
  architectures?: string[];
  archMap?: { architecture: string; subArchitectures?: string[] | null }[];
  syscalls?: SyscallRule[] | null;
}

export interface SyscallRule {
  names?: string[];
  name?: string;
  action: string;
  errnoRet?: number;
  args?: { index: number; value: number; valueTwo?: number; op: string }[] | null;
  includes?: RuleCondition;
  excludes?: RuleCondition;
}

interface RuleCondition {
  caps?: string[] | null;
  arches?: string[] | null;
  minKernel?: string;
}

export interface SeccompHost {
  /** As Node's process.arch. */
  arch: string;
  /** `6.1.0-…` */
  kernel: string;
}

const ACTIONS: Record<string, string> = {
  SCMP_ACT_ALLOW: "allow",
  SCMP_ACT_ERRNO: "errno",
  SCMP_ACT_KILL: "kill-thread",
  SCMP_ACT_KILL_THREAD: "kill-thread",
  SCMP_ACT_KILL_PROCESS: "kill-process",
  SCMP_ACT_TRAP: "trap",
  SCMP_ACT_LOG: "log",
  SCMP_ACT_TRACE: "trace",
};

const OPERATORS: Record<string, string> = {
  SCMP_CMP_EQ: "eq",
  SCMP_CMP_NE: "ne",
  SCMP_CMP_LT: "lt",
  SCMP_CMP_LE: "le",
  SCMP_CMP_GT: "gt",
  SCMP_CMP_GE: "ge",
  SCMP_CMP_MASKED_EQ: "masked-eq",
};

/** Go's names, which the profiles use, for Node's. */
const GOARCH: Record<string, string> = { x64: "amd64", arm64: "arm64", arm: "arm", ia32: "x86", s390x: "s390x" };
const NATIVE: Record<string, string> = { x64: "SCMP_ARCH_X86_64", arm64: "SCMP_ARCH_AARCH64", arm: "SCMP_ARCH_ARM" };

/**
 * The rule words for `tsbox-helper seccomp` (ARCHITECTURE.md, contract 1): rules whose conditions on capabilities,
 * architecture and kernel do not hold are left out.
 */
export function seccompWords(profile: SeccompProfile, capabilities: string[], host: SeccompHost): string[] {
  const out = ["tsbox-seccomp", "1", "default", action(profile.defaultAction), String(profile.defaultErrnoRet ?? 1)];
  const native = NATIVE[host.arch];
  const mapped = profile.archMap?.find((entry) => entry.architecture === native)?.subArchitectures ?? [];
  for (const arch of new Set([...mapped, ...(profile.architectures ?? [])])) {
    if (arch !== native) out.push("arch", arch.replace("SCMP_ARCH_", "").toLowerCase());
  }
  for (const rule of profile.syscalls ?? []) {
    if (rule.includes && !applies(rule.includes, capabilities, host, "all")) continue;
    if (rule.excludes && applies(rule.excludes, capabilities, host, "any")) continue;
    const names = rule.names ?? (rule.name === undefined ? [] : [rule.name]);
    const args = rule.args ?? [];
    const operands = args.flatMap((arg) => {
      const operator = OPERATORS[arg.op];
      if (!operator) throw invalid(`unknown comparison "${arg.op}"`);
      const masked = operator === "masked-eq";
      // Docker writes mask in `value` and the compared value in `valueTwo`
      return [
        String(arg.index),
        operator,
        String(masked ? (arg.valueTwo ?? 0) : arg.value),
        String(masked ? arg.value : 0),
      ];
    });
    for (const name of names) {
      out.push("rule", action(rule.action), String(rule.errnoRet ?? profile.defaultErrnoRet ?? 1), name);
      out.push(String(args.length), ...operands);
    }
  }
  return out;
}

/** Reads a profile of the user's; errors name what is wrong. */
export function parseSeccompProfile(text: string): SeccompProfile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid((cause as Error).message);
  }
  const profile = value as SeccompProfile;
  if (typeof profile !== "object" || profile === null || typeof profile.defaultAction !== "string") {
    throw invalid(`"defaultAction" is missing`);
  }
  if (profile.syscalls != null && !Array.isArray(profile.syscalls)) throw invalid(`"syscalls" is not a list`);
  for (const rule of profile.syscalls ?? []) {
    if (!Array.isArray(rule.names) && typeof rule.name !== "string") throw invalid("a rule names no syscall");
    action(rule.action);
  }
  action(profile.defaultAction);
  return profile;
}

function action(name: string): string {
  const found = ACTIONS[name];
  if (!found) throw invalid(`unknown action "${name}"`);
  return found;
}

function applies(condition: RuleCondition, capabilities: string[], host: SeccompHost, how: "all" | "any"): boolean {
  const caps = condition.caps ?? [];
  const tests: boolean[] = caps.map((name) => capabilities.includes(name));
  if (condition.arches?.length) tests.push(condition.arches.includes(GOARCH[host.arch] ?? host.arch));
  if (condition.minKernel) tests.push(kernelAtLeast(host.kernel, condition.minKernel));
  return how === "all" ? tests.every(Boolean) : tests.some(Boolean);
}

function invalid(why: string): TsboxError {
  return new TsboxError(`Cannot use seccomp profile: ${why}`, {
    code: "INVALID_SECCOMP_PROFILE",
    hint: "it must be in Docker's JSON format",
  });
}
