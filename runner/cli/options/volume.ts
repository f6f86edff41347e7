/** `-v SOURCE:TARGET[:OPTIONS]`, `-v NAME:TARGET`, `-v TARGET`. */

import { posix } from "node:path";
import type { BindMount, MountRequest, Propagation, VolumeMount } from "../../engine/run-options.ts";
import { UsageError } from "../usage-error.ts";
import { isMountFlag, mountTarget } from "./mount-target.ts";

const PROPAGATIONS: readonly string[] = ["private", "rprivate", "slave", "rslave", "shared", "rshared"];
/** Accepted for the sake of scripts: SELinux relabelling, and consistency modes of Docker Desktop. */
const WITHOUT_EFFECT = new Set(["z", "Z", "consistent", "cached", "delegated"]);

export function isPropagation(text: string): text is Propagation {
  return PROPAGATIONS.includes(text);
}

export function parseVolume(text: string, cwd: string): MountRequest {
  const parts = text.split(":");
  const [first = "", second, options = ""] = parts;
  if (parts.length > 3 || parts.some((part, i) => part === "" && i < 2)) {
    throw new UsageError("expected SOURCE:TARGET[:OPTIONS]", {
      hint: 'a path with a colon can be given by "--mount type=bind,source=…,target=…"',
    });
  }
  if (second === undefined) {
    return emptyVolume(first);
  }
  const mount = first.startsWith("/") || first.startsWith(".") ? bind(first, second, cwd) : volume(first, second);
  for (const option of options === "" ? [] : options.split(",")) applyOption(mount, option);
  return mount;
}

function bind(source: string, target: string, cwd: string): BindMount {
  return {
    type: "bind",
    source: posix.resolve(cwd, source),
    target: mountTarget(target),
    readOnly: false,
    recursive: true,
    createSource: true,
    flags: [],
    overlay: false,
    chown: false,
  };
}

/** A name as docker allows it. What looks like a path was meant as one. */
export function volumeName(name: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) return name;
  throw new UsageError(`"${name}" is not a volume name`, { hint: nameHint(name) });
}

function nameHint(name: string): string {
  if (name.startsWith("~")) return `the shell replaces "~" at the start of a word only: write "$HOME${name.slice(1)}"`;
  return name.includes("/") ? `for a directory of the host write "./${name}"` : "use letters, digits, _ . and -";
}

/** A volume with nothing said about it. */
export function emptyVolume(target: string): VolumeMount {
  return {
    type: "volume",
    target: mountTarget(target),
    readOnly: false,
    noCopy: false,
    flags: [],
    chown: false,
    options: {},
    labels: {},
  };
}

function volume(name: string, target: string): VolumeMount {
  return { ...emptyVolume(target), name: volumeName(name) };
}

function applyOption(mount: BindMount | VolumeMount, option: string): void {
  if (option === "ro" || option === "rw") mount.readOnly = option === "ro";
  else if (WITHOUT_EFFECT.has(option)) return;
  else if (option === "U") mount.chown = true;
  else if (isMountFlag(option)) mount.flags.push(option);
  else if (mount.type === "volume" ? !applyVolumeOption(mount, option) : !applyBindOption(mount, option)) {
    const own = mount.type === "bind" ? "O, bind, rbind, private, slave" : "nocopy";
    throw new UsageError(`unknown option "${option}", expected ro, rw, U, z, nosuid, nodev, noexec, ${own}`);
  }
}

/** False: no option of a volume. */
function applyVolumeOption(mount: VolumeMount, option: string): boolean {
  if (option !== "nocopy" && option !== "copy") return false;
  mount.noCopy = option === "nocopy";
  return true;
}

function applyBindOption(mount: BindMount, option: string): boolean {
  if (option === "O") mount.overlay = true;
  else if (isPropagation(option)) mount.propagation = option;
  else if (option === "bind" || option === "rbind") mount.recursive = option === "rbind";
  else return false;
  return true;
}
