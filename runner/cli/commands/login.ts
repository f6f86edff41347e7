import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import { refuseTogether } from "../argv.ts";
import { warn } from "../context.ts";
import { boolean, string } from "../flags.ts";
import { ask } from "../prompt.ts";
import { COMPAT_AUTHFILE, CONNECTION_FLAGS, readConnection } from "../registry-flags.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb } from "../verb.ts";

export default defineVerb({
  name: "login",
  usage: "[REGISTRY]",
  summary: "Store the credentials for a registry.",
  description:
    "The registry verifies them first. They go to the credential helper that is configured (credHelpers, credsStore), else to " +
    "containers/auth.json in $XDG_RUNTIME_DIR or ~/.config; to ~/.docker/config.json where that has an entry for the registry.",
  flags: {
    username: string({ short: "u", placeholder: "NAME", help: "user name" }),
    password: string({ short: "p", placeholder: "TEXT", help: "password; seen by everybody on this machine" }),
    passwordStdin: boolean({ help: "read the password from standard input" }),
    getLogin: boolean({ help: "print who is logged in, and log nobody in" }),
    verbose: boolean({ short: "v", help: "say where the credentials went" }),
    ...CONNECTION_FLAGS,
    ...COMPAT_AUTHFILE,
  },
  words: { min: 0, max: 1 },
  examples: [
    ["tsbox login registry.example.com", "asks for name and password"],
    ["pass show ci | tsbox login -u ci --password-stdin registry.example.com", "for scripts"],
  ],
  async act(parsed, context) {
    const { flags, words } = parsed;
    refuseTogether(parsed, "password", "passwordStdin");
    refuseTogether(parsed, "authfile", "compatAuthFile");
    if (flags.passwordStdin && flags.username === undefined)
      throw new UsageError("Cannot use --password-stdin without --username");
    const { loggedInAs, login } = await import("../../engine/login.ts");
    const where = {
      connection: readConnection(parsed, context.cwd, true),
      ...(flags.compatAuthFile !== undefined && { compatAuthfile: resolve(context.cwd, flags.compatAuthFile) }),
    };
    if (flags.getLogin) {
      const user = await loggedInAs(words[0], where);
      if (user === undefined) {
        context.stderr.write(`tsbox: nobody is logged in to ${words[0] ?? "the default registry"}\n`);
        return 1;
      }
      context.stdout.write(`${user}\n`);
      return 0;
    }
    if (flags.password !== undefined) {
      warn(context, "others on this machine can see a password on the command line: use --password-stdin");
    }
    // people and programs end it with a line break, which is no part of it
    const fromStdin = flags.passwordStdin ? (await text(process.stdin)).replace(/\r?\n$/, "") : undefined;
    const password = flags.password ?? fromStdin;
    const { registry, keptIn } = await login({
      ...where,
      ...(words[0] !== undefined && { registry: words[0] }),
      ...(flags.username !== undefined && { username: flags.username }),
      ...(password !== undefined && { password }),
      ask: {
        username: async (known) =>
          (await ask(context, known === undefined ? "Username: " : `Username (${known}): `, false)) || (known ?? ""),
        password: () => ask(context, "Password: ", true),
      },
      signal: context.signal,
    });
    if (keptIn === undefined)
      context.stdout.write(`Already logged in to ${registry}: the stored credentials are good\n`);
    else context.stdout.write("Login Succeeded\n");
    if (flags.verbose && keptIn !== undefined) context.stderr.write(`credentials of ${registry} are in ${keptIn}\n`);
    return 0;
  },
});
