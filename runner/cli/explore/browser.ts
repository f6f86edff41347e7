/** `image explore -i`: the terminal's side of the browser. */

import type { Engine } from "../../engine/engine.ts";
import type { Exploration } from "../../engine/explore/explore.ts";
import type { Context } from "../context.ts";
import { humanSize } from "../units.ts";
import { compareReport, imageReport, reportDiff } from "./report.ts";
import { diffText, percent } from "./text.ts";
import { type BrowserLayer, type Chosen, draw, type Key, layerTitle, openBrowser, type Pager, press } from "./view.ts";

/** The other screen, no cursor; and back. */
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";

export async function browse(
  engine: Engine,
  explorations: [Exploration, ...Exploration[]],
  context: Context,
): Promise<void> {
  const { heading, layers } = content(explorations);
  const browser = openBrowser(heading, layers);
  const output = process.stdout;
  const input = process.stdin;
  const colors = !context.env.NO_COLOR;
  const rows = () => output.rows || 24;
  const show = () => {
    const lines = draw(browser, output.columns || 80, rows(), colors);
    // each line is drawn over and its rest cleared: nothing flickers
    output.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join("\r\n")}\x1b[J`);
  };
  const openPager = (chosen: Chosen) => {
    delete browser.chosen;
    const pager: Pager = { title: `/${chosen.path}`, lines: ["reading it…"], top: 0 };
    browser.pager = pager;
    void fileDiff(engine, explorations, chosen).then((text) => {
      pager.lines = text.replace(/\n$/, "").split("\n");
      if (browser.pager === pager) show();
    });
  };
  input.setRawMode(true);
  output.write(ENTER);
  try {
    show();
    await new Promise<void>((resolve) => {
      context.signal.addEventListener("abort", () => resolve(), { once: true });
      output.on("resize", show);
      input.on("end", resolve);
      input.on("data", (bytes: Buffer) => {
        for (const key of readKeys(bytes.toString("utf8"))) {
          if (!press(browser, key, rows() - 4)) return resolve();
          if (browser.chosen) openPager(browser.chosen);
        }
        show();
      });
    });
  } finally {
    input.setRawMode(false);
    input.pause();
    output.write(LEAVE);
  }
}

/** What the layer did to the file, or the second image; of one that is seen through the layer, all of it. */
async function fileDiff(
  engine: Engine,
  explorations: [Exploration, ...Exploration[]],
  { layer, path, below }: Chosen,
): Promise<string> {
  const { diffFile } = await import("../../engine/explore/file-diff.ts");
  const between = { from: String(below ? 0 : layer), to: String(layer + 1) };
  try {
    const found = await diffFile(engine, explorations, { path, ...(explorations.length === 1 && between) });
    return diffText(found.map(reportDiff), { colors: false });
  } catch (error) {
    return (error as Error).message;
  }
}

function content([first, second]: [Exploration, ...Exploration[]]): { heading: string; layers: BrowserLayer[] } {
  if (second) {
    const { changes, images } = compareReport(first, second);
    const heading = `${images[0].name} → ${images[1].name}`;
    return { heading, layers: [{ title: " →", instruction: "what changed", size: 0, changes }] };
  }
  const { layers, image, wasted, efficiency } = imageReport(first);
  return {
    heading: `${image.name}  ${layers.length} layers, ${humanSize(wasted)} wasted, efficiency ${percent(efficiency)}`,
    layers: layers.map(({ number, id, instruction, size, changes }) => ({
      title: layerTitle(number, id),
      instruction,
      size,
      changes,
    })),
  };
}

const SEQUENCES: Record<string, string> = {
  "\x1b[A": "up",
  "\x1b[B": "down",
  "\x1b[C": "right",
  "\x1b[D": "left",
  "\x1bOA": "up",
  "\x1bOB": "down",
  "\x1bOC": "right",
  "\x1bOD": "left",
  "\x1b[5~": "pageup",
  "\x1b[6~": "pagedown",
  "\x1b[H": "home",
  "\x1b[F": "end",
  "\x1b[1~": "home",
  "\x1b[4~": "end",
  "\x1bOH": "home",
  "\x1bOF": "end",
  "\t": "tab",
  "\r": "enter",
  "\n": "enter",
  "\x7f": "backspace",
  "\b": "backspace",
  "\x03": "ctrl-c",
  "\x1b": "escape",
};

/** What a terminal sends may hold several keys; sequences that mean nothing here are dropped whole. */
export function readKeys(text: string): Key[] {
  const keys: Key[] = [];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: keys are control characters
  for (const [part] of text.matchAll(/\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O.)|[\s\S]/gu)) {
    const name = SEQUENCES[part];
    if (name !== undefined) keys.push({ name });
    else if (part >= " ") keys.push({ text: part });
  }
  return keys;
}
