import { constants } from "node:os";
import { nearest } from "../suggest.ts";
import { UsageError } from "../usage-error.ts";

/** The first two real-time signals are the C library's own. */
const RTMIN = 34;
const RTMAX = 64;

/** `TERM`, `sigterm`, `15` → `SIGTERM`; real-time signals as `SIGRTMIN+N`. */
export function parseSignal(text: string): string {
  const names = constants.signals as Record<string, number>;
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    const name = Object.keys(names).find((one) => names[one] === number);
    if (name !== undefined) return name;
    if (number >= RTMIN && number <= RTMAX) return `SIGRTMIN+${number - RTMIN}`;
    throw new UsageError("there is no signal of that number");
  }
  const upper = text.toUpperCase();
  const name = upper.startsWith("SIG") ? upper : `SIG${upper}`;
  if (Object.hasOwn(names, name)) return name;
  const realTime = /^SIGRT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (realTime !== null) {
    const offset = Number(`${realTime[2] ?? "+"}${realTime[3] ?? 0}`);
    const number = (realTime[1] === "MIN" ? RTMIN : RTMAX) + offset;
    if (number >= RTMIN && number <= RTMAX) return `SIGRTMIN+${number - RTMIN}`;
  }
  const near = nearest(name, Object.keys(names));
  throw new UsageError("unknown signal", near === undefined ? {} : { hint: `did you mean "${near}"?` });
}
