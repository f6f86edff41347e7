import type { Platform } from "../oci/types.ts";
import type { Lookup } from "./dockerfile/expand.ts";
import type { Dockerfile } from "./dockerfile/parse.ts";
import { DockerfileError, type Span } from "./dockerfile/source.ts";
import type { ArgInstruction, FromInstruction, Instruction, StageInstruction } from "./dockerfile/types.ts";
import { Expander, platformArgs } from "./variables.ts";

/** A stage before it is built: its FROM expanded, what it needs found. */
export interface Stage {
  number: number;
  name?: string;
  from: FromInstruction;
  /** An image's name, `scratch`, or the stage that it goes on from. */
  base: { kind: "image"; name: string } | { kind: "scratch" } | { kind: "stage"; stage: number };
  /** As `--platform` of the FROM said. */
  platform?: string;
  instructions: StageInstruction[];
  /** Numbers of the stages that must be built before. */
  needs: number[];
}

export interface StagePlan {
  stages: Stage[];
  /** Those that the target needs, each after those that it needs. */
  order: number[];
  target: Stage;
  /** ARGs before the first FROM, with their values. */
  globals: Map<string, string>;
  /** Build arguments that some ARG of the file names. */
  declared: Set<string>;
}

export interface StageOptions {
  buildArgs: Map<string, string>;
  target?: string;
  buildPlatform: Platform;
  targetPlatform: Platform;
  /** Names given by --build-context: they hide stages and images. */
  contexts: string[];
}

/** Finds the stages of a file, what they need of each other, and which of them the target needs. */
export function planStages(file: Dockerfile, options: StageOptions): StagePlan {
  const { source } = file;
  const expander = new Expander(source, file.escapeChar);
  const globals = new Map<string, string>();
  const platforms = platformArgs(options.buildPlatform, options.targetPlatform, options.target ?? "");
  const lookup: Lookup = (name) => globals.get(name) ?? platforms[name];
  const declared = new Set<string>();
  const groups = split(file);
  for (const instruction of groups.before) {
    for (const { name, value } of instruction.args) {
      declared.add(name);
      const given = options.buildArgs.get(name);
      if (given !== undefined) globals.set(name, given);
      else if (value) globals.set(name, expander.word(value, lookup));
      else if (platforms[name] !== undefined) globals.set(name, platforms[name] as string);
    }
  }
  const fallback: Lookup = (name) => lookup(name);
  const names = groups.stages.map(({ from }) => from.name);
  const stages = groups.stages.map(({ from, instructions }, number): Stage => {
    const image = expander.word(from.image, fallback);
    if (image === "") {
      throw new DockerfileError(
        source,
        from.image.span,
        `the image's name is empty once "${from.image.text}" is expanded`,
        "give the ARG a default before the first FROM, or use --build-arg",
      );
    }
    const named = names.slice(0, number).lastIndexOf(image.toLowerCase());
    const earlier = named < 0 && /^\d+$/.test(image) && Number(image) < number ? Number(image) : named;
    const base: Stage["base"] =
      options.contexts.includes(image) || earlier < 0
        ? image === "scratch"
          ? { kind: "scratch" }
          : { kind: "image", name: image }
        : { kind: "stage", stage: earlier };
    const platform = from.platform && expander.word(from.platform, fallback);
    for (const one of instructions) {
      if (one.kind === "ARG") for (const { name } of one.args) declared.add(name);
    }
    return {
      number,
      from,
      base,
      instructions,
      needs: base.kind === "stage" ? [base.stage] : [],
      ...(from.name !== undefined && { name: from.name }),
      ...(platform && { platform }),
    };
  });
  for (const stage of stages) {
    for (const { name, span } of namedSources(stage.instructions)) {
      const found = findStage(stages, name, options.contexts);
      if (found === undefined) {
        if (/^\d+$/.test(name) && !options.contexts.includes(name)) {
          throw new DockerfileError(
            source,
            span,
            `there is no stage ${name}`,
            `the file has ${stages.length}, from 0 on`,
          );
        }
        continue;
      }
      stage.needs.push(found);
    }
  }
  const target = findTarget(file, stages, options.target);
  return { stages, order: orderOf(file, stages, target), target, globals, declared };
}

/** The stage that a `--from` names, if it is one. */
export function findStage(stages: { name?: string }[], name: string, contexts: string[]): number | undefined {
  if (contexts.includes(name)) return undefined;
  const found = stages.findLastIndex((stage) => stage.name !== undefined && stage.name === name.toLowerCase());
  if (found >= 0) return found;
  return /^\d+$/.test(name) && Number(name) < stages.length ? Number(name) : undefined;
}

function split(file: Dockerfile) {
  const before: ArgInstruction[] = [];
  const stages: { from: FromInstruction; instructions: StageInstruction[] }[] = [];
  for (const instruction of file.instructions as Instruction[]) {
    const current = stages.at(-1);
    if (instruction.kind === "FROM") stages.push({ from: instruction, instructions: [] });
    else if (current) current.instructions.push(instruction);
    else if (instruction.kind === "ARG") before.push(instruction);
    else {
      throw new DockerfileError(
        file.source,
        instruction.line.keywordSpan,
        `${instruction.kind} stands before the first FROM`,
        "only ARG may",
      );
    }
  }
  if (stages.length === 0) {
    throw new DockerfileError(
      file.source,
      { line: 1, column: 0, endLine: 1, endColumn: 1 },
      "the file has no FROM",
      "begin with FROM IMAGE, or FROM scratch",
    );
  }
  return { before, stages };
}

/** Every `--from` and `from=`. They are names, which are not expanded before their stage is built, except where they hold none. */
function namedSources(instructions: StageInstruction[]): { name: string; span: Span }[] {
  return instructions.flatMap((one) => {
    if ((one.kind === "COPY" || one.kind === "ADD") && one.from) return [{ name: one.from.text, span: one.from.span }];
    if (one.kind !== "RUN") return [];
    return one.mounts.flatMap((mount) => {
      const name = mount.fields.get("from");
      return name === undefined ? [] : [{ name, span: mount.span }];
    });
  });
}

function findTarget(file: Dockerfile, stages: Stage[], name: string | undefined): Stage {
  const last = stages.at(-1) as Stage;
  if (name === undefined || name === "") return last;
  const found = findStage(stages, name, []);
  if (found !== undefined) return stages[found] as Stage;
  const known = stages.flatMap((stage) => stage.name ?? []);
  throw new DockerfileError(
    file.source,
    last.from.line.span,
    `there is no stage "${name}" for --target`,
    known.length > 0 ? `stages are ${known.join(", ")}` : "no stage has a name: write FROM IMAGE AS NAME",
  );
}

function orderOf(file: Dockerfile, stages: Stage[], target: Stage): number[] {
  const order: number[] = [];
  const visit = (number: number, path: number[]) => {
    if (order.includes(number)) return;
    const stage = stages[number] as Stage;
    if (path.includes(number)) {
      const names = [...path.slice(path.indexOf(number)), number].map((one) => stages[one]?.name ?? String(one));
      throw new DockerfileError(
        file.source,
        stage.from.line.span,
        `the stages need each other: ${names.join(" → ")}`,
        "a stage can only use what is built before it",
      );
    }
    for (const needed of stage.needs) visit(needed, [...path, number]);
    order.push(number);
  };
  visit(target.number, []);
  return order;
}
