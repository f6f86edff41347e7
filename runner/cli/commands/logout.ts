import { resolve } from "node:path";
import { boolean } from "../flags.ts";
import { COMPAT_AUTHFILE, CONNECTION_FLAGS, readConnection } from "../registry-flags.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb } from "../verb.ts";

const { authfile } = CONNECTION_FLAGS;

export default defineVerb({
  name: "logout",
  usage: "[REGISTRY]",
  summary: "Forget the credentials for a registry.",
  flags: {
    all: boolean({ short: "a", help: "forget those for all registries" }),
    authfile,
    ...COMPAT_AUTHFILE,
  },
  words: { min: 0, max: 1 },
  examples: [
    ["tsbox logout registry.example.com", "wherever they are stored"],
    ["tsbox logout --all", "those of every registry"],
  ],
  async act(parsed, context) {
    const { flags, words } = parsed;
    if (flags.all && words.length > 0) throw new UsageError("Cannot use --all with a registry", { exitCode: 1 });
    const { logout, logoutAll } = await import("../../engine/login.ts");
    const where = {
      connection: readConnection({ flags, given: new Set<string>() }, context.cwd, true),
      ...(flags.compatAuthFile !== undefined && { compatAuthfile: resolve(context.cwd, flags.compatAuthFile) }),
    };
    if (flags.all) {
      context.stdout.write(`Removed all credentials of ${await logoutAll(where)}\n`);
      return;
    }
    const { registry, places } = await logout(words[0], where);
    // docker's habit: it is no failure, so that scripts may clean up twice
    const line = places.length === 0 ? `Not logged in to ${registry}` : `Removed login credentials for ${registry}`;
    context.stdout.write(`${line}\n`);
  },
});
