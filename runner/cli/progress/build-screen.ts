import { visible } from "../../base/error.ts";
import type { BuildEvent } from "../../build/options.ts";
import type { Output } from "../context.ts";
import { visibleLine } from "./visible-line.ts";

/** Milliseconds between two drawings. */
const FRAME = 100;
/** Lines of a step's output that are seen under it while it runs. */
const TAIL = 6;
/** A failing step's output is shown whole, up to so many characters. */
const KEPT = 16 << 20;

interface Step {
  /** `[build 2/3] COPY src /src` */
  name: string;
  began: number;
  lines: string[];
  /** Characters in them. */
  size: number;
  /** Lines that are not kept any more. */
  lost: number;
  why: string | undefined;
}

/**
 * A build on a terminal: a line for each step that has ended, which stays, and below them, drawn over in place, those that are at work with what they said
 * last. Nothing but the lines that move is ever redrawn, so that a build which is cut off leaves what was done, and the terminal as it was.
 */
export class BuildScreen {
  readonly #output: Output;
  readonly #now: () => number;
  readonly #began: number;
  readonly #steps = new Map<number, Step>();
  /** Widths of the lines that stand on the screen: when it gets narrower, they take more rows. */
  #drawn: number[] = [];
  #ended = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(output: Output, now: () => number) {
    this.#output = output;
    this.#now = now;
    this.#began = now();
    // a build of which all is in the cache has ended before the first drawing
    this.#timer = setInterval(() => this.draw(), FRAME).unref();
  }

  tell(event: BuildEvent): void {
    if (event.type === "note") {
      this.above(`note: ${visible(event.text)}\n`);
      return;
    }
    if (event.type === "step") {
      const stage = event.stage === "" ? "" : `${event.stage} `;
      const name = `[${stage}${event.of}] ${visible(event.name)}`;
      this.#steps.set(event.step, { name, began: this.#now(), lines: [], size: 0, lost: 0, why: undefined });
      return;
    }
    const step = this.#steps.get(event.step);
    if (!step) return;
    switch (event.type) {
      case "output":
        keep(step, event.line);
        return;
      case "why":
        step.why = visible(event.reason);
        return;
      case "cached":
        this.#end(event.step, step, " => CACHED ", "");
        return;
      case "done":
        this.#end(event.step, step, " => ", duration(event.milliseconds));
        return;
      case "failed":
        this.#fail(event.step, step, event.canceled === true);
    }
  }

  /** Writes whole lines above what moves. */
  above(text: string | Uint8Array): unknown {
    if (this.#drawn.length === 0) return this.#output.write(text);
    this.#output.write(`${this.#up()}\x1b[J${text}`);
    this.#drawn = [];
    this.draw();
    return true;
  }

  draw(): void {
    if (this.#timer === undefined) return;
    const lines = this.#steps.size > 0 ? this.#lines() : [];
    if (lines.length === 0 && this.#drawn.length === 0) return;
    const up = this.#up();
    this.#drawn = lines.map(({ text }) => widthOf(text));
    const shown = lines.map(({ text, dim }) => `${dim ? faint(text) : text}\x1b[K\n`);
    this.#output.write(`${up}${shown.join("")}\x1b[J`);
  }

  /** What moved goes; what has ended stays. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#drawn.length > 0) this.#output.write(`${this.#up()}\x1b[J`);
    this.#drawn = [];
  }

  #end(number: number, step: Step, sign: string, time: string): void {
    this.#steps.delete(number);
    this.#ended++;
    const tail = time === "" ? "" : `  ${time}`;
    const line = fit(`${sign}${step.name}`, this.#columns() - tail.length) + faint(tail);
    const why = step.why === undefined ? "" : `${faint(`    why: ${step.why}`)}\n`;
    this.above(`${line}\n${why}`);
  }

  /** All that the step said: the last lines alone seldom tell why. */
  #fail(number: number, step: Step, canceled: boolean): void {
    const time = duration(this.#now() - step.began);
    if (canceled) {
      this.#end(number, step, " => CANCELED ", time);
      return;
    }
    const { lines, lost } = step;
    const before = lost > 0 ? faint(`… ${lost} lines before are left out`) : undefined;
    const said = [...(before ? [before] : []), ...lines].map((line) => `${closed(line)}\n`).join("");
    this.#end(number, step, " => ERROR ", time);
    if (said !== "") this.above(`------\n > ${step.name}:\n${said}------\n`);
  }

  /** No line reaches the last column, where some terminals wrap; the command above them stays to be read. */
  #lines(): { text: string; dim?: true }[] {
    const columns = this.#columns();
    const room = Math.max(1, (this.#output.rows || 24) - 2);
    const time = this.#now();
    const head = { text: fit(`[+] ${duration(time - this.#began)}, ${this.#ended} steps done`, columns) };
    const steps = [...this.#steps.values()].slice(0, Math.max(0, room - 1));
    const tail = Math.min(TAIL, Math.floor((room - 1 - steps.length) / Math.max(1, steps.length)));
    const lines = steps.flatMap((step) => {
      const elapsed = `  ${duration(time - step.began)}`;
      const own = { text: fit(` => ${step.name}`, columns - elapsed.length) + elapsed };
      const said = tail > 0 ? step.lines.slice(-tail) : [];
      return [own, ...said.map((line) => ({ text: fit(` => => ${plain(line)}`, columns), dim: true as const }))];
    });
    return [head, ...lines];
  }

  #columns(): number {
    return this.#output.columns || 80;
  }

  /** To the first row of what is drawn. */
  #up(): string {
    const columns = this.#columns();
    const rows = this.#drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    return rows === 0 ? "" : `\r\x1b[${rows}A`;
  }
}

function keep(step: Step, text: string): void {
  const line = visibleLine(text);
  step.lines.push(line);
  step.size += line.length;
  while (step.size > KEPT && step.lines.length > 1) {
    // in one go: to shift each of a million lines would take its time
    const gone = step.lines.splice(0, Math.ceil(step.lines.length / 4));
    step.lost += gone.length;
    for (const one of gone) step.size -= one.length;
  }
}

function duration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)}s`;
  return `${Math.floor(seconds / 60)}m${String(Math.floor(seconds % 60)).padStart(2, "0")}s`;
}

function faint(text: string): string {
  return text === "" ? "" : `\x1b[2m${text}\x1b[0m`;
}

/** A line's colours end with it. */
function closed(line: string): string {
  return line.includes("\x1b") ? `${line}\x1b[0m` : line;
}

/** Without colours and tabs: what is left is as wide as it looks. */
function plain(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return line.replace(/\u001b\[[0-9;]*m/g, "").replaceAll("\t", "    ");
}

/** At least as many columns as it takes: what is not ASCII may take two. */
function widthOf(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += /[ -~…]/.test(character) ? 1 : /\p{Mark}/u.test(character) ? 0 : 2;
  return width;
}

function fit(text: string, columns: number): string {
  const room = Math.max(1, columns - 1);
  if (widthOf(text) <= room) return text;
  let width = 1;
  let kept = "";
  for (const character of text) {
    width += widthOf(character);
    if (width > room) break;
    kept += character;
  }
  return `${kept}…`;
}
