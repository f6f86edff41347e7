import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { abortable } from "../base/abortable.ts";
import { writeFileAtomic } from "../base/atomic-write.ts";
import { TsboxError, visible } from "../base/error.ts";
import type { Engine } from "../engine/engine.ts";
import { collectGarbage } from "../engine/gc.ts";
import { removeTrees } from "../engine/remove-trees.ts";
import { resolveImage } from "../engine/resolve-image.ts";
import { checkNotBuiltin } from "../engine/stored-image.ts";
import { KeptHelper } from "../helper/kept.ts";
import { prepareEngine } from "../layers/engine.ts";
import { formatPlatform, hostPlatform, parsePlatform } from "../oci/platform.ts";
import { parseReference } from "../oci/reference.ts";
import type { Digest, Platform } from "../oci/types.ts";
import { DEFAULT_PATH } from "../plan/process.ts";
import { StepCache, type StepResult, stepKey } from "../store/build-cache.ts";
import { storeLayout } from "../store/layout.ts";
import { leaseStore } from "../store/lease.ts";
import type { StepImports } from "./cache/import-steps.ts";
import { isGitAddress } from "./context/git-address.ts";
import type { HashCache } from "./context/hash-cache.ts";
import { LocalTree } from "./context/local-tree.ts";
import { contextHashes, type OpenContext, openContext } from "./context/open-context.ts";
import type { SourceTree } from "./context/source-tree.ts";
import { type Dockerfile, parseDockerfile, parseTriggers } from "./dockerfile/parse.ts";
import { DockerfileError, type Span } from "./dockerfile/source.ts";
import { Explainer } from "./explain-steps.ts";
import { explainedFull, unlessFull } from "./full-disk.ts";
import { ignoreOf } from "./ignore.ts";
import { imageState } from "./image-state.ts";
import { checkFolderContext, imageContext, imageName, isImageContext, isLayoutContext } from "./named-context.ts";
import type { BuildOptions, OnBuildEvent } from "./options.ts";
import { keepImage } from "./result.ts";
import { scratchFolder } from "./scratch-folder.ts";
import { type BuildWorld, StageBuilder, type StageState } from "./stage-builder.ts";
import { findStage, planStages, type Stage, type StagePlan } from "./stages.ts";
import { LayerSource } from "./tree/layer-source.ts";
import { TreeSource } from "./tree-source.ts";
import { PREDEFINED, platformArgs } from "./variables.ts";

export interface BuildResult {
  /** Absent: nothing was asked for that is an image. */
  imageID?: Digest;
  manifestDigest?: Digest;
  names: string[];
}

/** Builds an image. What ended before a failure is kept for the next time. */
export async function build(
  engine: Engine,
  options: BuildOptions,
  tell: OnBuildEvent,
  stdin: AsyncIterable<Uint8Array>,
): Promise<BuildResult> {
  for (const tag of options.tags) {
    checkNotBuiltin(tag, "build");
    if (parseReference(tag).digest !== undefined) {
      throw new TsboxError(`Cannot build "${visible(tag)}": a digest is not given but computed`, {
        code: "INVALID_REFERENCE",
        exitCode: 1,
      });
    }
  }
  const release = await leaseStore(storeLayout(engine.root));
  const trash = new BuildTrash(engine);
  const helper = new KeptHelper(engine.identity());
  try {
    return await new Build(engine, options, tell, trash, helper).run(stdin);
  } catch (error) {
    throw explainedFull(error);
  } finally {
    await trash.empty();
    release();
    await collectGarbage(engine);
    await helper.close();
  }
}

/** Folders of subordinate ids: removed all at once, by one helper. */
class BuildTrash {
  readonly #list: { path: string; release: () => void }[] = [];
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  add(path: string, release: () => void): void {
    this.#list.push({ path, release });
  }

  async empty(): Promise<void> {
    // what cannot be removed stays as garbage: the build's own result, or error, matters more
    await removeTrees(
      this.#engine,
      this.#list.map(({ path }) => path),
      this.#engine.identity(),
    ).catch(() => {});
    for (const { release } of this.#list) release();
  }
}

class Build {
  readonly #engine: Engine;
  readonly #options: BuildOptions;
  readonly #tell: OnBuildEvent;
  readonly #trash: BuildTrash;
  readonly #stages = new Map<number, Promise<StageState>>();
  readonly #sources = new Map<string, Promise<SourceTree>>();
  readonly #failed = new AbortController();
  readonly #noted = new Map<string, StepResult>();
  readonly #later: Promise<unknown>[] = [];
  readonly #hashes = new Map<string, HashCache>();
  #imports: StepImports | undefined;
  #steps = 0;

