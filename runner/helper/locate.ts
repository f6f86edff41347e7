import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { TsboxError } from "../base/error.ts";

/** The folder of what was built: where the running bundle lies, or `dist` of the checkout when run from source. */
export function builtFolder(): string {
  const here = typeof __dirname === "string" ? __dirname : dirname(fileURLToPath(import.meta.url));
  return existsSync(join(here, "tsbox-helper")) ? here : join(here, "..", "..", "dist");
}

/** Path of the helper program. */
export function helperPath(): string {
  const path = process.env.TSBOX_HELPER ?? join(builtFolder(), "tsbox-helper");
  if (!existsSync(path)) {
    throw new TsboxError(`Cannot find the helper program: "${path}" does not exist`, {
      code: "NO_HELPER",
      hint: `run "make" in the checkout, or install the package again`,
    });
  }
  return path;
}
