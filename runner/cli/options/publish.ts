/** `-p [[ADDRESS:]PORT:]CONTAINER-PORT[/tcp]` with ranges, and `--expose PORT[/PROTOCOL]`, as docker has them. */

import { isIP } from "node:net";
import type { PublishRequest } from "../../engine/run-options.ts";
import { UsageError } from "../usage-error.ts";

interface Range {
  first: number;
  last: number;
}

/** A part of a word, so that an error can point at it. */
interface Part {
  word: string;
  at: number;
  text: string;
}

const FORM = "[[ADDRESS:]PORT:]CONTAINER-PORT[/tcp]";

export function parsePublish(word: string): PublishRequest[] {
  const { address, host, container } = split(word);
  const inside = readProtocol(container);
  const containerPorts = readRange(inside, 1);
  const ip = address === undefined || address.text === "" ? undefined : readAddress(address);
  const hostPorts = host === undefined || host.text === "" ? undefined : readRange(host, 0);
  const base = ip === undefined ? {} : { address: ip };
  const count = containerPorts.last - containerPorts.first + 1;
  const given = hostPorts !== undefined && hostPorts.first > 0 ? hostPorts : undefined;
  // one port inside, several outside: one of these
  if (count === 1) {
    return [{ ...base, ...(given && { hostPorts: given }), containerPort: containerPorts.first }];
  }
  if (given && host && given.last - given.first + 1 !== count) {
    throw fault(
      host,
      `the ranges must be of one length: ${count} ports inside, ${given.last - given.first + 1} outside`,
    );
  }
  return Array.from({ length: count }, (_, i) => ({
    ...base,
    ...(given && { hostPorts: { first: given.first + i, last: given.first + i } }),
    containerPort: containerPorts.first + i,
  }));
}

/** `80/tcp`, one each. */
export function parseExpose(word: string): string[] {
  const slash = word.indexOf("/");
  const protocol = slash < 0 ? "tcp" : word.slice(slash + 1);
  if (!["tcp", "udp", "sctp"].includes(protocol)) {
    throw fault({ word, at: slash + 1, text: protocol }, "expected tcp, udp or sctp");
  }
  const { first, last } = readRange({ word, at: 0, text: slash < 0 ? word : word.slice(0, slash) }, 1);
  return Array.from({ length: last - first + 1 }, (_, i) => `${first + i}/${protocol}`);
}

function split(word: string): { address?: Part; host?: Part; container: Part } {
  const closing = word.startsWith("[") ? word.indexOf("]") : -1;
  if (word.startsWith("[") && word[closing + 1] !== ":") {
    throw fault({ word, at: 0, text: word }, "an address in brackets ends with ]:");
  }
  const start = closing < 0 ? 0 : closing + 2;
  const parts: Part[] = [];
  for (let at = start; at <= word.length; ) {
    const colon = word.indexOf(":", at);
    const end = colon < 0 ? word.length : colon;
    parts.push({ word, at, text: word.slice(at, end) });
    at = end + 1;
  }
  if (closing >= 0) parts.unshift({ word, at: 1, text: word.slice(1, closing) });
  if (closing >= 0 && parts.length === 2) parts.splice(1, 0, { word, at: start, text: "" });
  const container = parts.pop() as Part;
  const host = parts.pop();
  const address = parts.pop();
  if (parts.length > 0)
    throw fault(
      { word, at: 0, text: word },
      "too many colons",
      ': an IPv6 address stands in brackets, as "[::1]:8080:80"',
    );
  return { ...(address && { address }), ...(host && { host }), container };
}

function readProtocol(part: Part): Part {
  const slash = part.text.indexOf("/");
  if (slash < 0) return part;
  const protocol: Part = { word: part.word, at: part.at + slash + 1, text: part.text.slice(slash + 1) };
  if (protocol.text === "udp" || protocol.text === "sctp") {
    throw fault(protocol, `only TCP ports can be published, not ${protocol.text.toUpperCase()}`);
  }
  if (protocol.text !== "tcp") throw fault(protocol, "expected tcp");
  return { ...part, text: part.text.slice(0, slash) };
}

function readRange(part: Part, least: number): Range {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.text);
  const first = Number(match?.[1] ?? Number.NaN);
  const last = Number(match?.[2] ?? first);
  if (!(first >= least && last <= 65535)) {
    throw fault(part, part.text === "" ? "a port is missing" : `expected a port from 1 to 65535, or a range of them`);
  }
  if (last < first || (first === 0 && last > 0)) throw fault(part, "the range ends before it begins");
  return { first, last };
}

function readAddress(part: Part): string {
  if (isIP(part.text) !== 0 && !part.text.includes("%")) return part.text;
  const instead = part.text === "localhost" ? ", as 127.0.0.1" : "";
  throw fault(part, `expected an IP address${instead}`);
}

/** The hint shows the word again and points at the part: "hint: " is six wide. */
function fault({ word, at, text }: Part, why: string, more = ""): UsageError {
  const pointer = `${" ".repeat(6 + at)}${"^".repeat(Math.max(1, text.length))}`;
  return new UsageError(why, { hint: `${word}\n${pointer} the form is ${FORM}${more}` });
}
