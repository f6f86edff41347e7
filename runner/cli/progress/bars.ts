import type { Output } from "../context.ts";
import type { Progress, ProgressEvent } from "../progress.ts";
import { shortId } from "../table.ts";
import { humanSize } from "../units.ts";
import { PHASES } from "./phases.ts";
import { Speed } from "./speed.ts";

/** Milliseconds between two drawings: more often only costs. */
const FRAME = 80;
/** So that a transfer that stands still is seen to stand still. */
const IDLE = 1000;

interface Layer {
  event: ProgressEvent;
  speed: Speed;
}

/**
 * A line for each layer, drawn over in place. Each drawing is one write in which every line replaces its predecessor and only its rest is cleared, so that
 * nothing flickers. No line reaches the last column, where some terminals wrap.
 */
export class Bars implements Progress {
  readonly #layers = new Map<string, Layer>();
  /** Widths of the lines that stand on the screen: when it gets narrower, they take more rows. */
  #drawn: number[] = [];
  #last = 0;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(
    private readonly output: Output,
    private readonly now: () => number,
  ) {}

  update(event: ProgressEvent): void {
    const known = this.#layers.get(event.layer);
    const changed = known?.event.phase !== event.phase;
    const layer = { event, speed: known && !changed ? known.speed : new Speed() };
    layer.speed.add(event.current ?? 0, this.now());
    this.#layers.set(event.layer, layer);
    this.#timer ??= setInterval(() => this.#draw(), IDLE).unref();
    if (changed || this.now() - this.#last >= FRAME) this.#draw();
  }

  end(): void {
    clearInterval(this.#timer);
    if (!this.#ended && this.#layers.size > 0) this.#draw(true);
    this.#ended = true;
  }

  /** Writes lines above what is drawn. */
  above(text: string | Uint8Array): unknown {
    if (this.#ended || this.#drawn.length === 0) return this.output.write(text);
    this.output.write(`${this.#up()}\x1b[J${text}`);
    this.#drawn = [];
    this.#draw();
    return true;
  }

  #draw(last = false): void {
    const columns = this.output.columns || 80;
    this.#last = this.now();
    // the cursor stands below the lines, and the command above them stays to be read
    const room = last ? Number.POSITIVE_INFINITY : Math.max(1, (this.output.rows || 24) - 2);
    const lines = screenLines([...this.#layers.values()], columns, room, this.#last);
    const up = this.#up();
    this.#drawn = lines.map((line) => line.length);
    this.output.write(`${up}${lines.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J`);
  }

  /** To the first row of what is drawn. */
  #up(): string {
    const columns = this.output.columns || 80;
    const rows = this.#drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    return rows === 0 ? "" : `\r\x1b[${rows}A`;
  }
}

/** All layers where there is room for them; else those that move, and how many others there are. */
function screenLines(layers: Layer[], columns: number, room: number, time: number): string[] {
  const total = layers.length > 1 && room > 2 ? [totalLine(layers, columns, time)] : [];
  const line = ({ event, speed }: Layer) => layerLine(event, columns, speed.at(time));
  if (layers.length + total.length <= room) return [...layers.map(line), ...total];
  const moving = layers.filter(({ event }) => PHASES[event.phase].moving);
  const shown = moving.slice(0, Math.max(0, room - total.length - 1));
  const ended = layers.filter(({ event }) => PHASES[event.phase].ended).length;
  const waiting = layers.length - ended - shown.length;
  const rest = fit(`… ${ended} layers ready, ${waiting} more to come`, columns);
  return [...shown.map(line), rest, ...total].slice(0, room);
}

function totalLine(layers: Layer[], columns: number, time: number): string {
  const ready = layers.filter(({ event }) => PHASES[event.phase].ended).length;
  let bytes = 0;
  let all = 0;
  let speed = 0;
  for (const { event, speed: own } of layers) {
    const { phase, current = 0, total = 0 } = event;
    all += total;
    bytes += PHASES[phase].ended || phase === "unpacking" ? total : Math.min(current, total);
    if (phase === "downloading" || phase === "pushing") speed += own.at(time) ?? 0;
  }
  const parts = [`${ready} of ${layers.length} layers`];
  if (all > 0) parts.push(`${humanSize(bytes)} of ${humanSize(all)}`);
  if (speed > 0 && bytes < all) parts.push(`${humanSize(speed)}/s`, `${timeLeft((all - bytes) / speed)} left`);
  return fit(parts.join(", "), columns);
}

/**
 * `4f4fb700ef54 downloading [=====>     ] 1.2MB/4.3MB 3.4MB/s 2s`, never wider than the terminal: what matters least goes first, and the bar takes what
 * room is left.
 */
export function layerLine(event: ProgressEvent, columns: number, speed?: number): string {
  const { layer, phase, current = 0, total = 0 } = event;
  const head = `${shortId(layer)} ${PHASES[phase].word}`;
  if (!PHASES[phase].moving || (total <= 0 && current <= 0)) {
    return fit(phase === "exists" && total > 0 ? `${head} ${humanSize(total)}` : head, columns);
  }
  if (total <= 0) return fit(`${head} ${humanSize(current)}`, columns);
  const done = Math.min(current, total);
  const parts = [`${humanSize(done)}/${humanSize(total)}`];
  if (speed !== undefined && done < total) {
    parts.push(`${humanSize(speed)}/s`);
    if (speed > 0) parts.push(timeLeft((total - done) / speed));
  }
  const room = () => columns - 1 - head.length - parts.reduce((sum, part) => sum + part.length + 1, 0);
  while (parts.length > 1 && room() < 0) parts.pop();
  if (room() < 0) return fit(`${shortId(layer)} ${Math.floor((done / total) * 100)}% ${parts[0]}`, columns);
  const width = Math.min(50, room() - 3);
  if (width < 6) return fit([head, ...parts].join(" "), columns);
  const filled = Math.floor((done / total) * width);
  const bar = filled >= width ? "=".repeat(width) : `${"=".repeat(filled)}>`.padEnd(width);
  return [head, `[${bar}]`, ...parts].join(" ");
}

function timeLeft(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds > 359_999) return "long";
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${String(whole % 60).padStart(2, "0")}s`;
  return `${Math.floor(whole / 3600)}h${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")}m`;
}

function fit(text: string, columns: number): string {
  return text.slice(0, Math.max(1, columns - 1));
}
