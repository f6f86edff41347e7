/** Why a port could not be had, in words that help. */

import { visible } from "../base/error.ts";
import { readText } from "../sys/host-facts.ts";
import { portHolder } from "../sys/port-holder.ts";

export const ADDRESS_HINT = '"ip addr" shows the addresses of this machine; without one, all are meant';

/** `place` is `127.0.0.1:8080`. */
export function heldPortHint(place: string): string {
  const who = holderName(Number(place.split(":").at(-1)));
  return `${who === undefined ? "" : `${who} has it; `}choose another port, or leave the choice to the host: -p CONTAINER-PORT`;
}

function holderName(port: number): string | undefined {
  const holder = portHolder(port);
  if (holder?.process === undefined) return holder && `a process of user id ${holder.uid}`;
  const { pid, argv } = holder.process;
  const container = argv.map((word) => /\/containers\/([0-9a-f]{12})[0-9a-f]{52}\//.exec(word)?.[1]).find(Boolean);
  return container === undefined ? `${visible(argv[0] ?? "a process")} (pid ${pid})` : `container ${container}`;
}

export function lowPortHint(): string {
  const first = readText("/proc/sys/net/ipv4/ip_unprivileged_port_start").trim() || "1024";
  return `ports below ${first} are root's: choose a higher one, or allow it by "sudo sysctl net.ipv4.ip_unprivileged_port_start=80"`;
}
