/** A container's use of the machine, in docker's columns. */

import type { Usage } from "../engine/stats.ts";
import { shortId } from "./table.ts";
import { humanSize } from "./units.ts";

export const STATS_TABLE =
  "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";

export const STATS_HEADINGS: Record<string, unknown> = {
  ID: "CONTAINER ID",
  Container: "CONTAINER",
  Name: "NAME",
  CPUPerc: "CPU %",
  MemUsage: "MEM USAGE / LIMIT",
  MemPerc: "MEM %",
  NetIO: "NET I/O",
  BlockIO: "BLOCK I/O",
  PIDs: "PIDS",
};

export function statsRow(usage: Usage, truncate: boolean): object {
  const id = truncate ? shortId(usage.record.id) : usage.record.id;
  const { memory, memoryLimit, network, disk } = usage;
  return {
    ID: id,
    Container: id,
    Name: usage.record.name,
    CPUPerc: `${usage.cpuPercent.toFixed(2)}%`,
    MemUsage: `${binarySize(memory)} / ${binarySize(usage.running ? memoryLimit : 0)}`,
    MemPerc: `${((memory / Math.max(1, memoryLimit)) * 100).toFixed(2)}%`,
    NetIO: `${humanSize(network.received)} / ${humanSize(network.sent)}`,
    BlockIO: `${humanSize(disk.read)} / ${humanSize(disk.written)}`,
    PIDs: usage.pids,
  };
}

/** Docker shows memory in powers of 1024. */
function binarySize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toPrecision(4))}${units[unit]}`;
}
