import { type CgroupSetting, type HelperEvent, type IdRange, type Op, PLAN_VERSION, type Plan } from "../plan/types.ts";

/**
 * The plan as words for the helper (ARCHITECTURE.md, contract 1): every word ends with a NUL byte; lists are a count and their words.
 * The helper reads by the same table; scripts/check-wire compares the two.
 */
export function encodePlan(plan: Plan): Buffer {
  const words = planWords(plan);
  for (const word of words) {
    // environment and arguments can't hold NUL; a name from outside that does must not shift the words after it
    if (word.includes("\0"))
      throw new RangeError(`Cannot encode plan: a word holds a NUL byte: ${JSON.stringify(word)}`);
  }
  return Buffer.from(`${words.join("\0")}\0`, "utf8");
}

export function planWords(plan: Plan): string[] {
  const out: string[] = ["tsbox-plan", String(PLAN_VERSION)];
  const put = (...words: (string | number)[]) => {
    for (const word of words) out.push(String(word));
  };
  if (plan.cgroup) {
    put("cgroup", plan.cgroup.name, optional(plan.cgroup));
    for (const setting of plan.cgroup.settings) put("cgroup-set", setting.file, setting.value, optional(setting));
  }
  for (const name of plan.namespaces) put("namespace", name);
  if (plan.join) put("join", plan.join.pid, plan.join.startTime);
  for (const { name, lock } of plan.share ?? []) put("share", name, lock);
  if (plan.cgroupJoin) put("cgroup-join", plan.cgroupJoin.path, optional(plan.cgroupJoin));
  for (const range of plan.uidMap) put("uid-map", ...rangeWords(range));
  for (const range of plan.gidMap) put("gid-map", ...rangeWords(range));
  if (plan.mapTools) put("map-tools", plan.mapTools.uid, plan.mapTools.gid);
  for (const o of plan.timeOffsets ?? []) put("time-offset", o.clock, o.seconds, o.nanoseconds);
  if (plan.clocksFromZero) put("clocks-from-zero");
  if (plan.hostname !== undefined) put("hostname", plan.hostname);
  if (plan.hostnameMayStay) put("hostname-may-stay");
  if (plan.domainname !== undefined) put("domainname", plan.domainname);
  put("stdio", plan.stdio);
  if (plan.stdin) put("stdin");
  if (plan.terminalSize) put("terminal-size", plan.terminalSize.rows, plan.terminalSize.columns);
  put(...faceWords(plan));
  if (plan.attach !== undefined) put("attach", plan.attach);
  if (plan.release) put("release", plan.release.folder, plan.release.target);
  if (plan.health) {
    const { report, plan: check, interval, timeout, retries, startPeriod, startInterval, onFailure } = plan.health;
    put("health", report, check, interval, timeout, retries, startPeriod, startInterval, onFailure);
  }
  if (plan.stopSignal) put("stop-signal", plan.stopSignal.number, plan.stopSignal.timeout);
  if (plan.logLimit) put("log-limit", plan.logLimit.bytes, plan.logLimit.files);
  if (plan.journal) put("journal", plan.journal.path, plan.journal.actor);
  if (plan.restart) put("restart", plan.restart.policy, plan.restart.stop);
  if (plan.restarted) put("restarted", plan.restarted.count, plan.restarted.delay);
  if (plan.events !== undefined) put("events", plan.events);
  if (plan.eventsFd !== undefined) put("events-fd", plan.eventsFd);
  if (plan.log !== undefined) put("log", plan.log);
  if (plan.lock !== undefined) put("lock", plan.lock);
  if (plan.timeout !== undefined) put("timeout", plan.timeout);
  if (plan.processLimit !== undefined) put("process-limit", plan.processLimit);
  if (plan.controlFd !== undefined) put("control-fd", plan.controlFd);
  for (const path of plan.cleanup) put("cleanup", path);
  if (plan.init) put("init");
  for (const { address, port, inside } of plan.publish ?? []) put("publish", address, port, inside);
  for (const op of plan.ops) put(...opWords(op));
  return out;
}

function optional(what: { optional: boolean }): string {
  return what.optional ? "optional" : "";
}

/** How whoever starts a container stands to it: settings that may follow on the helper's command line, so that the plan's file serves every start. */
export type Face = Partial<
  Pick<Plan, "detach" | "announce" | "onFailure" | "attached" | "signalProxy" | "dieWithParent">
>;

export function faceWords(face: Face): string[] {
  const out: string[] = [];
  const put = (...words: (string | number)[]) => {
    for (const word of words) out.push(String(word));
  };
  if (face.detach) put("detach");
  if (face.announce !== undefined) put("announce", face.announce);
  if (face.attached) put("attached", face.attached.keys.join(","), face.attached.flags.join(","));
  if (face.onFailure) put("on-failure", ...list(face.onFailure));
  if (face.signalProxy) put("signal-proxy");
  if (face.dieWithParent) put("die-with-parent");
  return out;
}

/** A container's plan with other resource limits. They stand right behind `pivot-root`, before which no word can be that one: all are paths, numbers and names of ours. */
export function replaceLimits(plan: Buffer, limits: Omit<Extract<Op, { op: "rlimit" }>, "op">[]): Buffer {
  const words = plan.toString("utf8").split("\0");
  const start = words.findIndex(
    (word, i) => word === "pivot-root" && (words[i + 1] === "rlimit" || words[i + 1] === "capabilities"),
  );
  if (start < 0) throw new RangeError("Cannot change the plan's limits: it does not enter a root of its own");
  let end = start + 1;
  while (words[end] === "rlimit") end += 4;
  const made = limits.flatMap((limit) => opWords({ op: "rlimit", ...limit }).map(String));
  return Buffer.from([...words.slice(0, start + 1), ...made, ...words.slice(end)].join("\0"), "utf8");
}

