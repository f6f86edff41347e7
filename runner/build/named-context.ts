import { statSync } from "node:fs";
import { visible } from "../base/error.ts";
import type { Dockerfile } from "./dockerfile/parse.ts";
import { DockerfileError, type Span } from "./dockerfile/source.ts";
import type { Stage } from "./stages.ts";

/* `--build-context NAME=PLACE`: what the places are. */

const IMAGE = /^docker-image:\/\//;

export function isLayoutContext(given: string): boolean {
  return given.startsWith("oci-layout://");
}

/** Without the scheme of such a context. */
export function imageName(given: string): string {
  return given.replace(IMAGE, "");
}

/** An image, not files. */
export function isImageContext(given: string): boolean {
  return IMAGE.test(given) || isLayoutContext(given);
}

export function checkFolderContext(given: string, file: Dockerfile, from: string, span: Span): void {
  const stats = statSync(given, { throwIfNoEntry: false });
  if (stats?.isDirectory()) return;
  const scheme = /^[a-z][\w+.-]*:\/\//i.exec(given)?.[0];
  const state = scheme ? `${scheme} is none of the places` : stats ? "it is not a folder" : "there is no such folder";
  throw new DockerfileError(
    file.source,
    span,
    `--build-context gives "${visible(given)}" for "${visible(from)}": ${state}`,
    "a folder, an address of a tar or a git repository, docker-image://NAME or oci-layout://PATH:TAG",
  );
}

/** What FROM takes of such a context. */
export function imageContext(given: string, file: Dockerfile, stage: Stage): string {
  if (isImageContext(given)) return given;
  throw new DockerfileError(
    file.source,
    stage.from.image.span,
    `--build-context gives "${visible(given)}" for it, which is no image`,
    "name an image as docker-image://NAME or oci-layout://PATH:TAG",
  );
}
