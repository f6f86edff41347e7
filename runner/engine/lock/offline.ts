import { TsboxError, visible } from "../../base/error.ts";
import { formatPlatform, platformMatches } from "../../oci/platform.ts";
import { formatReference, parseReference } from "../../oci/reference.ts";
import type { Digest, Platform } from "../../oci/types.ts";
import { SERVED_DIGEST } from "../../store/image-index.ts";
import type { Engine } from "../engine.ts";
import { findImage } from "../stored-image.ts";
import { type Pin, storedPin } from "./pinned.ts";

/** `pull --offline`: the store has the image already, or the pull fails without having asked anybody. */
export function storedInstead(
  engine: Engine,
  name: string,
  pin: Pin | undefined,
  platform: Platform | undefined,
): { reference: string; id: Digest; digest: Digest } {
  const found = pin ? storedPin(engine, pin, platform) : findImage(engine, name);
  if (!found) throw offlineError(name, "pull", pin && `the locked image ${pin.digest}`);
  if (platform && !platformMatches(platform, found.config)) {
    throw offlineError(name, "pull", `the image for ${formatPlatform(platform)}`);
  }
  const served = found.entries[0]?.annotations?.[SERVED_DIGEST] as Digest | undefined;
  return { reference: formatReference(parseReference(name)), id: found.id, digest: served ?? found.manifestDigest };
}

export function offlineError(name: string, action: string, missing = "it"): TsboxError {
  return new TsboxError(
    `Cannot ${action} "${visible(name)}": ${missing} is not in the store, and --offline forbids the network`,
    {
      code: "OFFLINE",
      hint: `get it beforehand by "tsbox pull ${visible(name)}", or leave out --offline (TSBOX_OFFLINE)`,
    },
  );
}
