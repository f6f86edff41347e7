import type { Platform } from "../oci/types.ts";
import type { ConnectionOptions } from "../registry/options.ts";
import type { CacheSource, CacheTarget } from "./cache/places.ts";

export type ContextSource =
  | { kind: "folder"; path: string }
  /** A tar on standard input, or the Dockerfile alone. */
  | { kind: "stdin" }
  | { kind: "url"; url: string }
  | { kind: "git"; url: string; ref?: string; folder?: string };

export interface BuildOutput {
  type: "local" | "tar" | "oci" | "docker";
  /** Absent: standard output. */
  dest?: string;
}

export interface BuildSecret {
  id: string;
  /** A file, or a variable of the caller. */
  source: { file: string } | { env: string };
}

/** What a face asks of a build: plain data, checked for form. Paths are absolute. */
export interface BuildOptions {
  context: ContextSource;
  /** Absent: `Dockerfile` (or `Containerfile`) of the context; "-": standard input. */
  file?: string;
  tags: string[];
  target?: string;
  buildArgs: Map<string, string>;
  labels: Record<string, string>;
  /** True: nothing of the cache is used. A list: not for these stages. */
  noCache: boolean | string[];
  /** Places with steps of other builds, and such that get those of this one. */
  cacheFrom: CacheSource[];
  cacheTo: CacheTarget[];
  pull: boolean;
  /** How to talk to registries. */
  connection: ConnectionOptions;
  platform?: Platform;
  network: "none" | "host";
  addHosts: string[];
  contexts: Map<string, string>;
  secrets: BuildSecret[];
  /** Ids of agents, with their sockets. */
  ssh: Map<string, string>;
  outputs: BuildOutput[];
  squash: boolean;
  sourceDateEpoch?: number;
  iidfile?: string;
  metadataFile?: string;
  explain: boolean;
  cwd: string;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
}

/** What happens, as it happens; a face shows it. */
export type BuildEvent =
  | { type: "step"; step: number; stage: string; name: string; of: string }
  | { type: "cached"; step: number }
  | { type: "done"; step: number; milliseconds: number }
  /** Canceled: not for a fault of its own. */
  | { type: "failed"; step: number; canceled?: true }
  | { type: "output"; step: number; line: string }
  | { type: "why"; step: number; reason: string }
  | { type: "note"; text: string };

export type OnBuildEvent = (event: BuildEvent) => void;
