/** How strictly a command holds to the project's lock file. Made once a command; nothing is read for it. */
export interface LockPolicy {
  /** Absolute path of the lock file, which need not exist unless it was named. */
  path: string;
  /** Somebody named it: then it must be there. */
  named: boolean;
  /** Refuse images that are not locked, and stored ones that are not what is locked. */
  frozen: boolean;
  /** Never use the network. */
  offline: boolean;
}

export const LOCK_FILE = "tsbox.lock";

export interface LockOptions {
  lockfile?: string;
  frozen?: boolean;
  offline?: boolean;
}

/**
 * The lock file is ./tsbox.lock, or the one that --lockfile or TSBOX_LOCK names. Folders above are not searched: one failed open is all that
 * a `run` without a lock file pays, and a file that somebody else put into /tmp decides nothing.
 */
export function lockPolicy(options: LockOptions, env: NodeJS.ProcessEnv, cwd: string): LockPolicy {
  const named = options.lockfile ?? (env.TSBOX_LOCK || undefined);
  const file = named ?? LOCK_FILE;
  return {
    path: file.startsWith("/") ? file : `${cwd === "/" ? "" : cwd}/${file}`,
    named: named !== undefined,
    frozen: options.frozen ?? isSet(env.TSBOX_FROZEN),
    offline: options.offline ?? isSet(env.TSBOX_OFFLINE),
  };
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && !["", "0", "false", "no"].includes(value.toLowerCase());
}
