import { TsboxError, visible } from "../base/error.ts";
import { isManifestType } from "./media-types.ts";
import type { Descriptor, Platform } from "./types.ts";

const ARCHITECTURES: Record<string, string> = {
  x64: "amd64",
  x86_64: "amd64",
  aarch64: "arm64",
  ia32: "386",
  i386: "386",
};

/** This machine, with Node's name of the architecture turned into Go's. */
export function hostPlatform(arch: string = process.arch): Platform {
  const architecture = ARCHITECTURES[arch] ?? arch;
  return { os: "linux", architecture, ...(architecture === "arm64" && { variant: "v8" }) };
}

/** `linux/arm64/v8`, `arm64`. */
export function parsePlatform(text: string): Platform {
  const parts = text.split("/");
  const [os, arch, variant] = parts.length === 1 ? ["linux", parts[0]] : parts;
  if (!os || !arch || parts.length > 3 || parts.some((part) => !/^[a-z0-9._]+$/.test(part))) {
    throw new TsboxError(`Cannot use platform "${visible(text)}": not of the form OS/ARCH[/VARIANT]`, {
      code: "INVALID_PLATFORM",
      hint: "for example linux/amd64 or linux/arm64/v8",
    });
  }
  const architecture = ARCHITECTURES[arch] ?? arch;
  return { os, architecture, ...(variant !== undefined && { variant }) };
}

export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant].filter(Boolean).join("/");
}

/** Whether an image for `have` is what `want` asks for. A variant that either leaves out matches; v8 is arm64's only one. */
export function platformMatches(want: Platform, have: Platform): boolean {
  return (
    want.os === have.os &&
    want.architecture === have.architecture &&
    (want.variant === undefined || have.variant === undefined || want.variant === have.variant)
  );
}

/** The entry of an index for a platform; attestations (platform unknown/unknown) never match. The only one that names no platform is for all. */
export function choosePlatform(manifests: Descriptor[], want: Platform): Descriptor | undefined {
  const fitting = manifests.filter((entry) => entry.platform && platformMatches(want, entry.platform));
  const unnamed = manifests.filter(
    (entry) => !entry.platform && !entry.artifactType && isManifestType(entry.mediaType),
  );
  const only = unnamed.length === 1 ? unnamed[0] : undefined;
  return fitting.find((entry) => entry.platform?.variant === want.variant) ?? fitting[0] ?? only;
}
