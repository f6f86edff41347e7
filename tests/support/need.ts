import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { ROOT } from "./tsbox.ts";

type Handler = () => void | Promise<void>;
/** uvu's `test`, or a suite. */
type Register = (name: string, handler: Handler) => void;

/**
 * Registers a test only where the machine has what it needs:
 *
 *     need(["tmux", "user-namespace"], test)("Ctrl-C reaches the program", async () => { … });
 *
 * Otherwise prints `skip: NAME: reason`, which scripts/run-tests counts. A feature is a program ("skopeo"),
 * one of `tsbox-helper check` ("overlay-userxattr") or one of those below.
 */
export function need(features: string | string[], register: Register): Register {
  return (name, handler) => {
    const reason = [features]
      .flat()
      .map(lacking)
      .find((found) => found !== undefined);
    if (reason === undefined) register(name, handler);
    else console.log(`skip: ${name}: ${reason}`);
  };
}

/** Whether the machine has it, for a test that only looks at more where it can. */
export function has(feature: string): boolean {
  return lacking(feature) === undefined;
}

const PROGRAMS = [
  "attr",
  "buildah",
  "bwrap",
  "bzip2",
  "chromium",
  "curl",
  "docker-registry",
  "getfattr",
  "git",
  "mmdebstrap",
  "npm",
  "openssl",
  "podman",
  "python3",
  "setfattr",
  "skopeo",
  "ssh-agent",
  "strace",
  "systemd-run",
  "tmux",
  "umoci",
  "xz",
  "zstd",
];

const OWN: Record<string, () => string | undefined> = {
  /** More than one id: newuidmap, newgidmap and a range in /etc/subuid and /etc/subgid. */
  subids() {
    if (!findInPath("newuidmap") || !findInPath("newgidmap")) return "needs newuidmap and newgidmap";
    const { username, uid } = userInfo();
    const listed = (file: string) =>
      existsSync(file) &&
      readFileSync(file, "utf8")
        .split("\n")
        .some((line) => line.startsWith(`${username}:`) || line.startsWith(`${uid}:`));
    return listed("/etc/subuid") && listed("/etc/subgid")
      ? undefined
      : `needs a range of ids for ${username} in /etc/subuid`;
  },
  "not-root": () => (process.getuid?.() === 0 ? "needs an ordinary user" : undefined),
  root: () => (process.getuid?.() === 0 ? undefined : "needs root"),
};

function lacking(feature: string): string | undefined {
  const own = OWN[feature];
  if (own) return own();
  if (PROGRAMS.includes(feature)) return findInPath(feature) ? undefined : `needs the program ${feature}`;
  const found = kernelFeatures().get(feature);
  // A name that nobody knows would skip its test everywhere, for ever.
  if (!found) throw new Error(`Cannot tell whether the machine has "${feature}": no such feature`);
  return found.ok ? undefined : `needs ${feature}${found.detail ? ` (${found.detail})` : ""}`;
}

interface Checked {
  feature: string;
  ok: boolean;
  detail: string;
}

let checked: Map<string, Checked> | undefined;

function kernelFeatures(): Map<string, Checked> {
  checked ??= new Map(
    execFileSync(join(ROOT, "dist/tsbox-helper"), ["check"], { encoding: "utf8" })
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Checked)
      .map((line) => [line.feature, line]),
  );
  return checked;
}

/** Where Debian puts programs for administrators is not in everybody's PATH. */
function findInPath(program: string): boolean {
  return [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/sbin"].some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
