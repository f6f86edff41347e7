import type { NamespaceName } from "./types.ts";

/** Where a namespace that is not the container's own comes from: the host, or the container whose monitor holds the lock. */
export type NamespaceSource = "host" | { lock: string };

/** Of a container's namespaces those that somebody else has as well; absent: its own. */
export interface SharedNamespaces {
  net?: NamespaceSource;
  pid?: NamespaceSource;
  ipc?: NamespaceSource;
  uts?: NamespaceSource;
  cgroup?: NamespaceSource;
}

/** The network's word from of old: `host` there is `net` here. */
export function sharedWith(network: "none" | "host", more: SharedNamespaces = {}): SharedNamespaces {
  return network === "host" ? { net: "host", ...more } : more;
}

const KINDS = ["pid", "ipc", "uts", "cgroup", "net"] as const;

/** What is made anew, and what is entered. The new ones belong to one user namespace, which comes with the first that is entered. */
export function namespacesOf(shared: SharedNamespaces): {
  namespaces: NamespaceName[];
  share: { name: NamespaceName; lock: string }[];
} {
  const share = KINDS.flatMap((name) => {
    const source = shared[name];
    return source === undefined || source === "host" ? [] : [{ name, lock: source.lock }];
  });
  const own = KINDS.filter((name) => shared[name] === undefined);
  // processes that are seen together were started by one clock
  const clock = share.find(({ name }) => name === "pid");
  return {
    namespaces: [
      ...(share.length === 0 ? (["user"] as const) : []),
      "mount",
      ...own,
      ...(shared.pid === undefined ? (["time"] as const) : []),
    ],
    share: clock ? [...share, { name: "time", lock: clock.lock }] : share,
  };
}
