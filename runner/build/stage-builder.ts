import { chmodSync, writeFileSync } from "node:fs";
import { TsboxError, visible } from "../base/error.ts";
import { containerUser } from "../engine/container-user.ts";
import type { Engine } from "../engine/engine.ts";
import { layerRecord, RecordKind } from "../layers/abi.ts";
import type { HistoryEntry, ImageConfig, Platform, ProcessConfig } from "../oci/types.ts";
import type { Identity } from "../plan/idmap.ts";
import { blobStream } from "../store/blob-store.ts";
import { hasBlob } from "../store/blobs.ts";
import { type BuiltLayer, type KeyParts, type StepCache, type StepResult, stepKey } from "../store/build-cache.ts";
import { hasLayer } from "../store/layer-store.ts";
import { storeLayout } from "../store/layout.ts";
import { stagingFolder } from "../store/staging.ts";
import { lock, unlock } from "../sys/native.ts";
import { changeConfig, commandWords, DEFAULT_SHELL, isConfigInstruction, workdirOf } from "./config.ts";
import { OutsideContext } from "./context/local-tree.ts";
import type { SourceTree } from "./context/source-tree.ts";
import { CopyLayer, type CopyRequest, type CopySource, contentKeys, contentLines } from "./copy-files.ts";
import { heredocContent, heredocWord } from "./dockerfile/lines.ts";
import { DockerfileError, type Source, type Span } from "./dockerfile/source.ts";
import type { CopyInstruction, RunInstruction, RunMount, StageInstruction, Text } from "./dockerfile/types.ts";
import type { Explainer } from "./explain-steps.ts";
import { explainedFull, fullStoreHint } from "./full-disk.ts";
import { cleanPath, hasWildcards } from "./glob.ts";
import type { MadeLayer } from "./make-layer.ts";
import { type ModeChange, parseMode } from "./mode.ts";
import type { BuildOptions, OnBuildEvent } from "./options.ts";
import { chainOn, onTop, type ParentTree } from "./parent-tree.ts";
import type { Trash } from "./run-step.ts";
import { scratchFolder } from "./scratch-folder.ts";
import { StepFailed } from "./step-failed.ts";
import { LayerSource } from "./tree/layer-source.ts";
import { LayeredTree, type TreeNode } from "./tree/layered-tree.ts";
import { ENTRIES, TreeSource } from "./tree-source.ts";
import { Expander, PREDEFINED, Variables } from "./variables.ts";

/** What a stage is at some point of its instructions: an image in the making. */
export interface StageState extends ParentTree {
  config: ProcessConfig;
  /** What an image says beside its config: platform, author. */
  image: Pick<ImageConfig, "architecture" | "os" | "variant" | "author">;
  layers: Pick<MadeLayer, "diffID" | "mediaType" | "blob">[];
  history: HistoryEntry[];
  /** Names everything that the stage is made of, its config too. */
  key: string;
  /** Keys of the steps that made it. */
  steps: string[];
  /** When the last of it was made. */
  created: string;
}

/** A stage all of whose blobs are in the store. */
export interface FinishedStage extends Omit<StageState, "layers"> {
  layers: Pick<BuiltLayer, "diffID" | "digest" | "size" | "mediaType">[];
}

/** What all stages of a build share. */
export interface BuildWorld {
  engine: Engine;
  identity: Identity;
  options: BuildOptions;
  cache: StepCache;
  trash: Trash;
  explainer: Explainer;
  tell: OnBuildEvent;
  /** Something will have to be made: starts what that takes. Resolves when the helper for all of it is ready. */
  warmUp(): Promise<void>;
  /** Work that no step waits for, but the build. */
  later(work: Promise<unknown>): void;
  /** A step is done, or was found. */
  note(key: string, result: StepResult): void;
  /** A step that other builds left for this one. */
  fetchStep(key: string, parent: ParentTree, linked?: boolean): Promise<StepResult | undefined>;
  /** A new number for a step that people are shown. */
  nextStep(): number;
  /** The context; made when the first instruction asks for it. */
  context(): Promise<SourceTree>;
  /** What `--from` names: a stage (which is waited for), a named context or an image. */
  source(from: string, span: Span): Promise<SourceTree>;
  /** The same as layers, for mounts; undefined: the context. */
  lowers(from: string | undefined, span: Span): Promise<{ lowers: string[]; key: string }>;
  globals: Map<string, string>;
  platformArgs: Record<string, string>;
  targetPlatform: Platform;
  /** Seconds since 1970 for what has no time of its own. */
  time: number;
}

