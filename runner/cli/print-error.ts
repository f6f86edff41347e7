/** What a person sees of a failure: what, why, what to do; where in the code only with `--debug`. */

import { diskFault } from "../base/disk-fault.ts";
import { TsboxError, visible } from "../base/error.ts";

export function errorText(error: unknown, debug: boolean): string {
  const chain = causes(inWords(error));
  const lines: string[] = [];
  let said = "";
  for (const one of chain) {
    const message = messageOf(one);
    // A cause whose words its wrapper already repeats says nothing new.
    if (said !== "" && (message === "" || said.includes(message))) continue;
    lines.push(said === "" ? `tsbox: ${message}` : `  because: ${message}`);
    said += `\n${message}`;
  }
  const hint = chain
    .map((one) => (one instanceof TsboxError ? one.hint : undefined))
    .find((text) => text !== undefined);
  if (hint !== undefined) lines.push(`hint: ${visibleLines(hint)}`);
  else if (!debug && !(chain[0] instanceof TsboxError))
    lines.push('hint: "tsbox --debug …" shows where this came from');
  if (debug)
    lines.push(...chain.map((one) => visibleLines((one instanceof Error ? one.stack : undefined) ?? String(one))));
  return `${lines.join("\n")}\n`;
}

/** What the disk refused, wherever that was. */
function inWords(error: unknown): unknown {
  const fault = error instanceof TsboxError ? undefined : diskFault(error);
  if (!fault) return error;
  const { path, code } = error as NodeJS.ErrnoException;
  const object = path === undefined ? "to the disk" : `"${visible(path)}"`;
  return new TsboxError(`Cannot write ${object}: ${fault.state}`, { code: code ?? "", cause: error, hint: fault.hint });
}

export function statusOf(error: unknown): number {
  return error instanceof TsboxError ? error.exitCode : 125;
}

function causes(error: unknown): unknown[] {
  const chain: unknown[] = [];
  for (let one = error; one !== undefined && one !== null && !chain.includes(one); ) {
    chain.push(one);
    if (one instanceof AggregateError && one.errors.length > 0) one = one.errors[0];
    else one = one instanceof Error ? one.cause : undefined;
  }
  return chain;
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return visibleLines(String(error));
  return visibleLines(error.message || error.name);
}

/** Line breaks are ours; whatever else could move the cursor is made visible. */
function visibleLines(text: string): string {
  return text.split("\n").map(visible).join("\n");
}
