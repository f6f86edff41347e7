import type { ConnectionOptions, RegistryOptions } from "../registry/options.ts";

/** What every use of a registry is given: the person's wishes, and the way to credential helpers. */
export function registryOptions(connection: ConnectionOptions = {}, signal?: AbortSignal): RegistryOptions {
  return {
    ...connection,
    ...(signal && { signal }),
    async credentialProgram(name, action, input) {
      const { runCredentialProgram } = await import("../helper/credential-program.ts");
      return runCredentialProgram(name, action, input);
    },
  };
}
