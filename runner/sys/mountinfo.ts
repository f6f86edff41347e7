import { readText } from "./host-facts.ts";

/** What the kernel shows by a file system: it holds nobody's files, and most cannot lie below an overlay. */
const KERNEL = new Set(
  "autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl mqueue nsfs proc pstore rpc_pipefs securityfs selinuxfs sysfs tracefs".split(
    " ",
  ),
);

/** Mount points of the kernel's own file systems, wherever somebody has put them: a chroot has its own /proc. */
export function kernelMountPoints(text: string = readText("/proc/self/mountinfo")): string[] {
  const type = (line: string) => line.split(" - ")[1]?.split(" ")[0] ?? "";
  return mountPoints(
    text
      .split("\n")
      .filter((line) => KERNEL.has(type(line)))
      .join("\n"),
  );
}

/** Every mount point of this process, as /proc/self/mountinfo lists them (octal escapes undone). */
export function mountPoints(text: string = readText("/proc/self/mountinfo")): string[] {
  return text
    .split("\n")
    .map((line) => line.split(" ")[4])
    .filter((path): path is string => path !== undefined)
    .map((path) =>
      path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))),
    );
}
