import { TsboxError } from "../base/error.ts";
import type { ProcessConfig } from "../oci/types.ts";

export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The words to exec: Docker's rules for entrypoint × command. */
export function processArgv(config: ProcessConfig, command: string[], entrypoint?: string[]): string[] {
  const argv =
    entrypoint !== undefined
      ? [...entrypoint, ...command]
      : [...(config.Entrypoint ?? []), ...(command.length > 0 ? command : (config.Cmd ?? []))];
  if (argv.length === 0) {
    throw new TsboxError("Cannot run: no command was given and the image names none", {
      code: "NO_COMMAND",
      hint: "put a command after the image",
    });
  }
  return argv;
}

/** Environment from its sources, later ones winning; order as Docker prints it. */
export function processEnv(...sources: string[][]): string[] {
  const merged = new Map<string, string>();
  for (const source of sources) {
    for (const variable of source) {
      const cut = variable.indexOf("=");
      if (cut > 0) merged.set(variable.slice(0, cut), variable);
    }
  }
  return [...merged.values()];
}
