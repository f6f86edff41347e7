import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import { Cgroup } from "../cgroup/group.ts";
import { type ContainerRecord, RESTART_POLICY } from "../container/record.ts";
import { isUp } from "../container/state.ts";
import { containerProcesses } from "../helper/processes.ts";
import { replaceCgroup, replaceLimits } from "../helper/wire.ts";
import { type Limits, limitConflict, limitSettings, processSetting } from "../plan/limits.ts";
import { containerState, tell } from "./container-state.ts";
import type { Engine } from "./engine.ts";
import { cgroupSettings, processLimiter } from "./process-limit.ts";
import type { Ulimit } from "./run-options.ts";

export interface Changes {
  restart?: string;
  ulimits?: Ulimit[];
  limits?: Limits;
  /** 0: none. */
  pidsLimit?: number;
}

/** Changes what can be changed while a container is there: its restart policy, which the monitor reads at the end, and its limits, now and for the next start. */
export function update(engine: Engine, word: string, changes: Changes): ContainerRecord {
  const record = engine.containers.find(word);
  if (changes.restart !== undefined) {
    if (record.autoRemove && changes.restart !== "") {
      throw new TsboxError(`Cannot update container "${record.name}": it removes itself when it has ended (--rm)`, {
        code: "AUTO_REMOVE",
        exitCode: 1,
      });
    }
    writeFileSync(join(engine.containers.dir(record.id), RESTART_POLICY), changes.restart, { mode: 0o600 });
  }
  if (changes.limits !== undefined || changes.pidsLimit !== undefined) updateCgroup(engine, record, changes);
  if (changes.ulimits && changes.ulimits.length > 0) updateLimits(engine, record.id, changes.ulimits);
  tell(engine, record, "update");
  return record;
}

/** For the processes that run now, for those that are executed into it later, and for its next start. */
function updateLimits(engine: Engine, id: string, wanted: Ulimit[]): void {
  const record = engine.containers.find(id);
  const state = containerState(engine, record);
  if (isUp(state)) {
    for (const { name, soft, hard } of wanted) containerProcesses(state, "limit", name, String(soft), String(hard));
  }
  const kept = (record.ulimits ?? []).filter((limit) => !wanted.some(({ name }) => name === limit.name));
  const ulimits = [...kept, ...wanted];
  changePlan(engine, id, (plan) => replaceLimits(plan, ulimits));
  engine.containers.write({ ...record, ulimits });
}

/** What holds only in a cgroup: in that of a running container at once, in that of the next start from its beginning. */
function updateCgroup(engine: Engine, record: ContainerRecord, { limits: wanted = {}, pidsLimit }: Changes): void {
  const cannot = (why: string, hint?: string) =>
    new TsboxError(`Cannot change the limits of container "${record.name}": ${why}`, {
      code: "NO_LIMIT",
      ...(hint !== undefined && { hint }),
      exitCode: 1,
    });
  if (record.cgroupsDisabled) throw cannot("it was made with --cgroups disabled");
  const limits = merged(record.limits ?? {}, wanted);
  const conflict = limitConflict(limits);
  if (conflict !== undefined) throw cannot(conflict);
  const state = containerState(engine, record);
  if (isUp(state)) {
    if (state.cgroup === "") {
      throw cannot(
        "it runs without a cgroup of its own",
        '"tsbox doctor" tells whether this machine has one to give; "tsbox update --ulimit" limits its processes one by one',
      );
    }
    const now = [
      ...(pidsLimit === undefined ? [] : [processSetting(pidsLimit, false)]),
      ...limitSettings(onlyNamed(limits, wanted)),
    ];
    const failed = new Cgroup(state.cgroup).apply(now);
    if (failed)
      throw cannot(
        `its cgroup takes no "${failed.value}" for ${failed.file}`,
        "the controller may not be delegated, or the value none for it",
      );
  }
  const processes = pidsLimit ?? record.processLimit;
  const { required, settings } = cgroupSettings(engine.host, {
    limits,
    ...(processes !== undefined && { pidsLimit: processes }),
  });
  const held = processLimiter(engine.host).by === "none" ? undefined : pidsLimit;
  changePlan(engine, record.id, (plan) => replaceCgroup(plan, { required, settings, processLimit: held }));
  engine.containers.write({ ...record, limits, ...(pidsLimit !== undefined && { processLimit: pidsLimit }) });
}

/** --cpus takes the place of period and quota, and they that of --cpus. */
function merged(before: Limits, wanted: Limits): Limits {
  const { cpus, cpuPeriod, cpuQuota, ...rest } = before;
  const named = wanted.cpus !== undefined;
  const parts = wanted.cpuPeriod !== undefined || wanted.cpuQuota !== undefined;
  return {
    ...rest,
    ...(!named && cpuPeriod !== undefined && { cpuPeriod }),
    ...(!named && cpuQuota !== undefined && { cpuQuota }),
    ...(!parts && cpus !== undefined && { cpus }),
    ...wanted,
  };
}

/** Files that stand for several limits need all of them: memory and swap, quota and period. */
function onlyNamed(limits: Limits, wanted: Limits): Limits {
  const groups: (keyof Limits)[][] = [
    ["memory", "memorySwap"],
    ["cpus", "cpuPeriod", "cpuQuota"],
  ];
  const names = new Set(Object.keys(wanted));
  for (const group of groups) if (group.some((name) => names.has(name))) for (const name of group) names.add(name);
  return Object.fromEntries(Object.entries(limits).filter(([name]) => names.has(name)));
}

function changePlan(engine: Engine, id: string, change: (plan: Buffer) => Buffer): void {
  const plan = join(engine.containers.dir(id), "plan");
  writeFileSync(`${plan}.new`, change(readFileSync(plan)), { mode: 0o600 });
  renameSync(`${plan}.new`, plan);
}
