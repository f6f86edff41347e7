import { constants } from "node:os";
import { TsboxError } from "../base/error.ts";

/** Number of a signal given as `TERM`, `SIGTERM`, `term` or `15`. Real-time signals are `RTMIN+n`, `RTMAX-n`. */
export function signalNumber(word: string): number {
  const upper = word.toUpperCase();
  const name = upper.startsWith("SIG") ? upper : `SIG${upper}`;
  const known = constants.signals[name as NodeJS.Signals];
  if (known !== undefined) return known;
  const realTime = /^SIGRT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name);
  if (realTime) {
    const offset = Number(`${realTime[2] ?? "+"}${realTime[3] ?? 0}`);
    const number = (realTime[1] === "MIN" ? 34 : 64) + offset;
    if (number >= 34 && number <= 64) return number;
  }
  if (/^\d+$/.test(word) && Number(word) >= 1 && Number(word) <= 64) return Number(word);
  throw new TsboxError(`Cannot send signal "${word}": no such signal`, {
    code: "UNKNOWN_SIGNAL",
    hint: `a name such as TERM or KILL, or a number from 1 to 64`,
    exitCode: 1,
  });
}