/** Carries out the instructions of one stage. */
export class StageBuilder {
  readonly #world: BuildWorld;
  readonly #name: string;
  readonly #source: Source;
  readonly #expander: Expander;
  readonly #variables = new Variables();
  readonly #useCache: boolean;
  readonly #total: number;
  #state: StageState;
  #cmdSet = false;
  #number = 0;
  /** The number that people are shown. */
  #step = 0;

  constructor(
    world: BuildWorld,
    stage: { name: string; source: Source; escapeChar: string; useCache: boolean; total: number },
    state: StageState,
  ) {
    this.#world = world;
    this.#name = stage.name;
    this.#source = stage.source;
    this.#expander = new Expander(stage.source, stage.escapeChar);
    this.#useCache = stage.useCache;
    this.#total = stage.total;
    this.#state = state;
    this.#variables.setEnv(state.config.Env ?? []);
  }

  get state(): StageState {
    return this.#state;
  }

  async carryOut(instruction: StageInstruction): Promise<void> {
    const { tell, options } = this.#world;
    options.signal.throwIfAborted();
    this.#number++;
    this.#step = this.#world.nextStep();
    tell({
      type: "step",
      step: this.#step,
      stage: this.#name,
      name: instruction.original.replace(/\s+/g, " "),
      of: `${this.#number}/${this.#total}`,
    });
    const start = performance.now();
    try {
      const cached = await this.#carryOut(instruction).catch((error: unknown) => this.#again(error, instruction));
      if (cached) tell({ type: "cached", step: this.#step });
      else tell({ type: "done", step: this.#step, milliseconds: performance.now() - start });
    } catch (error) {
      tell({ type: "failed", step: this.#step, ...(options.signal.aborted && { canceled: true }) });
      if (options.signal.aborted) throw error;
      throw this.#placed(error, instruction);
    }
  }

  /** Once more, with the tree's nodes read by one who may enter every folder. */
  async #again(error: unknown, instruction: StageInstruction): Promise<boolean> {
    const { code, cause } = error as NodeJS.ErrnoException;
    const closed = code === "EACCES" || (cause as NodeJS.ErrnoException | undefined)?.code === "EACCES";
    const { identity, options } = this.#world;
    const from = closed && instruction.kind === "COPY" && instruction.from;
    if (from) {
      const source = await this.#world.source(this.#expand(from.text, from.span), from.span);
      if (source instanceof LayerSource && !source.readsInside) {
        await source.readInside(() => scratchFolder(this.#world), options.signal);
        return this.#carryOut(instruction).catch((again: unknown) => this.#again(again, instruction));
      }
    }
    if (!closed || this.#index?.lowers === this.#state.lowers) throw error;
    const { lowers } = this.#state;
    const { indexTree } = await import("./tree/index-tree.ts");
    this.#index = { lowers, nodes: await indexTree(identity, lowers, scratchFolder(this.#world), options.signal) };
    return this.#carryOut(instruction);
  }

  #index: { lowers: string[]; nodes: Map<string, TreeNode> } | undefined;

  /** What an instruction sees of the image so far; with --link that is nothing. */
  #tree(linked = false): LayeredTree {
    if (linked) return new LayeredTree([]);
    const { lowers } = this.#state;
    return new LayeredTree(lowers, this.#index?.lowers === lowers ? this.#index.nodes : undefined);
  }

  /** True: nothing had to be done. */
  async #carryOut(one: StageInstruction): Promise<boolean> {
    const { lookup } = this.#variables;
    if (one.kind === "ARG") return this.#arg(one);
    if (one.kind === "RUN") return this.#run(one);
    if (one.kind === "COPY" || one.kind === "ADD") return this.#copy(one);
    if (one.kind === "WORKDIR") return this.#workdir(this.#expander.word(one.word, lookup), one);
    if (!isConfigInstruction(one)) throw new RangeError("unreachable: every instruction is one of these");
    const change = changeConfig(this.#state.config, one, {
      source: this.#source,
      expander: this.#expander,
      lookup,
      cmdSet: this.#cmdSet,
    });
    if (one.kind === "CMD") this.#cmdSet = true;
    this.#state.config = change.config;
    if (change.author !== undefined) this.#state.image = { ...this.#state.image, author: change.author };
    this.#variables.setEnv(change.config.Env ?? []);
    return this.#emptyStep(change.createdBy);
  }

  /** A step that makes no layer: its time is remembered, so that the image of a repeated build is the same. */
  async #emptyStep(createdBy: string): Promise<boolean> {
    const parts = { parent: this.#state.key, instruction: createdBy };
    const key = stepKey({ kind: "config", ...parts });
    const found = this.#useCache
      ? (this.#world.cache.get(key) ?? (await this.#world.fetchStep(key, this.#state)))
      : undefined;
    const result: StepResult = found ?? { created: this.#now() };
    if (!found) this.#world.cache.put(key, result);
    this.#world.note(key, result);
    this.#push(key, { created: result.created }, createdBy, false);
    await this.#why(key, parts, found);
    return found !== undefined;
  }

  #now(): string {
    const { sourceDateEpoch } = this.#world.options;
    return new Date(sourceDateEpoch === undefined ? Date.now() : sourceDateEpoch * 1000).toISOString();
  }

  #push(
    key: string,
    result: { created: string; layer?: MadeLayer | undefined },
    createdBy: string,
    withFiles: boolean,
  ): void {
    const { engine, identity, options } = this.#world;
    const state = this.#state;
    const created = options.sourceDateEpoch === undefined ? result.created : this.#now();
    const entry: HistoryEntry = {
      created,
      created_by: withFiles ? `${createdBy} # buildkit` : createdBy,
      comment: "buildkit.dockerfile.v0",
      ...(!result.layer && { empty_layer: true }),
    };
    this.#state = {
      ...state,
      ...(result.layer && onTop(engine, identity, state, result.layer)),
      layers: result.layer ? [...state.layers, result.layer] : state.layers,
      history: [...state.history, entry],
      steps: [...state.steps, key],
      key: stepKey({ parent: state.key, key, layer: result.layer?.diffID ?? "" }),
      created,
    };
  }

  async #why(key: string, parts: KeyParts, found: unknown, files?: () => Promise<string[]>): Promise<void> {
    const reason = await this.#world.explainer.reason({
      place: `${this.#name}/${this.#number}`,
      key,
      parts,
      hit: found !== undefined,
      useCache: this.#useCache,
      ...(files && { files }),
    });
    if (reason !== undefined) this.#world.tell({ type: "why", step: this.#step, reason });
  }

  /** Makes a step's layer, or finds it. The layers of the store may have gone: then it is made anew. */
  async #layerStep(
    own: KeyParts,
    createdBy: string,
    make: () => Promise<MadeLayer | undefined>,
    files?: () => Promise<string[]>,
    linked = false,
  ): Promise<boolean> {
    const { cache, engine, identity, options } = this.#world;
    const parts: KeyParts = {
      ...own,
      // with --link a layer is the same whatever it lies on
      ...(linked ? { link: "yes" } : { parent: this.#state.chainID ?? "scratch" }),
      // times are part of what a step makes only where they are asked for
      ...(options.sourceDateEpoch !== undefined && { epoch: String(options.sourceDateEpoch) }),
    };
    const key = stepKey(parts);
    let found = this.#useCache ? cache.get(key) : undefined;
    if (found?.layer) {
      const layout = storeLayout(engine.root);
      const { chainID, digest } = found.layer;
      if ((!linked && !hasLayer(layout, identity.key, chainID)) || !hasBlob(layout, digest)) {
        cache.forget(key);
        found = undefined;
      } else if (linked) found = await this.#relinked(key, found, found.layer);
    }
    if (this.#useCache) found ??= await this.#world.fetchStep(key, this.#state, linked);
    if (!found) void this.#world.warmUp();
    await this.#why(key, parts, found, files);
    if (found) {
      this.#world.note(key, found);
      this.#push(key, { ...found, layer: found.layer && { ...found.layer, blob: found.layer } }, createdBy, true);
      return true;
    }
    await this.#world.warmUp();
    const layer = await make();
    const created = this.#now();
    this.#push(key, { created, layer }, createdBy, true);
    if (layer) this.#world.later(this.#keep(key, created, layer));
    else {
      cache.put(key, { created });
      this.#world.note(key, { created });
    }
    return false;
  }

  /** A layer that fits every tree, unpacked on this one. */
  async #relinked(key: string, found: StepResult, layer: BuiltLayer): Promise<StepResult> {
    const { cache, engine, identity, options } = this.#world;
    const { lowers, chainID: parent } = this.#state;
    const layout = storeLayout(engine.root);
    const { diffID, digest } = layer;
    const chainID = chainOn(parent, diffID);
    const held = await lock(layout.lock(`layer-${identity.key}-${chainID.slice(7)}`));
    try {
      if (!hasLayer(layout, identity.key, chainID)) {
        const { unpackOne } = await import("../engine/unpack-image.ts");
        await this.#world.warmUp();
        const expected = { diffID, chainID, signal: options.signal };
        await unpackOne(engine, identity, blobStream(layout, digest), lowers, expected);
      }
    } finally {
      unlock(held);
    }
    if (chainID === layer.chainID) return found;
    const moved = { ...found, layer: { ...layer, chainID } };
    cache.put(key, moved);
    return moved;
  }

  /** A step is one only once its blob is in the store. */
  async #keep(key: string, created: string, { blob, ...layer }: MadeLayer): Promise<void> {
    const { digest, size } = await blob;
    const result: StepResult = { created, layer: { ...layer, digest, size } };
    this.#world.cache.put(key, result);
    this.#world.note(key, result);
  }

  #arg(one: Extract<StageInstruction, { kind: "ARG" }>): Promise<boolean> {
    const { options, globals, platformArgs } = this.#world;
    const shown = one.args.map(({ name, value }) => {
      const given =
        options.buildArgs.get(name) ?? (value ? this.#expander.word(value, this.#variables.lookup) : undefined);
      const known = given ?? globals.get(name) ?? platformArgs[name];
      if (known !== undefined) this.#variables.args.set(name, known);
      return known === undefined ? name : `${name}=${known}`;
    });
    // a predefined one leaves no trace: it may hold a password
    const text = one.args.every(({ name }) => PREDEFINED.includes(name))
      ? `ARG ${one.args.map((a) => a.name).join(" ")}`
      : `ARG ${shown.join(" ")}`;
    return this.#emptyStep(text);
  }

  async #workdir(path: string, one: Extract<StageInstruction, { kind: "WORKDIR" }>): Promise<boolean> {
    if (path === "") throw new DockerfileError(this.#source, one.word.span, "the working directory's name is empty");
    const { engine, identity, options, time } = this.#world;
    const workdir = workdirOf(this.#state.config, path);
    this.#state.config = { ...this.#state.config, WorkingDir: workdir };
    const user = this.#state.config.User ?? "";
    return this.#layerStep(
      { kind: "WORKDIR", instruction: `WORKDIR ${workdir}`, user },
      `WORKDIR ${workdir}`,
      async () => {
        const { node, missing } = this.#tree().resolve(workdir);
        if (missing.length === 0 && node.kind === "directory") return undefined;
        if (node.kind !== "directory")
          throw new DockerfileError(this.#source, one.word.span, `"/${node.path}" is not a folder`);
        const { uid, gid } = containerUser(user, this.#state.lowers);
        let at = node.path;
        const records = missing.map((part) => {
          at = at === "" ? part : `${at}/${part}`;
          return {
            record: layerRecord(RecordKind.DIRECTORY, {
              path: Buffer.from(at),
              mode: 0o755,
              uid,
              gid,
              mtimeSeconds: time,
            }),
          };
        });
        const { makeLayer } = await import("./make-layer.ts");
        return makeLayer(engine, identity, this.#state, records, options);
      },
    );
  }

  async #run(one: RunInstruction): Promise<boolean> {
    const { engine, identity, options, trash, tell } = this.#world;
    const { config } = this.#state;
    const shell = config.Shell ?? DEFAULT_SHELL;
    const argv = commandWords(this.#runCommand(one), shell);
    const declared = this.#variables.visibleArgs().filter((word) => !PREDEFINED.includes(word.split("=", 1)[0] ?? ""));
    const proxies = PREDEFINED.flatMap((name) => {
      const value = options.buildArgs.get(name);
      return value === undefined ? [] : [`${name}=${value}`];
    });
    const network = one.network === undefined || one.network === "default" ? options.network : one.network;
    // what a file asks for is not yet granted: only who starts the build may open the host's network to it
    if (network === "host" && options.network !== "host") {
      throw new DockerfileError(
        this.#source,
        one.line.span,
        "the step asks for the host's network, which this build was not given",
        "use --network host if you trust the file with it",
      );
    }
    const bound = await Promise.all(
      one.mounts
        .filter((mount) => mount.type === "bind")
        .map(async (mount) => {
          const from = mount.fields.get("from");
          const { key } = await this.#world.lowers(from && this.#expand(from, mount.span), mount.span);
          return key;
        }),
    );
    const mounts = one.mounts.map(
      (mount) =>
        `${mount.type} ${[...mount.fields]
          .map(([k, v]) => `${k}=${v}`)
          .sort()
          .join(",")}`,
    );
    const parts: KeyParts = {
      kind: "RUN",
      instruction: argv,
      arguments: declared,
      environment: config.Env ?? [],
      user: config.User ?? "",
      workdir: config.WorkingDir ?? "/",
      mounts,
      "mounted content": bound,
      hosts: options.addHosts,
      ...(one.network && { network: one.network }),
      ...(one.heredocs.length > 0 && { heredocs: one.heredocs.map((heredoc) => heredoc.content) }),
    };
    const count = declared.length > 0 ? `|${declared.length} ${declared.join(" ")} ` : "";
    return this.#layerStep(parts, `RUN ${count}${argv.join(" ")}`, async () => {
      const staged = stagingFolder(storeLayout(engine.root));
      trash.add(staged.path, staged.release);
      const { prepareMounts } = await import("./run-mounts.ts");
      const { runStep } = await import("./run-step.ts");
      const prepared = await prepareMounts(
        engine,
        identity,
        one.mounts,
        {
          secrets: options.secrets,
          ssh: options.ssh,
          env: options.env,
          cwd: config.WorkingDir ?? "/",
          expand: (text) => this.#expand(text, one.line.span),
          tree: (from) => this.#world.lowers(from, one.line.span),
          source: (from) => this.#world.source(from, one.line.span),
          refuse: (mount: RunMount, why, hint) => new DockerfileError(this.#source, mount.span, why, hint),
        },
        staged.path,
      );
      const script = await this.#script(one, staged.path);
      if (script) {
        prepared.mounts.push(script.mount);
        prepared.points.push({ path: script.mount.target, kind: "file" });
      }
      const step = this.#step;
      try {
        return await runStep(
          engine,
          identity,
          this.#state,
          {
            argv,
            env: [...proxies, ...declared, ...(config.Env ?? []), ...prepared.env],
            cwd: config.WorkingDir ?? "/",
            user: config.User ?? "",
            network,
            mounts: prepared.mounts,
            mountPoints: prepared.points,
            addHosts: options.addHosts,
            ...(options.sourceDateEpoch !== undefined && { sourceDateEpoch: options.sourceDateEpoch }),
            signal: options.signal,
            onLine: (line) => tell({ type: "output", step, line }),
          },
          trash,
        );
      } catch (error) {
        if (error instanceof StepFailed) throw this.#stepFailed(one, error, network);
        throw error;
      } finally {
        prepared.release();
      }
    });
  }

  /** A heredoc alone is the command; beside other words it is the shell's business. */
  #runCommand(one: RunInstruction): RunInstruction["command"] {
    const [first] = one.heredocs;
    if (!first) return one.command;
    const text = one.command.words[0] ?? "";
    if (!heredocWord(text)) {
      return { shell: true, words: [[text, ...one.heredocs.map((doc) => `${doc.content}${doc.name}`)].join("\n")] };
    }
    const content = heredocContent(first);
    return content.startsWith("#!")
      ? { shell: true, words: [scriptPath(first.name)] }
      : { shell: true, words: [content] };
  }

  /** A heredoc that begins with #! is a program of its own. */
  async #script(one: RunInstruction, folder: string) {
    const [first] = one.heredocs;
    if (!first || !heredocWord(one.command.words[0] ?? "")) return undefined;
    const content = heredocContent(first);
    if (!content.startsWith("#!")) return undefined;
    const source = `${folder}/script`;
    writeFileSync(source, content);
    chmodSync(source, 0o755);
    const flags = ["ro", "private"];
    return { mount: { kind: "bind" as const, type: "bind" as const, source, target: scriptPath(first.name), flags } };
  }

  #stepFailed(one: RunInstruction, error: StepFailed, network: string): DockerfileError {
    const place = `step ${this.#number} of ${this.#total}${this.#name === "" ? "" : ` of stage ${this.#name}`}`;
    const wanted =
      /(temporary failure (in name resolution|resolving)|could not resolve|bad address|network is unreachable|name or service not known|failed to fetch|ENETUNREACH|EAI_AGAIN|unable to resolve)/i;
    const hint =
      network === "none" && error.lines.some((line) => wanted.test(line))
        ? "the step has no network: use --network host"
        : error.status === 127
          ? "127 mostly means that the program is not in the image"
          : fullStoreHint(this.#world.engine.root);
    const lines = error.lines.map((line) => `       ${visible(line)}`).join("\n");
    return new DockerfileError(
      this.#source,
      one.line.span,
      `${place} ended with status ${error.status}${lines === "" ? "" : `; its last lines were\n${lines}`}`,
      hint,
      { code: "STEP_FAILED" },
    );
  }

  async #copy(one: CopyInstruction): Promise<boolean> {
    const { engine, identity, cache, options } = this.#world;
    const { lookup } = this.#variables;
    const words = one.sources.filter((text) => one.heredocs.length === 0 || !heredocWord(text.text));
    const sources = words.map((text) => ({ text, value: this.#expander.word(text, lookup) }));
    const destText = this.#expander.word(one.dest, lookup);
    const dest = this.#dest(destText);
    const exclude = one.exclude.map((text) => this.#expander.word(text, lookup));
    const owner = one.chown && this.#owner(one.chown);
    const mode = one.chmod && this.#mode(one.chmod);
    const many = sources.length + one.heredocs.length > 1;
    const request: CopyRequest = {
      sources: [],
      dest,
      intoFolder: /(^|\/)\.{0,2}$/.test(destText) || many,
      parents: one.parents,
      time: this.#world.time,
      ...(owner && { owner }),
      ...(mode && { mode }),
    };
    const isFolder = () => this.#tree(one.link).lookup(dest)?.kind === "directory";
    if (many && !request.parents && !/(\/|^\.{1,2})$/.test(destText) && !isFolder()) throw this.#needsFolder(one);
    const from = one.from && (await this.#world.source(this.#expander.word(one.from, lookup), one.from.span));
    let gathered = false;
    const gather = async () => {
      if (gathered) return;
      gathered = true;
      for (const heredoc of one.heredocs) {
        const text = heredocContent(heredoc);
        const content = heredoc.expand ? this.#expander.text(text, one.line.span, lookup) : text;
        request.sources.push({ kind: "text", name: heredoc.name, content: Buffer.from(content) });
      }
      for (const { text, value } of sources) {
        request.sources.push(...(await this.#sources(one, from, text, value, exclude)));
      }
      if (request.sources.length > 1 && !request.intoFolder && !request.parents && !isFolder()) {
        throw this.#needsFolder(one);
      }
    };
    // what a stage or image has at a place never changes: its digests are kept, and nothing is read
    const memo =
      from instanceof LayerSource && from.key !== undefined
        ? stepKey({
            entries: ENTRIES,
            tree: from.key,
            sources: sources.map(({ value }) => value),
            exclude,
            kind: one.kind,
          })
        : undefined;
    let content = memo === undefined ? undefined : cache.read<string[]>("digests", memo);
    if (!content) {
      await gather();
      content = await contentKeys(request);
      if (memo !== undefined) cache.write("digests", memo, content);
    }
    const flags = [
      ...(one.chown ? [`--chown=${this.#expander.word(one.chown, lookup)}`] : []),
      ...(one.chmod ? [`--chmod=${this.#expander.word(one.chmod, lookup)}`] : []),
    ];
    const shown = [...one.heredocs.map((doc) => doc.name), ...sources.map(({ value }) => value), destText].join(" ");
    const parts: KeyParts = {
      kind: one.kind,
      instruction: [one.kind, ...flags, shown],
      destination: [dest, String(request.intoFolder), String(one.parents), String(one.unpack ?? "")],
      owner: owner ? `${owner.uid}:${owner.gid}` : "",
      content,
    };
    return this.#layerStep(
      parts,
      [one.kind, ...flags, shown].join(" "),
      async () => {
        await gather();
        const layer = new CopyLayer(this.#tree(one.link), request);
        const { makeLayer } = await import("./make-layer.ts");
        return makeLayer(engine, identity, this.#state, layer.entries(), options);
      },
      async () => {
        await gather();
        return contentLines(request);
      },
      one.link,
    );
  }

  #needsFolder(one: CopyInstruction): DockerfileError {
    const why = "several sources need a folder as their destination";
    return new DockerfileError(this.#source, one.dest.span, why, "end it with a slash");
  }

  async #sources(
    one: CopyInstruction,
    from: SourceTree | undefined,
    text: Text,
    value: string,
    exclude: string[],
  ): Promise<CopySource[]> {
    if (one.kind === "ADD") {
      const { collectAdd } = await import("./add-sources.ts");
      const added = await collectAdd(
        this.#world,
        one,
        value,
        exclude,
        (why, hint) => new DockerfileError(this.#source, text.span, why, hint),
      );
      if (added) return added;
    }
    const tree = from ?? (await this.#world.context());
    const found = tree.find(value);
    if (found.length === 0) {
      throw new DockerfileError(
        this.#source,
        text.span,
        hasWildcards(value) ? `nothing in ${tree.name} fits "${value}"` : `"${value}" is not in ${tree.name}`,
        from ? undefined : "paths are relative to the context; .dockerignore may leave it out",
      );
    }
    // `a/./b` with --parents: what stands before the dot is not kept
    const pivot = one.parents ? value.lastIndexOf("/./") : -1;
    const cut = pivot < 0 ? "" : (cleanPath(value.slice(0, pivot)) ?? "");
    const result: CopySource[] = [];
    for (const place of found) {
      const named = cut !== "" && place.named.startsWith(`${cut}/`) ? place.named.slice(cut.length + 1) : place.named;
      if (one.kind === "ADD" && place.kind === "file" && one.unpack !== false) {
        const { archiveSource } = await import("./add-sources.ts");
        const archive = await archiveSource(tree, place);
        if (archive) {
          result.push(archive);
          continue;
        }
      }
      result.push(new TreeSource(tree, place, named, exclude, this.#world.cache, () => void this.#world.warmUp()));
    }
    return result;
  }

  /** Absolute, with the slash at its end if it had one. */
  #dest(text: string): string {
    if (text === "") return `${this.#state.config.WorkingDir ?? ""}/`;
    const path = workdirOf(this.#state.config, text);
    return text.endsWith("/") && path !== "/" ? `${path}/` : path;
  }

  #owner(text: Text): { uid: number; gid: number } {
    const spec = this.#expander.word(text, this.#variables.lookup);
    try {
      const { uid, gid } = containerUser(spec, this.#state.lowers);
      // Docker's rule: a number alone is the group too
      return { uid, gid: /^\d+$/.test(spec) ? Number(spec) : gid };
    } catch (error) {
      throw new DockerfileError(
        this.#source,
        text.span,
        (error as Error).message.replace(/^Cannot run as /, "unknown "),
      );
    }
  }

  #mode(text: Text): ModeChange {
    const value = this.#expander.word(text, this.#variables.lookup);
    const mode = parseMode(value);
    if (mode) return mode;
    throw new DockerfileError(
      this.#source,
      text.span,
      `"${value}" is not a mode`,
      "an octal number such as 755 or 0644, or words such as u+x,go-w",
    );
  }

  #expand(text: string, span: Span): string {
    return this.#expander.word({ text, span }, this.#variables.lookup);
  }

  /** Errors from below get the place of the instruction. */
  #placed(error: unknown, one: StageInstruction): unknown {
    if (error instanceof DockerfileError || !(error instanceof TsboxError)) return explainedFull(error);
    if (error instanceof OutsideContext || error.code === "IN_THE_WAY") {
      const word = one.kind === "COPY" || one.kind === "ADD" ? one.sources[0] : undefined;
      const span =
        error.code === "IN_THE_WAY" && (one.kind === "COPY" || one.kind === "ADD") ? one.dest.span : word?.span;
      return new DockerfileError(this.#source, span ?? one.line.span, error.message, error.hint, { cause: error });
    }
    return new DockerfileError(this.#source, one.line.span, error.message, error.hint, {
      cause: error,
      code: error.code,
    });
  }
}

function scriptPath(name: string): string {
  return `/dev/pipes/${name}`;
}
