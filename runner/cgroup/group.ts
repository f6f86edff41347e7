import { readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CgroupSetting } from "../plan/types.ts";

const MOUNT = "/sys/fs/cgroup";

/** The cgroup of a running container, by its path as the helper told it. All its files are the user's own. */
export class Cgroup {
  readonly #folder: string;

  constructor(path: string) {
    this.#folder = join(MOUNT, path);
  }

  /** A file's text; undefined where there is no such file, or no such cgroup any more. */
  read(file: string): string | undefined {
    try {
      return readFileSync(join(this.#folder, file), "utf8");
    } catch {
      return undefined;
    }
  }

  write(file: string, value: string): void {
    // neither made nor cut: it is the kernel's
    writeFileSync(join(this.#folder, file), value, { flag: "r+" });
  }

  /** False: it is not there, or its kernel has no such file. */
  tryWrite(file: string, value: string): boolean {
    try {
      this.write(file, value);
      return true;
    } catch {
      return false;
    }
  }

  get frozen(): boolean {
    return this.read("cgroup.freeze")?.trim() === "1";
  }

  /** Whether all that was asked to stand still does. */
  get settled(): boolean {
    return /^frozen 1$/m.test(this.read("cgroup.events") ?? "");
  }

  /** SIGKILL to every process at once: none escapes by a fork. */
  kill(): boolean {
    return this.tryWrite("cgroup.kill", "1");
  }

  apply(settings: readonly CgroupSetting[]): CgroupSetting | undefined {
    return settings.find(({ file, value, optional }) => !this.tryWrite(file, value) && !optional);
  }

  /** When nothing runs in it. Nothing is said where it cannot be: the next one tries again. */
  remove(): void {
    removeTree(this.#folder);
  }
}

function removeTree(folder: string): void {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) removeTree(join(folder, entry.name));
    }
    rmdirSync(folder);
  } catch {
    // it is gone, or somebody is in it
  }
}
