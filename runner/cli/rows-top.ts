/** Columns of `top`, by the words of ps and of podman. */

import { visible } from "../base/error.ts";
import type { ContainerProcess } from "../engine/top.ts";
import { UsageError } from "./usage-error.ts";

export interface PsColumn {
  heading: string;
  show(row: ContainerProcess, now: number): string;
}

const TICKS = 100;

const command = (row: ContainerProcess) => visible(row.argv.length > 0 ? row.argv.join(" ") : `[${row.name}]`);
const seconds = (row: ContainerProcess) => Math.floor(row.cpu / TICKS);
const percent = (row: ContainerProcess) => (row.age > 0 ? row.cpu / TICKS / row.age : 0) * 100;
const started = (row: ContainerProcess, now: number) => new Date(now - row.age * 1000);
const two = (n: number) => String(n).padStart(2, "0");

/** `1-02:03:04`, `02:03:04`. */
function clock(total: number): string {
  const whole = Math.floor(total);
  const days = Math.floor(whole / 86400);
  const text = `${two(Math.floor(whole / 3600) % 24)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return days > 0 ? `${days}-${text}` : text;
}

/** Without hours that are none. */
const elapsed = (total: number) => clock(total).replace(/^00:/, "");

function startText(row: ContainerProcess, now: number): string {
  const date = started(row, now);
  if (row.age < 86_400) return `${two(date.getHours())}:${two(date.getMinutes())}`;
  return date.toDateString().slice(4, 10).replace(" ", "");
}

/** 136:3 is the fourth terminal of devpts. */
function terminal(row: ContainerProcess): string {
  if (row.tty === 0) return "?";
  const major = (row.tty >> 8) & 0xfff;
  const minor = (row.tty & 0xff) | ((row.tty >> 12) & 0xfff00);
  if (major >= 136 && major < 144) return `pts/${minor + (major - 136) * 256}`;
  return major === 4 ? `tty${minor}` : `${major}:${minor}`;
}

const kib = (bytes: number) => String(Math.round(bytes / 1024));

/** Both worlds' names; what differs between them is chosen by psColumns. */
const COLUMNS: Record<string, PsColumn> = {
  user: { heading: "USER", show: (row) => row.user },
  uid: { heading: "UID", show: (row) => String(row.uid) },
  gid: { heading: "GID", show: (row) => String(row.gid) },
  huser: { heading: "HUSER", show: (row) => String(row.hostUid) },
  pid: { heading: "PID", show: (row) => String(row.pid) },
  hpid: { heading: "HPID", show: (row) => String(row.pid) },
  ppid: { heading: "PPID", show: (row) => String(row.ppid) },
  pgid: { heading: "PGID", show: (row) => String(row.pgid) },
  sid: { heading: "SID", show: (row) => String(row.session) },
  c: { heading: "C", show: (row) => String(Math.floor(percent(row))) },
  pcpu: { heading: "%CPU", show: (row) => percent(row).toFixed(1) },
  stime: { heading: "STIME", show: startText },
  start: { heading: "START", show: startText },
  lstart: { heading: "STARTED", show: (row, now) => started(row, now).toString().slice(0, 24) },
  etime: { heading: "ELAPSED", show: (row) => elapsed(row.age) },
  etimes: { heading: "ELAPSED", show: (row) => String(Math.floor(row.age)) },
  tty: { heading: "TTY", show: terminal },
  time: { heading: "TIME", show: (row) => clock(seconds(row)) },
  stat: { heading: "STAT", show: (row) => row.state },
  nice: { heading: "NI", show: (row) => String(row.nice) },
  nlwp: { heading: "NLWP", show: (row) => String(row.threads) },
  vsz: { heading: "VSZ", show: (row) => kib(row.virtual) },
  rss: { heading: "RSS", show: (row) => kib(row.resident) },
  comm: { heading: "COMMAND", show: (row) => visible(row.name) },
  args: { heading: "COMMAND", show: command },
};

const ALIASES: Record<string, string> = {
  cmd: "args",
  command: "args",
  ucmd: "comm",
  ruser: "user",
  euser: "user",
  uname: "user",
  group: "gid",
  pgrp: "pgid",
  sess: "sid",
  session: "sid",
  cputime: "time",
  tt: "tty",
  tname: "tty",
  s: "stat",
  state: "stat",
  ni: "nice",
  thcount: "nlwp",
  vsize: "vsz",
  rssize: "rss",
  bsdstart: "start",
  start_time: "start",
  "%cpu": "pcpu",
};

const named = (name: string, heading?: string): PsColumn => {
  const word = name.toLowerCase();
  const column = COLUMNS[ALIASES[word] ?? word];
  if (!column) {
    throw new UsageError(`Cannot show column "${name}": unknown`, {
      hint: `known are ${Object.keys(COLUMNS).join(", ")}`,
      exitCode: 1,
    });
  }
  return { ...column, heading: heading ?? column.heading };
};

const FULL = [
  named("user", "UID"),
  named("pid"),
  named("ppid"),
  named("c"),
  named("stime"),
  named("tty"),
  named("time"),
  named("args", "CMD"),
];
const BSD = [
  named("user"),
  named("pid"),
  named("pcpu"),
  named("vsz"),
  named("rss"),
  named("tty"),
  named("stat"),
  named("start"),
  named("time"),
  named("args"),
];

/** The columns that options of ps or podman's descriptors ask for. */
export function psColumns(options: readonly string[]): PsColumn[] {
  const chosen: PsColumn[] = [];
  for (let i = 0; i < options.length; i++) {
    const word = options[i] ?? "";
    const inline = /^(?:-[eAaxwH]*o|--format=|o)(.*)$/.exec(word);
    if (/^-?[aAexwH]+$/.test(word) || word === "--forest") continue;
    if (/^-?[aexAw]*u[axw]*$/.test(word)) chosen.push(...BSD);
    else if (/^-[eA]*[fF][eA]*$/.test(word)) chosen.push(...FULL);
    else if (inline) chosen.push(...list(inline[1] || (options[++i] ?? "")));
    else if (word.startsWith("-"))
      throw new UsageError(`Cannot read option "${word}" of ps: use -ef, aux or -o COLUMNS`, { exitCode: 1 });
    else chosen.push(...word.split(/[,\s]+/).map(descriptor));
  }
  return chosen.length > 0 ? chosen : FULL;
}

/** `pid,rss=MEMORY` */
function list(text: string): PsColumn[] {
  return text.split(/[,\s]+/).map((one) => {
    const [name = "", heading] = one.split("=");
    return named(name, heading);
  });
}

/** podman: what is seen from inside, unless it begins with h. */
function descriptor(name: string): PsColumn {
  if (name.toLowerCase() === "pid") return { heading: "PID", show: (row) => String(row.innerPid) };
  return named(name);
}
