import type { Platform } from "../../oci/types.ts";
import { UsageError } from "../usage-error.ts";

/** Other spellings of architectures, as `uname -m` and older images have them. */
const ARCHITECTURES: Record<string, [architecture: string, variant?: string]> = {
  x86_64: ["amd64"],
  x86: ["386"],
  i386: ["386"],
  i686: ["386"],
  aarch64: ["arm64"],
  armhf: ["arm", "v7"],
  armel: ["arm", "v6"],
};

/** `linux/arm64/v8`, `linux/amd64`, `arm64`. */
export function parsePlatform(text: string): Platform {
  const parts = text.toLowerCase().split("/");
  if (parts.length > 3 || parts.some((part) => !/^[a-z0-9_.-]+$/.test(part))) {
    throw new UsageError("expected OS/ARCH[/VARIANT], as linux/arm64");
  }
  const [os = "linux", given = "", variant] = parts.length === 1 ? ["linux", ...parts] : parts;
  const [architecture, implied] = Object.hasOwn(ARCHITECTURES, given) ? (ARCHITECTURES[given] ?? [given]) : [given];
  const known = variant ?? implied;
  // v8 is the only arm64 there was for years: images leave it out.
  const said = architecture === "arm64" && known === "v8" ? undefined : known;
  return { os, architecture, ...(said === undefined ? {} : { variant: said }) };
}