/** A container's plan whose monitor tells of it by other words: it has got another name. */
export function replaceActor(plan: Buffer, journal: string, actor: string): Buffer {
  const words = plan.toString("utf8").split("\0");
  const at = words.findIndex((word, i) => word === "journal" && words[i + 1] === journal);
  return at < 0 ? plan : Buffer.from([...words.slice(0, at + 2), actor, ...words.slice(at + 3)].join("\0"), "utf8");
}

/** Where the words of the cgroup stand: first of all. */
const FIRST = 2;

/** A container's plan with other limits of its cgroup, and of its processes (0: none) where there is no cgroup. A plan without a cgroup has no settings of one. */
export function replaceCgroup(
  plan: Buffer,
  made: { required: boolean; settings: CgroupSetting[]; processLimit?: number | undefined },
): Buffer {
  const words = plan.toString("utf8").split("\0");
  if (words[FIRST] !== "cgroup") throw new RangeError("Cannot change the plan's limits: it has no cgroup");
  let end = FIRST + 3;
  while (words[end] === "cgroup-set") end += 4;
  const settings = made.settings.flatMap((one) => ["cgroup-set", one.file, one.value, optional(one)]);
  const rest = words.slice(end);
  if (made.processLimit !== undefined) {
    const at = rest.findIndex((word, i) => word === "process-limit" && /^\d+$/.test(rest[i + 1] ?? ""));
    if (at >= 0) rest.splice(at, 2);
    if (made.processLimit > 0) rest.unshift("process-limit", String(made.processLimit));
  }
  const name = words[FIRST + 1] ?? "";
  const start = [...words.slice(0, FIRST), "cgroup", name, optional({ optional: !made.required })];
  return Buffer.from([...start, ...settings, ...rest].join("\0"), "utf8");
}

function opWords(op: Op): (string | number)[] {
  switch (op.op) {
    case "private-mounts":
    case "slave-mounts":
    case "loopback":
    case "pivot-root":
    case "session-keyring":
    case "no-new-privs":
    case "finish":
      return [op.op];
    case "root":
      return [op.op, op.dir];
    case "overlay":
      return [op.op, op.target, op.upper, op.work, op.flags.join(","), ...list(op.lowers)];
    case "overlay-at":
      return [op.op, op.dest, op.upper, op.work, op.flags.join(","), ...list(op.lowers)];
    case "bind":
      return [op.op, op.source, op.dest, op.flags.join(",")];
    case "bind-in":
      return [op.op, op.base, op.source, op.dest, op.flags.join(",")];
    case "fill":
      return [op.op, op.data, op.lock, op.dest, op.uid, op.gid, op.flags.join(",")];
    case "chown":
      return [op.op, op.source, op.uid, op.gid];
    case "tmpfs":
      return [op.op, op.dest, op.flags.join(","), op.options];
    case "proc":
    case "shared-memory":
    case "mqueue":
    case "mask":
    case "read-only":
      return [op.op, op.dest];
    case "sysfs":
    case "cgroup2":
    case "remount":
      return [op.op, op.dest, op.flags.join(",")];
    case "devpts":
      return [op.op, op.dest, op.options];
    case "sysctl":
      return [op.op, op.name, op.value];
    case "mkdir":
      return [op.op, op.dest, op.mode.toString(8)];
    case "file":
      return [op.op, op.dest, op.mode.toString(8), op.content];
    case "append":
      return [op.op, op.dest, op.content];
    case "symlink":
      return [op.op, op.target, op.dest];
    case "rlimit":
      return [op.op, op.name, op.soft, op.hard];
    case "user":
      return [op.op, op.uid, op.gid, ...list(op.groups)];
    case "capabilities":
      return [
        op.op,
        ...[op.bounding, op.effective, op.permitted, op.inheritable, op.ambient].map((mask) => mask.toString(16)),
      ];
    case "pick":
    case "seccomp":
    case "cwd":
    case "cwd-make":
      return [op.op, op.path];
    case "umask":
      return [op.op, op.mode.toString(8)];
    case "oom-score-adj":
      return [op.op, op.value];
    case "env":
      return [op.op, ...list(op.variables)];
    case "exec":
      return [op.op, ...list(op.argv)];
    case "apply":
      return [op.op, op.root, op.flags.join(","), ...list(op.lowers)];
    case "pack":
      return [op.op, op.root, op.init, op.flags.join(","), ...list(op.lowers)];
    case "changes":
      return [op.op, op.upper, op.init, ...list(op.lowers)];
    case "place":
      return [op.op, op.root, op.flags.join(",")];
    case "look":
    case "remove":
      return [op.op, ...list(op.paths)];
  }
}

function list(words: (string | number)[]): (string | number)[] {
  return [words.length, ...words];
}

function rangeWords(range: IdRange): number[] {
  return [range.inside, range.outside, range.count];
}

/** One event line of the helper; undefined for a line that is cut off (a monitor killed while writing). */
export function decodeEvent(line: string): HelperEvent | undefined {
  try {
    const value = JSON.parse(line) as HelperEvent;
    return typeof value === "object" && value !== null && typeof value.event === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
