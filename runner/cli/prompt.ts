/** Questions to the person at the keyboard. */

import { TsboxError } from "../base/error.ts";
import type { Context } from "./context.ts";

/** A line; with `hidden` what is typed is not shown. */
export async function ask(context: Context, question: string, hidden: boolean): Promise<string> {
  const { stdin } = process;
  if (!context.stdinIsTerminal || !stdin.isTTY) {
    throw new TsboxError(`Cannot ask for "${question.replace(/[: ]+$/, "")}": standard input is no terminal`, {
      code: "NO_TERMINAL",
      hint: "give --username, and the password with --password-stdin",
      exitCode: 1,
    });
  }
  // only raw mode keeps the terminal itself from showing what is typed, be it at once
  stdin.setRawMode(hidden);
  context.stderr.write(question);
  try {
    return await readLine(context.signal);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    if (hidden) context.stderr.write("\n");
  }
}

function readLine(signal: AbortSignal): Promise<string> {
  const { stdin } = process;
  stdin.setEncoding("utf8");
  return new Promise((resolve, reject) => {
    let line = "";
    const end = (settle: () => void) => {
      stdin.off("data", onData);
      stdin.off("end", onEnd);
      signal.removeEventListener("abort", onAbort);
      settle();
    };
    const interrupted = new TsboxError("Cannot go on: interrupted", { code: "INTERRUPTED", exitCode: 130 });
    const onAbort = () => end(() => reject(signal.reason));
    const onEnd = () => end(() => resolve(line));
    const onData = (text: string) => {
      for (const character of text) {
        if (character === "\r" || character === "\n" || character === "\x04") return end(() => resolve(line));
        if (character === "\x03") return end(() => reject(interrupted));
        if (character === "\x7f" || character === "\b") line = [...line].slice(0, -1).join("");
        else if (character === "\x15") line = "";
        else line += character;
      }
    };
    stdin.on("data", onData);
    stdin.on("end", onEnd);
    signal.addEventListener("abort", onAbort, { once: true });
    stdin.resume();
  });
}
