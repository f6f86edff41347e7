/** What of this machine decides whether somebody without privilege may make a user namespace. Absent: the kernel has no such switch. */
export interface UserNamespaceFacts {
  /** kernel.apparmor_restrict_unprivileged_userns: Ubuntu since 23.10. */
  apparmor?: number;
  /** kernel.unprivileged_userns_clone: Debian up to 10, Arch's hardened kernel. */
  clone?: number;
  /** user.max_user_namespaces, of the user namespace around. */
  most?: number;
  /** A seccomp filter is on this process. */
  filtered: boolean;
  /** The user namespace is the machine's own. */
  initial: boolean;
  /** /proc shows this process under its number. */
  ownProc: boolean;
  /** The kernel knows user namespaces. */
  known: boolean;
}

/** What to do where it was refused, with `errno` or words that hold it. */
export function userNamespaceHint(facts: UserNamespaceFacts, errno: string): string {
  const { apparmor, clone, most, filtered, initial, ownProc, known } = facts;
  if (!ownProc)
    return "/proc is another pid namespace's: mount a fresh one (bwrap: --proc /proc; unshare: --mount-proc)";
  if (!known) return "the kernel must be built with CONFIG_USER_NS";
  const full = most === 0 || errno.includes("ENOSPC");
  if (full && !initial) {
    return "the container or sandbox around allows no more user namespaces: leave that away there (bwrap: --disable-userns), or raise its user.max_user_namespaces";
  }
  if (full) return `sudo sysctl -w user.max_user_namespaces=15000   (it is ${most ?? "unknown"})`;
  if (errno.includes("EUSERS"))
    return "user namespaces are nested as deep as the kernel lets them: leave one level away";
  if (clone === 0) return "sudo sysctl -w kernel.unprivileged_userns_clone=1";
  if (filtered && !initial) return OUTER_FILTER;
  if (apparmor === 1) {
    return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0   (or an AppArmor profile with `userns,` for tsbox-helper)";
  }
  if (filtered) return OUTER_FILTER;
  return "a security module (SELinux, AppArmor, Landlock) or a chroot is in the way: the kernel's log tells (sudo dmesg)";
}

const OUTER_FILTER =
  "the seccomp filter of an outer container refuses it: start that one with --security-opt seccomp=unconfined";
