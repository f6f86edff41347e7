import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Result, type RunOptions, type Workspace, workspace } from "../../support/tsbox.ts";

/** A world with a folder to build from, whose Dockerfiles begin with the built-in image. */
export interface BuildWorkspace extends Workspace {
  context: string;
  /** Writes files of the context; a value that ends with a slash is a folder. */
  files(content: Record<string, string>): void;
  /** Builds the context as `img`; the Dockerfile is written first if given. */
  build(dockerfile: string | undefined, args?: string[], options?: RunOptions): Promise<Result>;
  /** What a command prints in the image that was built. */
  inside(...command: string[]): Promise<string>;
  inspect(): Promise<{ config: ImageConfig; history: History[]; layers: string[] }>;
}

export interface ImageConfig {
  Env?: string[];
  Cmd?: string[];
  Entrypoint?: string[];
  User?: string;
  WorkingDir?: string;
  Labels?: Record<string, string>;
  ExposedPorts?: Record<string, object>;
  Volumes?: Record<string, object>;
  OnBuild?: string[];
  Healthcheck?: object;
  StopSignal?: string;
  Shell?: string[];
}

export interface History {
  created?: string;
  created_by?: string;
  empty_layer?: boolean;
}

export function buildWorkspace(): BuildWorkspace {
  const world = workspace();
  const context = join(world.dir, "context");
  mkdirSync(context);
  return {
    ...world,
    context,
    files(content) {
      for (const [path, text] of Object.entries(content)) {
        mkdirSync(dirname(join(context, path)), { recursive: true });
        if (path.endsWith("/")) mkdirSync(join(context, path), { recursive: true });
        else writeFileSync(join(context, path), text);
      }
    },
    build(dockerfile, args = [], options = {}) {
      if (dockerfile !== undefined) writeFileSync(join(context, "Dockerfile"), dockerfile);
      return world.run(["build", "-t", "img", ...args, context], options);
    },
    async inside(...command) {
      const { stdout, stderr, code } = await world.tsbox("run", "--rm", "img", ...command);
      return code === 0 ? stdout : `${code}: ${stdout}${stderr}`;
    },
    async inspect() {
      const archive = join(world.dir, `image-${process.hrtime.bigint()}.oci`);
      await world.tsbox("save", "--format", "oci-dir", "-o", archive, "img");
      const { readFileSync } = await import("node:fs");
      const blob = (digest: string) => JSON.parse(readFileSync(join(archive, "blobs/sha256", digest.slice(7)), "utf8"));
      const index = JSON.parse(readFileSync(join(archive, "index.json"), "utf8"));
      const manifest = blob(index.manifests[0].digest);
      const image = blob(manifest.config.digest);
      return { config: image.config, history: image.history, layers: image.rootfs.diff_ids };
    },
  };
}

/** How often a word stands in what a build showed. */
export function count(text: string, word: string): number {
  return text.split(word).length - 1;
}
