/** The table of verbs. A verb's file is evaluated only when the verb is used: start-up time is part of every `run`. */

import type { Verb } from "./verb.ts";

export interface VerbEntry {
  summary: string;
  load: () => Promise<{ default: Verb }>;
}

export const VERBS: Record<string, VerbEntry> = {
  run: { summary: "run a program in a new container", load: () => import("./commands/run.ts") },
  create: { summary: "make a container without starting it", load: () => import("./commands/create.ts") },
  start: { summary: "start containers that were made or have ended", load: () => import("./commands/start.ts") },
  restart: { summary: "stop containers and start them again", load: () => import("./commands/restart.ts") },
  attach: { summary: "look at and type into a running container", load: () => import("./commands/attach.ts") },
  exec: { summary: "run a program in a running container", load: () => import("./commands/exec.ts") },
  ps: { summary: "list containers", load: () => import("./commands/ps.ts") },
  logs: { summary: "show what a container printed", load: () => import("./commands/logs.ts") },
  top: { summary: "list the processes of a container", load: () => import("./commands/top.ts") },
  stats: { summary: "show what containers use of the machine", load: () => import("./commands/stats.ts") },
  events: { summary: "show what happens to containers and images", load: () => import("./commands/events.ts") },
  port: { summary: "show published ports of a container", load: () => import("./commands/port.ts") },
  stop: { summary: "ask containers to end, then end them", load: () => import("./commands/stop.ts") },
  kill: { summary: "send a signal to containers", load: () => import("./commands/kill.ts") },
  wait: { summary: "wait until containers end and show their exit codes", load: () => import("./commands/wait.ts") },
  pause: { summary: "stop all processes of containers", load: () => import("./commands/pause.ts") },
  unpause: { summary: "let paused containers go on", load: () => import("./commands/unpause.ts") },
  update: {
    summary: "change the restart policy and the limits of containers",
    load: () => import("./commands/update.ts"),
  },
  rename: { summary: "give a container another name", load: () => import("./commands/rename.ts") },
  cp: { summary: "copy files to and from a container", load: () => import("./commands/cp.ts") },
  rm: { summary: "remove containers", load: () => import("./commands/rm.ts") },
  commit: { summary: "make an image of a container's changes", load: () => import("./commands/commit.ts") },
  diff: { summary: "list what a container changed", load: () => import("./commands/diff.ts") },
  export: { summary: "write a container's files as a tar", load: () => import("./commands/export.ts") },
  inspect: { summary: "show all that is known of containers or images", load: () => import("./commands/inspect.ts") },
  build: { summary: "make an image of a Dockerfile", load: () => import("./commands/build.ts") },
  pull: { summary: "fetch images from a registry", load: () => import("./commands/pull.ts") },
  lock: { summary: "pin images to digests in the project's tsbox.lock", load: () => import("./commands/lock.ts") },
  push: { summary: "give a registry an image", load: () => import("./commands/push.ts") },
  search: { summary: "look for images in a registry", load: () => import("./commands/search.ts") },
  login: { summary: "store the credentials for a registry", load: () => import("./commands/login.ts") },
  logout: { summary: "forget the credentials for a registry", load: () => import("./commands/logout.ts") },
  images: { summary: "list images", load: () => import("./commands/images.ts") },
  history: { summary: "show how an image was made", load: () => import("./commands/history.ts") },
  explore: {
    summary: "show what each layer of an image holds, wastes and changes",
    load: () => import("./commands/image-explore.ts"),
  },
  tag: { summary: "give an image another name", load: () => import("./commands/tag.ts") },
  untag: { summary: "take names away from an image", load: () => import("./commands/untag.ts") },
  rmi: { summary: "remove images", load: () => import("./commands/rmi.ts") },
  load: { summary: "read images from an archive or a folder", load: () => import("./commands/load.ts") },
  save: { summary: "write images to an archive or a folder", load: () => import("./commands/save.ts") },
  import: { summary: "make an image of a root file system's tarball", load: () => import("./commands/import.ts") },
  "volume create": { summary: "make a volume", load: () => import("./commands/volume-create.ts") },
  "volume ls": { summary: "list volumes", load: () => import("./commands/volume-ls.ts") },
  "volume inspect": {
    summary: "show all that is known of volumes",
    load: () => import("./commands/volume-inspect.ts"),
  },
  "volume exists": {
    summary: "tell by the exit status if a volume exists",
    load: () => import("./commands/volume-exists.ts"),
  },
  "volume export": { summary: "write a volume to an archive", load: () => import("./commands/volume-export.ts") },
  "volume import": { summary: "fill a volume from an archive", load: () => import("./commands/volume-import.ts") },
  "volume rm": { summary: "remove volumes", load: () => import("./commands/volume-rm.ts") },
  "volume prune": { summary: "remove volumes that nobody uses", load: () => import("./commands/volume-prune.ts") },
  "network ls": {
    summary: "list the networks that a container can be given",
    load: () => import("./commands/network-ls.ts"),
  },
  "network inspect": {
    summary: "show who runs in a network",
    load: () => import("./commands/network-inspect.ts"),
  },
  unshare: {
    summary: "run a program where your subordinate ids are root's",
    load: () => import("./commands/unshare.ts"),
  },
  doctor: {
    summary: "check what this machine allows, and how to get the rest",
    load: () => import("./commands/doctor.ts"),
  },
  info: { summary: "show the store, the host and how containers run here", load: () => import("./commands/info.ts") },
  "system df": { summary: "show what takes how much room", load: () => import("./commands/system-df.ts") },
  "system check": {
    summary: "verify every digest, and repair what is damaged",
    load: () => import("./commands/system-check.ts"),
  },
  "system reset": { summary: "remove the whole store", load: () => import("./commands/system-reset.ts") },
  "system prune": { summary: "remove what is not in use", load: () => import("./commands/system-prune.ts") },
  version: { summary: "show versions", load: () => import("./commands/version.ts") },
};

