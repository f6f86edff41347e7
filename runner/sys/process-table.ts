import { readdirSync } from "node:fs";
import { readText } from "./host-facts.ts";

/** What /proc tells of one process. Times are in clock ticks, sizes in bytes. */
export interface ProcessEntry {
  pid: number;
  /** In its own pid namespace. */
  innerPid: number;
  ppid: number;
  uid: number;
  gid: number;
  state: string;
  pgid: number;
  session: number;
  /** Device number of its terminal; 0: none. */
  tty: number;
  nice: number;
  threads: number;
  /** CPU time of its own, and of children that it has waited for. */
  cpu: number;
  childrenCpu: number;
  /** Since boot. */
  started: number;
  virtual: number;
  resident: number;
  name: string;
  argv: string[];
}

/** Clock ticks a second: fixed in the kernel's interface to programs. */
export const TICKS = 100;
const PAGE = 4096;

export function readProcess(pid: number): ProcessEntry | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  const status = readText(`/proc/${pid}/status`);
  if (stat === "" || status === "") return undefined;
  // the name, in parentheses, may hold blanks and parentheses
  const end = stat.lastIndexOf(")");
  const fields = stat.slice(end + 2).split(" ");
  const field = (number: number) => Number(fields[number - 3] ?? 0);
  const line = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1]?.split(/\s+/) ?? [];
  return {
    pid,
    innerPid: Number(line("NSpid").at(-1) ?? pid),
    ppid: field(4),
    uid: Number(line("Uid")[1] ?? 0),
    gid: Number(line("Gid")[1] ?? 0),
    state: fields[0] ?? "?",
    pgid: field(5),
    session: field(6),
    tty: field(7),
    nice: field(19),
    threads: field(20),
    cpu: field(14) + field(15),
    childrenCpu: field(16) + field(17),
    started: field(22),
    virtual: field(23),
    resident: field(24) * PAGE,
    name: stat.slice(stat.indexOf("(") + 1, end),
    argv: readText(`/proc/${pid}/cmdline`).split("\0").slice(0, -1),
  };
}

/** Memory of one process with what it shares divided among those who share it; its resident size where the kernel does not say. */
export function proportionalMemory(entry: ProcessEntry): number {
  const pss = /^Pss:\s*(\d+)/m.exec(readText(`/proc/${entry.pid}/smaps_rollup`))?.[1];
  return pss === undefined ? entry.resident : Number(pss) * 1024;
}

/** Bytes that a process had read from and written to disks. */
export function diskTraffic(pid: number): { read: number; written: number } {
  const io = readText(`/proc/${pid}/io`);
  const bytes = (name: string) => Number(new RegExp(`^${name}: (\\d+)`, "m").exec(io)?.[1] ?? 0);
  return { read: bytes("read_bytes"), written: bytes("write_bytes") };
}

/** Bytes over all network devices that a process sees, but for the loopback. */
export function networkTraffic(pid: number): { received: number; sent: number } {
  let received = 0;
  let sent = 0;
  for (const line of readText(`/proc/${pid}/net/dev`).split("\n").slice(2)) {
    const [device = "", ...numbers] = line.trim().split(/[\s:]+/);
    if (device === "" || device === "lo") continue;
    received += Number(numbers[0] ?? 0);
    sent += Number(numbers[8] ?? 0);
  }
  return { received, sent };
}

/** Seconds since boot, and the machine's memory in bytes. */
export function machine(): { uptime: number; memory: number; cpus: number } {
  return {
    uptime: Number(readText("/proc/uptime").split(" ")[0] ?? 0),
    memory: Number(/^MemTotal:\s*(\d+)/m.exec(readText("/proc/meminfo"))?.[1] ?? 0) * 1024,
    cpus: readdirSync("/sys/devices/system/cpu").filter((name) => /^cpu\d+$/.test(name)).length,
  };
}
