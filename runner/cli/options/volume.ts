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
    return { type: "volume", target: mountTarget(first), readOnly: false, noCopy: false };
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
  };
}

/** A name as docker allows it. What looks like a path was meant as one. */
export function volumeName(name: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) return name;
  throw new UsageError(`"${name}" is not a volume name`, {
    hint: name.includes("/") ? `for a directory of the host write "./${name}"` : "use letters, digits, _ . and -",
  });
}

function volume(name: string, target: string): VolumeMount {
  return { type: "volume", name: volumeName(name), target: mountTarget(target), readOnly: false, noCopy: false };
}

function applyOption(mount: BindMount | VolumeMount, option: string): void {
  if (option === "ro" || option === "rw") mount.readOnly = option === "ro";
  else if (option === "nocopy" && mount.type === "volume") mount.noCopy = true;
  else if (WITHOUT_EFFECT.has(option)) return;
  else if (mount.type === "bind" && isPropagation(option)) mount.propagation = option;
  else if (mount.type === "bind" && (option === "bind" || option === "rbind")) mount.recursive = option === "rbind";
  else if (mount.type === "bind" && isMountFlag(option)) mount.flags.push(option);
  else {
    const known =
      mount.type === "bind" ? "ro, rw, bind, rbind, nosuid, nodev, noexec, private, slave" : "ro, rw, nocopy";
    throw new UsageError(`unknown option "${option}", expected ${known}`);
  }
}