/** Verbs that have no word of their own: the second one of a group (GROUPS leads to them), or not for people. */
const HIDDEN: Record<string, VerbEntry> = {
  explain: { summary: "", load: () => import("./commands/explain.ts") },
  "builder prune": { summary: "", load: () => import("./commands/builder-prune.ts") },
  measure: { summary: "", load: () => import("./commands/measure.ts") },
  "image tree": { summary: "", load: () => import("./commands/image-tree.ts") },
  "image prune": { summary: "", load: () => import("./commands/image-prune.ts") },
  "image exists": { summary: "", load: () => import("./commands/image-exists.ts") },
  "container prune": { summary: "", load: () => import("./commands/container-prune.ts") },
  "healthcheck run": { summary: "check a container's health now", load: () => import("./commands/healthcheck-run.ts") },
  "network exists": { summary: "", load: () => import("./commands/network-exists.ts") },
  "volume reload": { summary: "", load: () => import("./commands/volume-reload.ts") },
  "container exists": { summary: "", load: () => import("./commands/container-exists.ts") },
};

/** What a container's life is made of, in the order of `tsbox --help`; each is also a verb of `tsbox container`. */
const LIFE =
  "run create start restart attach exec ps top stats logs events port stop kill pause unpause wait update rename cp rm".split(
    " ",
  );

/** The order of `tsbox --help`. */
export const SECTIONS: readonly (readonly [string, readonly string[]])[] = [
  ["Containers", [...LIFE, "commit", "diff", "export", "inspect"]],
  [
    "Images",
    ["build", "pull", "push", "lock", "images", "history", "explore", "tag", "untag", "rmi", "load", "save", "import"],
  ],
  ["Registries", ["search", "login", "logout"]],
  ["Volumes", under("volume", "create", "ls", "inspect", "exists", "export", "import", "rm", "prune")],
  ["Networks", under("network", "ls", "inspect")],
  ["This machine", ["unshare", "doctor", "info", ...under("system", "df", "prune", "check", "reset"), "version"]],
];

/** `container ls` and the like: the verb and the flags it implies. */
const GROUPS: Record<string, Record<string, readonly string[]>> = {
  healthcheck: group("healthcheck", "run"),
  container: {
    ...same(...LIFE, "commit", "diff", "export"),
    ls: ["ps"],
    list: ["ps"],
    ...group("container", "exists", "prune"),
    inspect: ["inspect", "--type=container"],
  },
  image: {
    ...same("build", "diff", "pull", "push", "search", "history", "explore", "tag", "untag", "load", "save", "import"),
    ls: ["images"],
    list: ["images"],
    rm: ["rmi"],
    remove: ["rmi"],
    ...group("image", "exists", "prune", "tree"),
    inspect: ["inspect", "--type=image"],
  },
  system: { ...same("info", "events"), ...group("system", "df", "prune", "check", "reset") },
  builder: { ...same("build"), ...group("builder", "prune") },
  network: { ...group("network", "ls", "inspect", "exists"), list: ["network ls"] },
  volume: {
    ...group("volume", "create", "ls", "inspect", "exists", "export", "import", "rm", "prune", "reload"),
    list: ["volume ls"],
    remove: ["volume rm"],
  },
};

export const GROUP_WORDS: readonly string[] = Object.keys(GROUPS);

export const VERB_NAMES: readonly string[] = Object.keys(VERBS);

function same(...names: string[]): Record<string, readonly string[]> {
  return Object.fromEntries(names.map((name) => [name, [name]]));
}

/** Verbs that exist in their group only. */
function group(name: string, ...verbs: string[]): Record<string, readonly string[]> {
  return Object.fromEntries(verbs.map((verb) => [verb, [`${name} ${verb}`]]));
}

function under(name: string, ...verbs: string[]): string[] {
  return verbs.map((verb) => `${name} ${verb}`);
}

export interface Resolved {
  name: string;
  entry: VerbEntry;
  argv: string[];
}

/** The verb that the first one or two words name; what is missing or unknown is said by the caller. */
export function resolveVerb(words: readonly string[]): Resolved | undefined {
  const [first = "", second = ""] = words;
  const group = Object.hasOwn(GROUPS, first) ? GROUPS[first] : undefined;
  if (group !== undefined) {
    const implied = Object.hasOwn(group, second) ? group[second] : undefined;
    return implied === undefined ? undefined : resolveVerb([...implied, ...words.slice(2)]);
  }
  const table = Object.hasOwn(VERBS, first) ? VERBS : HIDDEN;
  const entry = Object.hasOwn(table, first) ? table[first] : undefined;
  return entry === undefined ? undefined : { name: first, entry, argv: words.slice(1) };
}

/** Verbs of a group; undefined for a word that is none. */
export function groupVerbs(word: string): string[] | undefined {
  return Object.hasOwn(GROUPS, word) ? Object.keys(GROUPS[word] ?? {}) : undefined;
}
