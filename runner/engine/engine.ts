import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import { ContainerFiles } from "../container/record.ts";
import { type Identity, makeIdentity, mappedSubids, parseSubids } from "../plan/idmap.ts";
import type { StorageDriver } from "../plan/storage.ts";
import { gatherHostFacts, type HostFacts } from "../sys/host-facts.ts";
import { type LockOptions, type LockPolicy, lockPolicy } from "./lock/policy.ts";
import type { LayerProgress } from "./pull.ts";
import { findStorage, namedDriver, type Storage } from "./storage-driver.ts";

/** What every verb of the engine works with: where the store lies, who the caller is. Made once a command. */
export interface Engine {
  /** The store's folder. */
  root: string;
  host: HostFacts;
  containers: ContainerFiles;
  /** The project's lock file, and how strictly it is held to. */
  lock: LockPolicy;
  /** Id maps for this caller; a keep-id request makes other ones. */
  identity(keepID?: { uid?: number; gid?: number }): Identity;
  /** How containers get their root here; found out when it is first asked for. */
  storage(): Promise<Storage>;
  /** One line for the person at the keyboard, on standard error. */
  warn(line: string): void;
  /** Shows how an image comes that is pulled on the way to something else; absent: a line tells that it is pulled. */
  followPull?(name: string, stored: boolean): Promise<PullFollower>;
}

export interface PullFollower {
  update(event: LayerProgress): void;
  end(): void;
}

export interface EngineOptions extends LockOptions {
  root?: string;
  storageDriver?: string;
  env?: NodeJS.ProcessEnv;
  warn?: (line: string) => void;
}

export function openEngine(options: EngineOptions = {}): Engine {
  const env = options.env ?? process.env;
  const host = gatherHostFacts(env);
  const root = storeRoot(options.root, env, host);
  const named: StorageDriver | undefined = namedDriver(options.storageDriver, env);
  let storage: Promise<Storage> | undefined;
  return {
    root,
    host,
    containers: new ContainerFiles(root),
    lock: lockPolicy(options, env, host.cwd),
    identity: (keepID) =>
      makeIdentity(
        {
          uid: host.uid,
          gid: host.gid,
          subuid: mappedSubids(parseSubids(host.subuid, host.user, host.uid), host.maps.uid),
          subgid: mappedSubids(parseSubids(host.subgid, host.user, host.uid), host.maps.gid),
          ...(host.ownMaps && { ownMaps: host.ownMaps }),
          ...(host.mapTools && (host.uid === 0 || !host.noNewPrivileges) && { mapTools: host.mapTools }),
        },
        keepID,
      ),
    storage: () => {
      storage ??= findStorage(root, host.kernel, named);
      return storage;
    },
    warn: options.warn ?? (() => {}),
  };
}

function storeRoot(option: string | undefined, env: NodeJS.ProcessEnv, host: HostFacts): string {
  const root =
    option ?? env.TSBOX_ROOT ?? join(env.XDG_DATA_HOME || join(env.HOME || "/nonexistent", ".local/share"), "tsbox");
  if (!env.HOME && !option && !env.TSBOX_ROOT && !env.XDG_DATA_HOME) {
    throw new TsboxError("Cannot open the store: HOME is not set", {
      code: "NO_HOME",
      hint: "set HOME, XDG_DATA_HOME or TSBOX_ROOT, or use --root DIR",
    });
  }
  return root.startsWith("/") ? root : join(host.cwd, root);
}