  readonly #helper: KeptHelper;

  constructor(engine: Engine, options: BuildOptions, tell: OnBuildEvent, trash: BuildTrash, helper: KeptHelper) {
    this.#engine = engine;
    this.#helper = helper;
    this.#tell = tell;
    this.#trash = trash;
    // when one stage fails the others are of no use
    this.#options = { ...options, signal: AbortSignal.any([options.signal, this.#failed.signal]) };
  }

  async run(stdin: AsyncIterable<Uint8Array>): Promise<BuildResult> {
    const engine = this.#engine;
    const options = this.#options;
    const identity = engine.identity();
    const context = await openContext(
      { engine, identity, trash: this.#trash, options },
      abortable(stdin, options.signal),
    );
    const file = parseDockerfile(context.dockerfile.text, context.dockerfile.name);
    const target = options.platform ?? hostPlatform();
    const plan = planStages(file, {
      buildArgs: options.buildArgs,
      ...(options.target !== undefined && { target: options.target }),
      buildPlatform: hostPlatform(),
      targetPlatform: target,
      contexts: [...options.contexts.keys()],
    });
    this.#warnUnused(plan);
    const cache = new StepCache(engine.root);
    const explainer = new Explainer(cache, context.identity, options.explain);
    const world: BuildWorld = {
      engine,
      identity,
      options,
      cache,
      trash: this.#trash,
      warmUp: () => {
        prepareEngine();
        return this.#helper.warm();
      },
      explainer,
      tell: this.#tell,
      later: (work) => {
        work.catch(() => {}); // told by #settled
        this.#later.push(work);
      },
      note: (key, result) => this.#noted.set(key, result),
      fetchStep: async (key, parent, linked) => {
        if (options.cacheFrom.length === 0) return undefined;
        const { StepImports } = await import("./cache/import-steps.ts");
        const note = (text: string) => this.#tell({ type: "note", text });
        this.#imports ??= new StepImports(engine, identity, options, note);
        const found = await this.#imports.fetch(key, parent, linked);
        if (found) cache.put(key, found);
        return found;
      },
      nextStep: () => ++this.#steps,
      context: async () => context.tree,
      source: (from, span) => this.#source(world, plan, file, from, span),
      lowers: (from, span) => this.#lowers(world, plan, file, context, from, span),
      globals: plan.globals,
      platformArgs: platformArgs(hostPlatform(), target, plan.target.name ?? ""),
      targetPlatform: target,
      time: options.sourceDateEpoch ?? Math.floor(Date.now() / 1000),
    };
    try {
      for (const number of plan.order) this.#stage(world, plan, file, number);
      const state = await this.#settled(plan);
      const result = await keepImage(world, state, { baseLayers: this.#base, steps: this.#noted });
      if (options.cacheTo.length > 0) {
        const { exportSteps } = await import("./cache/export-steps.ts");
        await exportSteps(world, this.#noted, state);
      }
      return result;
    } finally {
      this.#imports?.close();
      for (const hashes of [context.hashes, ...this.#hashes.values()]) unlessFull(() => hashes.save());
      unlessFull(() => explainer.save());
    }
  }

  /** The layers that the target's base image brought: --squash leaves them. */
  #base = 0;

  /** All stages, so that none works on behind a failure; the first failure is the build's. */
  async #settled(plan: StagePlan): Promise<StageState> {
    let first: { error: unknown } | undefined;
    const all = [...this.#stages.values()].map((stage) =>
      stage.catch((error: unknown) => {
        first ??= { error };
        this.#failed.abort(new Error("another stage failed"));
      }),
    );
    await Promise.all(all);
    // also behind a failure: the steps that ended are kept
    await Promise.all(
      this.#later.map((work) =>
        work.catch((error: unknown) => {
          first ??= { error };
        }),
      ),
    );
    if (first) throw first.error;
    return (await this.#stages.get(plan.target.number)) as StageState;
  }

  #stage(world: BuildWorld, plan: StagePlan, file: Dockerfile, number: number): Promise<StageState> {
    let made = this.#stages.get(number);
    if (!made) {
      made = this.#buildStage(world, plan, file, plan.stages[number] as Stage);
      made.catch(() => {}); // told by whoever waits for it
      this.#stages.set(number, made);
    }
    return made;
  }

  async #buildStage(world: BuildWorld, plan: StagePlan, file: Dockerfile, stage: Stage): Promise<StageState> {
    const { noCache } = this.#options;
    const base = await this.#baseState(world, plan, file, stage);
    if (stage.number === plan.target.number) this.#base = base.layers.length;
    const triggers = base.config.OnBuild ?? [];
    const { OnBuild: _, ...config } = base.config;
    const name = stage.name ?? (plan.stages.length > 1 ? String(stage.number) : "");
    const useCache = Array.isArray(noCache) ? !noCache.includes(name) : !noCache;
    const total = stage.instructions.length + triggers.length;
    let state: StageState = triggers.length > 0 ? { ...base, config } : base;
    if (triggers.length > 0) {
      const parsed = parseTriggers(triggers, stage.from.image.text);
      const builder = new StageBuilder(
        world,
        { name, source: parsed.source, escapeChar: "\\", useCache, total },
        state,
      );
      for (const instruction of parsed.instructions) await builder.carryOut(instruction);
      ({ state } = builder);
    }
    const { source, escapeChar } = file;
    const builder = new StageBuilder(world, { name, source, escapeChar, useCache, total }, state);
    for (const instruction of stage.instructions) await builder.carryOut(instruction);
    return builder.state;
  }

  async #baseState(world: BuildWorld, plan: StagePlan, file: Dockerfile, stage: Stage): Promise<StageState> {
    if (stage.base.kind === "stage") return this.#stage(world, plan, file, stage.base.stage);
    const target = stage.platform === undefined ? world.targetPlatform : parsePlatform(stage.platform);
    if (stage.base.kind === "scratch") {
      const { os, architecture, variant } = target;
      return {
        lowers: [],
        config: { Env: [`PATH=${DEFAULT_PATH}`], WorkingDir: "/" },
        image: { architecture, os, ...(variant !== undefined && { variant }) },
        layers: [],
        history: [],
        key: stepKey({ from: "scratch", platform: formatPlatform(target) }),
        steps: [],
        created: new Date((this.#options.sourceDateEpoch ?? Math.floor(Date.now() / 1000)) * 1000).toISOString(),
      };
    }
    const explicit = stage.platform !== undefined || this.#options.platform !== undefined;
    const given = this.#options.contexts.get(stage.base.name);
    const name = given === undefined ? stage.base.name : imageContext(given, file, stage);
    try {
      return await this.#imageState(world, name, given !== undefined, explicit ? target : undefined);
    } catch (error) {
      if (!(error instanceof TsboxError) || this.#options.signal.aborted) throw error;
      throw new DockerfileError(file.source, stage.from.image.span, error.message, error.hint, {
        code: error.code,
        cause: error,
      });
    }
  }

  readonly #images = new Map<string, Promise<StageState>>();

  /**
   * Stages on the same image wait for one pull of it. `given`: whoever builds has named it by --build-context; what the Dockerfile says must not
   * lead to folders of the host.
   */
  #imageState(world: BuildWorld, name: string, given: boolean, platform: Platform | undefined): Promise<StageState> {
    const key = `${given} ${name} ${platform ? formatPlatform(platform) : ""}`;
    const make = () =>
      given && isLayoutContext(name)
        ? this.#layoutState(world, name, platform)
        : this.#makeImageState(world, given ? imageName(name) : name, platform);
    const made = this.#images.get(key) ?? make();
    made.catch(() => {}); // told by whoever waits for it
    this.#images.set(key, made);
    return made;
  }

  async #makeImageState(world: BuildWorld, name: string, platform: Platform | undefined): Promise<StageState> {
    const { engine, identity } = world;
    if (name === "host") {
      throw new TsboxError('"host" is no image to build on: it is this machine', { code: "NO_SUCH_IMAGE" });
    }
    const resolved = await resolveImage(engine, name, {
      policy: this.#options.pull ? "always" : "missing",
      identity,
      connection: this.#options.connection,
      ...(platform && { platform }),
    });
    return imageState({ ...resolved, id: resolved.imageID });
  }

  /** An image of a folder (`--build-context NAME=oci-layout://…`). */
  async #layoutState(world: BuildWorld, address: string, platform: Platform | undefined): Promise<StageState> {
    const { openLayout, parseLayoutAddress } = await import("./context/oci-layout.ts");
    const { engine, identity, options } = world;
    const { signal } = options;
    const image = await openLayout(engine, parseLayoutAddress(address), {
      platform: platform ?? hostPlatform(),
      identity,
      signal,
    });
    return imageState(image);
  }

  #source(world: BuildWorld, plan: StagePlan, file: Dockerfile, from: string, span: Span): Promise<SourceTree> {
    let found = this.#sources.get(from);
    if (!found) {
      found = this.#openSource(world, plan, file, from, span);
      found.catch(() => {});
      this.#sources.set(from, found);
    }
    return found;
  }

  async #openSource(
    world: BuildWorld,
    plan: StagePlan,
    file: Dockerfile,
    from: string,
    span: Span,
  ): Promise<SourceTree> {
    const { identity, options } = world;
    const given = options.contexts.get(from);
    if (given !== undefined && !isImageContext(given)) {
      if (isGitAddress(given)) return (await import("./context/git.ts")).gitTree(world, given, { keepGitDir: false });
      if (/^https?:\/\//i.test(given)) return (await import("./context/archive-context.ts")).fetchedTree(world, given);
      checkFolderContext(given, file, from, span);
      const hashes = this.#hashes.get(given) ?? contextHashes(world.engine.root, given);
      this.#hashes.set(given, hashes);
      return new LocalTree(given, ignoreOf([]), hashes, `the context "${visible(from)}"`, true);
    }
    const number = findStage(plan.stages, from, [...options.contexts.keys()]);
    if (given === undefined && number !== undefined) {
      const state = await this.#stage(world, plan, file, number);
      return new LayerSource(state.lowers, identity, `the stage "${visible(from)}"`, state.chainID);
    }
    const name = given ?? from;
    try {
      const state = await this.#imageState(world, name, given !== undefined, options.platform);
      return new LayerSource(state.lowers, identity, `the image "${visible(from)}"`, state.chainID);
    } catch (error) {
      if (!(error instanceof TsboxError) || options.signal.aborted) throw error;
      const why =
        given === undefined ? `"${visible(from)}" is neither a stage nor an image that can be had` : error.message;
      throw new DockerfileError(file.source, span, why, error.hint, { cause: error });
    }
  }

  /** What a mount of RUN shows: layers of a stage or image, or the context as .dockerignore leaves it. */
  async #lowers(
    world: BuildWorld,
    plan: StagePlan,
    file: Dockerfile,
    context: OpenContext,
    from: string | undefined,
    span: Span,
  ): Promise<{ lowers: string[]; key: string }> {
    const tree = from === undefined ? context.tree : await this.#source(world, plan, file, from, span);
    if (tree instanceof LayerSource) return { lowers: [...tree.lowers], key: tree.key ?? "" };
    return this.#localLowers(world, context, tree as LocalTree, from);
  }

