/** image explore -i: the browser in a real terminal, with real keys. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { TSBOX, workspace } from "../support/tsbox.ts";
import { HISTORY, LAYERS, loadLayers } from "./support/layered-image.ts";
import { type Terminal, terminal } from "./support/terminal.ts";

const shown = need(["user-namespace", "not-root", "tmux"], test);

const box = workspace();
test.before(async () => {
  await loadLayers(box, LAYERS, "docker.io/library/app:1", HISTORY);
  await loadLayers(box, LAYERS.slice(0, 2), "docker.io/library/app:0");
});
test.after(() => box[Symbol.asyncDispose]());

/** Waits until the right side has exactly these rows, without sizes. */
async function tree(screen: Terminal, rows: string[]): Promise<void> {
  const pattern = rows.map((row) => `│ +${row.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/ /g, " +")} *`);
  await screen.shows(new RegExp(`${pattern.join("\\n.*")}\\n`));
}

shown("layers left, their changes right; keys move, open and close; q gives the terminal back", async () => {
  await using screen = await terminal(box, 110, 24);
  await screen.type("echo before", "Enter");
  await screen.type(`${TSBOX} image explore -i app:1`, "Enter");
  await screen.shows(/^app:1 +3 layers, 7\.81kB wasted/m);
  await screen.shows(/▸ Layers .* Changes of this layer: 9/);
  await tree(screen, [
    "1.71kB ▾ data/",
    "~ 9B binary",
    "+ 1kB copy",
    "~ - link -> copy",
    "- 700B linked",
    "113B ▾ etc/",
  ]);

  await screen.type("Down");
  await screen.shows(/Changes of this layer: 10/);
  await tree(screen, ["2.71kB ▾ data/", "- 9B binary"]);
  await screen.type("Tab");
  await screen.shows(/▸ Changes of this layer/);
  await screen.type("Left");
  await tree(screen, ["2.71kB ▸ data/", "+ 119B ▾ evil/"]);
  await screen.type("Right");
  await tree(screen, ["2.71kB ▾ data/", "- 9B binary"]);
  // from a file to its folder, from there back to the layers
  await screen.type("Down", "Left", "Left", "Left");
  await screen.shows(/▸ Layers/);
  await screen.type("Home");
  await screen.shows(/Changes of this layer: 13/);

  await screen.type("q");
  await screen.shows(/^\$ $|^\$$/m);
  const end = await screen.screen();
  assert.ok(end.includes("before"), end.join("\n"));
  assert.not.match(end.join("\n"), /Layers/);
  await screen.type("stty -a | grep -c ' echo '; echo s=$?", "Enter");
  await screen.shows(/^s=0$/m);
});

shown("a filter narrows the tree, b shows what is below, Ctrl-C ends it", async () => {
  await using screen = await terminal(box, 110, 24);
  await screen.type(`${TSBOX} explore -i app:1`, "Enter");
  await screen.shows(/Changes of this layer: 9/);
  await screen.type("/");
  await screen.shows(/^Filter: _/m);
  await screen.type("m", "o", "x", "BSpace", "t", "Enter");
  await screen.shows(/Changes of this layer: 1, with "mot"/);
  await tree(screen, ["106B ▾ etc/", "~ 106B motd"]);
  await screen.type("b");
  await screen.shows(/Everything up to this layer: 1, with "mot"/);
  await screen.type("/", "Escape");
  await screen.shows(/Everything up to this layer: 14/);
  await screen.type("C-c");
  await screen.shows(/^\$$/m);
});

shown("hostile names do nothing to the terminal, and no line is wider than it", async () => {
  await using screen = await terminal(box, 60, 12);
  await screen.type(`${TSBOX} explore -i app:1`, "Enter");
  await screen.shows(/Layers/);
  await screen.type("End", "Tab", "End");
  await screen.shows(/caf\\xe9\\xff/);
  await screen.shows(/\\x1b\[2J\\x1b\]0;/);
  const lines = await screen.screen();
  assert.is(lines.length, 12, lines.join("\n"));
  assert.match(lines[0] ?? "", /^app:1/);
  assert.match(lines.at(-1) ?? "", /^arrows move/);
  await screen.resize(100, 20);
  await screen.shows(/<img src=x onerror=document/);
  assert.is((await screen.screen()).length, 20);
  await screen.type("q");
});

shown("two images are browsed as one change", async () => {
  await using screen = await terminal(box, 100, 20);
  await screen.type(`${TSBOX} explore -i app:0 app:1`, "Enter");
  await screen.shows(/^app:0 → app:1/m);
  await screen.shows(/- +1kB +copy/);
  await screen.type("q");
});

shown("Enter on a file shows what the layer did to it, and the tree is as it was after that", async () => {
  await using screen = await terminal(box, 90, 12);
  await screen.type(`${TSBOX} explore -i app:1`, "Enter");
  await screen.shows(/Changes of this layer: 9/);
  await screen.type("/", "m", "o", "t", "Enter", "End", "Enter");
  await screen.shows(/^\/etc\/motd +\d+ of 1\d lines/m);
  await screen.shows(/^\/etc\/motd, layer 1 → 2\n--- a\/etc\/motd/m);
  await screen.type("End");
  await screen.shows(/^-line 6\n\+changed <b>here<\/b> \\x1b\[31m\n line 7/m);
  assert.is((await screen.screen()).length, 12);
  await screen.type("Left");
  await screen.shows(/▸ Changes of this layer: 1, with "mot"/);
  // seen through a layer that says nothing of it: all of it
  await screen.type("Tab", "Down", "b", "Tab", "End", "Enter");
  await screen.shows(/^\/etc\/motd, layer 0 → 3\n/m);
  await screen.shows(/^\+line 1$/m);
  await screen.type("q", "/", "Escape");
  await screen.shows(/Everything up to this layer/);
  await screen.type("q");
  await screen.shows(/^\$$/m);
});

shown("of two images a file's change is shown too, and one that is no text by what it is", async () => {
  await using screen = await terminal(box, 100, 20);
  await screen.type(`${TSBOX} explore -i app:0 app:1`, "Enter");
  await screen.shows(/^app:0 → app:1/m);
  await screen.type("/", "b", "i", "n", "a", "r", "y", "Enter", "End", "Right");
  await screen.shows(/^\/data\/binary, app:0 → app:1, no text\n- \(app:0, layer 2\) 9 bytes sha256:\w+/m);
  await screen.type("C-c");
  await screen.shows(/^\$$/m);
});

test.run();
