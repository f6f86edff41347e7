import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import { actorFields, containerActor, journalPath } from "../container/journal.ts";
import { generateID } from "../container/name.ts";
import type { ContainerRecord } from "../container/record.ts";
import { encodePlan } from "../helper/wire.ts";
import { execPlan, type Supervision, UNSEEN_TERMINAL } from "../plan/build.ts";
import { ALL_CAPABILITIES } from "../plan/capabilities.ts";
import { processEnv } from "../plan/process.ts";
import type { Plan } from "../plan/types.ts";
import { initLayerPath } from "../store/layer-store.ts";
import { attachedFace, becomeHelper, DEFAULT_DETACH_KEYS } from "./become-helper.ts";
import { containerState, tell } from "./container-state.ts";
import { containerUser, withGroups } from "./container-user.ts";
import type { Engine } from "./engine.ts";
import { explainCommand } from "./explain-command.ts";
import type { ExecOptions } from "./run-options.ts";
import { underFilter } from "./seccomp.ts";

/** `tsbox exec`: becomes the helper, which joins the container's namespaces and runs the command there. */
export function exec(engine: Engine, options: ExecOptions): never {
  const { plan, dir, record } = prepareExec(engine, options, {
    stdio: options.tty ? "terminal" : options.detach ? "null" : "relay",
    stdin: options.interactive,
    ...(options.tty && { terminalSize: UNSEEN_TERMINAL }),
    ...(options.tty && !options.detach
      ? attachedFace({ tty: true, keys: options.detachKeys ?? DEFAULT_DETACH_KEYS, stdin: options.interactive })
      : { signalProxy: !options.detach }),
    ...(options.detach && { detach: true }),
    onFailure: explainCommand(),
  });
  const execID = generateID();
  tell(engine, record, `exec_create: ${options.command.join(" ")}`, { execID });
  const actor = actorFields({ ...containerActor(record.id, record.name, record.image, record.labels), execID });
  mkdirSync(join(dir, "exec"), { recursive: true, mode: 0o700 });
  const path = join(dir, "exec", String(process.pid));
  writeFileSync(path, encodePlan({ ...plan, journal: { path: journalPath(engine.root), actor }, cleanup: [] }), {
    mode: 0o600,
  });
  becomeHelper(path, "once");
}

/** The plan of one more process in a running container. */
export function prepareExec(
  engine: Engine,
  options: ExecOptions,
  supervision: Pick<Supervision, "stdio" | "stdin"> & Partial<Supervision>,
): { plan: Plan; dir: string; record: ContainerRecord } {
  const record = engine.containers.find(options.container);
  const state = containerState(engine, record);
  if (state.status !== "running") {
    throw new TsboxError(`Cannot exec in container "${record.name}": state is "${state.status}", expected "running"`, {
      code: "NOT_RUNNING",
      hint: `"tsbox ps" lists what is running`,
      exitCode: 1,
    });
  }
  const lowers = withInit(record);
  const user = withGroups(containerUser(options.user ?? record.user, lowers), record.groupAdd, lowers);
  const base = record.env.filter((variable) => !options.unsetEnv.includes(variable.split("=", 1)[0] ?? ""));
  const plan = execPlan(
    {
      argv: options.command,
      env: processEnv(
        base,
        options.user === undefined ? [] : [`HOME=${user.home}`],
        options.tty ? ["TERM=xterm"] : [],
        options.env,
      ),
      cwd: options.workdir ?? record.cwd,
      user,
      capabilities: options.privileged ? ALL_CAPABILITIES : BigInt(`0x${record.capabilities}`),
      noNewPrivileges: record.noNewPrivileges,
      ...underFilter(options.privileged ? undefined : record.seccomp),
      ulimits: record.ulimits ?? [],
    },
    record,
    { pid: state.pid, startTime: state.startTime },
    {
      ...(state.cgroup !== "" && { cgroupJoin: { path: state.cgroup, optional: record.limits === undefined } }),
      detach: false,
      signalProxy: false,
      dieWithParent: false,
      ...supervision,
      cleanup: [],
    },
  );
  return { plan, dir: engine.containers.dir(record.id), record };
}

/** With keep-id the init layer has the caller's name; it lies below what the container has written. */
function withInit({ imageID, lowers: [upper = "/", ...lowers] }: ContainerRecord): string[] {
  return imageID === "" ? [upper, ...lowers] : [upper, initLayerPath(lowers), ...lowers];
}