  readonly #mounted = new Map<string, Promise<{ lowers: string[]; key: string }>>();

  #localLowers(world: BuildWorld, context: OpenContext, tree: LocalTree, from: string | undefined) {
    const name = from ?? "";
    let found = this.#mounted.get(name);
    if (!found) {
      found = this.#mountLocal(world, context, tree, from === undefined);
      this.#mounted.set(name, found);
    }
    return found;
  }

  async #mountLocal(world: BuildWorld, context: OpenContext, tree: LocalTree, isContext: boolean) {
    const [root] = tree.find("");
    if (!root) throw new TsboxError("Cannot mount the context: .dockerignore leaves nothing of it", { code: "EMPTY" });
    const source = new TreeSource(tree, root, "", [], world.cache);
    const key = await source.digest();
    if (!isContext || !context.ignore.any) return { lowers: [tree.root], key };
    const entries = await source.entries();
    const folder = join(scratchFolder(world), "context");
    mkdirSync(folder, { mode: 0o755 });
    const outgoing = entries.map(({ record, content }) => {
      const bytes = content?.();
      return { record, ...(bytes && { content: bytes }) };
    });
    const { applyEntries } = await import("../engine/apply-entries.ts");
    await applyEntries(world.identity, folder, outgoing, world.options.signal);
    return { lowers: [folder], key };
  }

  #warnUnused(plan: StagePlan): void {
    const unused = [...this.#options.buildArgs.keys()].filter(
      (name) => !plan.declared.has(name) && !PREDEFINED.includes(name) && !name.startsWith("BUILDKIT_"),
    );
    if (unused.length === 0) return;
    this.#tell({
      type: "note",
      text: `no ARG names the build argument${unused.length > 1 ? "s" : ""} ${unused.join(", ")}`,
    });
  }
}

/** `--iidfile` and `--metadata-file`. */
export function writeResultFiles(options: BuildOptions, result: BuildResult): void {
  if (options.iidfile !== undefined && result.imageID) writeFileSync(options.iidfile, result.imageID);
  if (options.metadataFile === undefined) return;
  const metadata = {
    ...(result.manifestDigest && { "containerimage.digest": result.manifestDigest }),
    ...(result.imageID && { "containerimage.config.digest": result.imageID }),
    ...(result.names.length > 0 && { "image.name": result.names.join(",") }),
  };
  writeFileAtomic(options.metadataFile, `${JSON.stringify(metadata, undefined, 2)}\n`, 0o644);
}
