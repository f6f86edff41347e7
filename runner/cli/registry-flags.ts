/** The flags by which every verb that talks to a registry is told how. */

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { ConnectionOptions } from "../registry/options.ts";
import { boolean, duration, type Flags, type FlagValues, number, string, value } from "./flags.ts";
import { UsageError } from "./usage-error.ts";

const GROUP = "Registry";

function parseCredentials(text: string): { username: string; password: string } {
  const colon = text.indexOf(":");
  if (colon < 1) throw new UsageError("expected NAME:PASSWORD");
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

export const CONNECTION_FLAGS = {
  tlsVerify: boolean({
    default: true,
    group: GROUP,
    help: "check certificates; =false also allows plain HTTP (this machine's own registries always may)",
  }),
  certDir: string({
    placeholder: "DIR",
    group: GROUP,
    help: "certificates: authorities *.crt, your own *.cert and *.key (default …/containers/certs.d/HOST)",
  }),
  authfile: string({
    placeholder: "FILE",
    group: GROUP,
    help: "credentials (default containers/auth.json, then ~/.docker/config.json)",
  }),
} satisfies Flags;

export const COMPAT_AUTHFILE = {
  compatAuthFile: string({
    placeholder: "FILE",
    group: GROUP,
    help: "credentials in a file of docker's form, as ~/.docker/config.json",
  }),
} satisfies Flags;

export const RETRY_FLAGS = {
  retry: number({ min: 0, max: 100, group: GROUP, help: "new tries after failures that may pass (default 3)" }),
  retryDelay: duration({ group: GROUP, help: "pause before the first of them, doubled each time (default 500ms)" }),
} satisfies Flags;

export const TRANSFER_FLAGS = {
  ...CONNECTION_FLAGS,
  creds: { ...value(parseCredentials, { placeholder: "NAME:PASSWORD", help: "" }), hidden: true },
  ...RETRY_FLAGS,
} satisfies Flags;

interface Given {
  flags: Partial<FlagValues<typeof TRANSFER_FLAGS>>;
  given: { has(flag: "tlsVerify"): boolean };
}

/** A file of credentials that is to be read, not written, has to be there: a name that is mistyped would mean nobody. */
function existing(path: string): string {
  if (existsSync(path)) return path;
  throw new UsageError(`Cannot use --authfile "${path}": it does not exist`, {
    hint: '"tsbox login --authfile FILE" makes it',
    exitCode: 1,
  });
}

/** Only what was given: the rest is for files and the environment to say. */
export function readConnection({ flags, given }: Given, cwd: string, writes = false): ConnectionOptions {
  const authfile = flags.authfile === undefined ? undefined : resolve(cwd, flags.authfile);
  return {
    ...(given.has("tlsVerify") && flags.tlsVerify !== undefined && { tlsVerify: flags.tlsVerify }),
    ...(flags.certDir !== undefined && { certDir: resolve(cwd, flags.certDir) }),
    ...(authfile !== undefined && { authfile: writes ? authfile : existing(authfile) }),
    ...(flags.creds !== undefined && { credentials: flags.creds }),
    ...(flags.retry !== undefined && { retries: flags.retry }),
    ...(flags.retryDelay !== undefined && { retryDelay: flags.retryDelay }),
  };
}
