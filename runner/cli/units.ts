/** Sizes and times as people write them and as docker shows them. */

import { UsageError } from "./usage-error.ts";

const DURATION_UNITS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `10` (seconds), `10s`, `1m30s`, `1.5h`, `250ms` → milliseconds. */
export function parseDuration(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  let rest = text;
  let total = 0;
  while (rest !== "") {
    const match = /^(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d)/.exec(rest);
    if (match === null) break;
    total += Number(match[1]) * (DURATION_UNITS[match[2] ?? ""] ?? 0);
    rest = rest.slice(match[0].length);
  }
  if (text === "" || rest !== "") throw new UsageError("expected a duration such as 10, 10s or 1m30s");
  return total;
}

/** `64m`, `1g`, `512k`, `1GiB`, `100`: powers of 1024, as docker reads memory sizes. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(i?b)?$/i.exec(text);
  if (match === null) throw new UsageError("expected a size such as 64m, 1g or 1048576");
  const power = " kmgtp".indexOf((match[2] || " ").toLowerCase());
  const size = Math.trunc(Number(match[1]) * 1024 ** power);
  if (!Number.isSafeInteger(size)) throw new UsageError("expected a size below 8 PiB");
  return size;
}

/** Decimal units and four significant digits: `0B`, `4.27MB`, `133kB`. */
export function humanSize(bytes: number, digits = 3): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
  let size = bytes;
  let i = 0;
  while (size >= 1000 && i < units.length - 1) {
    size /= 1000;
    i++;
  }
  // As C's %.3g: trailing zeros go, and no exponent where 999.6 would round up to four digits.
  const shown = size >= 999.5 ? String(Math.round(size)) : String(Number(size.toPrecision(digits)));
  return `${shown}${units[i]}`;
}

/** "Less than a second", "12 seconds", "About a minute", "3 hours", "2 weeks": docker's rounding. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.floor(Math.max(0, milliseconds) / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.round(seconds / 3600);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(hours / 24 / 365)} years`;
}

/** "3 minutes ago"; "N/A" for a time that is not known, as docker has it for images without one. */
export function ago(then: Date | number | undefined, now: number): string {
  const time = then instanceof Date ? then.getTime() : then;
  if (time === undefined || Number.isNaN(time)) return "N/A";
  return `${humanDuration(now - time)} ago`;
}

/** `2024-09-06 12:20:07 +0000 UTC`: how docker writes a moment in a column; in local time with its offset. */
export function goTime(moment: Date): string {
  const pad = (n: number, width = 2) => String(n).padStart(width, "0");
  const offset = -moment.getTimezoneOffset();
  const sign = offset < 0 ? "-" : "+";
  const zone = `${sign}${pad(Math.floor(Math.abs(offset) / 60))}${pad(Math.abs(offset) % 60)}`;
  const day = `${moment.getFullYear()}-${pad(moment.getMonth() + 1)}-${pad(moment.getDate())}`;
  const clock = `${pad(moment.getHours())}:${pad(moment.getMinutes())}:${pad(moment.getSeconds())}`;
  return `${day} ${clock} ${zone} ${zoneName(moment, zone)}`;
}

let zoneFormat: Intl.DateTimeFormat | undefined;

function zoneName(moment: Date, fallback: string): string {
  zoneFormat ??= new Intl.DateTimeFormat("en-US", { timeZoneName: "short" });
  const parts = zoneFormat.formatToParts(moment);
  const name = parts.find((part) => part.type === "timeZoneName")?.value ?? fallback;
  return /^[A-Z]+$/.test(name) ? name : fallback;
}
