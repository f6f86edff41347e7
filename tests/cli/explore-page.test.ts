/** image explore -o report.html: one page, opened in a real browser. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openPage, type Page } from "../support/chromium.ts";
import { need } from "../support/need.ts";
import { workspace } from "../support/tsbox.ts";
import { HISTORY, LAYERS, loadLayers } from "./support/layered-image.ts";

const able = need(["user-namespace", "not-root"], test);
const shown = need(["user-namespace", "not-root", "chromium"], test);

const box = workspace();
const file = join(box.dir, "report.html");
const url = pathToFileURL(file).href;
test.before(async () => {
  await loadLayers(box, LAYERS, "docker.io/library/app:1", HISTORY);
  await loadLayers(box, LAYERS.slice(0, 2), "docker.io/library/app:0");
  await box.tsbox("image", "explore", "-o", file, "app:1");
});
test.after(() => box[Symbol.asyncDispose]());

/** The tree as a person reads it: one line for each row that is open. */
const rows = (page: Page) =>
  page.eval<string[]>(
    `[...document.querySelectorAll("#tree .row")].map((row) => [...row.children].map((part) => part.textContent.trim()).filter(Boolean).join(" "))`,
  );
const focused = (page: Page) =>
  page.eval<string>(
    `document.activeElement.querySelector(":scope > .row > .name")?.textContent ?? document.activeElement.id`,
  );
const search = (page: Page, text: string) =>
  page.eval(
    `(() => { const f = document.getElementById("filter"); f.value = ${JSON.stringify(text)}; f.dispatchEvent(new Event("input")); })()`,
  );

able("the page is whole in itself", () => {
  const page = readFileSync(file, "utf8");
  const html = page.replace(/(<script type="application\/json"[^>]*>)[^<]*/, "$1");
  assert.ok(html.length < page.length);
  assert.not.match(html, /<(link|img|iframe|object|embed)\b|\bsrc=|@import|url\(/i);
  assert.match(html, /default-src 'none'; .*style-src 'sha256-.*script-src 'sha256-/);
  assert.is(page.match(/<script/g)?.length, 2, "no name of the image began a script");
  assert.not.match(page, /<img src=x/);
});

shown("the page shows layers, the changes of the one that is clicked, and asks nobody for anything", async () => {
  await using page = await openPage(url);
  assert.match(await page.text("#name"), /^app:1$/);
  assert.match(await page.text("#numbers"), /Wasted\s+7\.\d+kB \(8\d\.\d+%\)\s+Efficiency\s+1\d\.\d+%/);
  assert.is(await page.eval("document.querySelectorAll('#layers button').length"), 3);
  // the second layer first
  assert.equal(await rows(page), [
    "▾ 1.71kB data/",
    "~ 9B binary (content)",
    "+ 1kB copy",
    "~ symlink link → copy (link; Enter shows the diff)",
    "- 700B linked",
    "▾ 113B etc/",
    "~ 106B motd (content; was 87B; Enter shows the diff)",
    "~ 7B shadow (mode)",
    "▾ 5kB opt/",
    "▾ - 5kB old/",
    "- 3kB a",
    "- 2kB b",
  ]);
  await page.click("#layers li:nth-child(1) button");
  assert.match((await rows(page)).join("\n"), /^\+ 7B shadow$/m);
  assert.match(await page.text("#found"), /^13 entries, 7\.\d+kB$/);
  assert.equal(page.requests, []);
  assert.equal(page.messages, []);
});

shown("filter and boxes narrow the tree", async () => {
  await using page = await openPage(url);
  await search(page, "MOTD");
  assert.equal((await rows(page)).length, 2);
  await search(page, "nothing has this");
  assert.is(await page.text("#found"), "Nothing to show.");
  await search(page, "");
  await page.click("#show-removed");
  await page.click("#show-changed");
  assert.equal(await rows(page), ["▾ 1kB data/", "+ 1kB copy"]);
  await page.click("#show-below");
  assert.match((await rows(page)).join("\n"), /^1kB one$/m);
  await page.click("#collapse");
  assert.is(await page.eval("document.querySelectorAll('#tree ul').length"), 0);
  await page.click("#expand");
  assert.match((await rows(page)).join("\n"), /^1kB one$/m);
});

shown("the diff of a text file opens by click and by keyboard, and closes", async () => {
  await using page = await openPage(url);
  const motd = `[...document.querySelectorAll("#tree .name")].find((name) => name.textContent === "motd")`;
  await page.eval(`${motd}.id = "motd"`);
  await page.click("#motd");
  await page.until(`document.getElementById("diff").hidden === false`);
  assert.is(await page.text("#diff-title"), "/etc/motd in layer 2");
  assert.is(
    await page.eval(`document.querySelector("#diff-text .plus").textContent`),
    "+changed <b>here</b> \\x1b[31m",
  );
  assert.is(await page.eval(`document.querySelector("#diff-text .minus").textContent`), "-line 6");
  assert.is(await page.eval("document.querySelectorAll('#diff b').length"), 0);
  await page.press("Escape");
  await page.until(`document.getElementById("diff").hidden`);
  assert.is(await focused(page), "motd");
  await page.press("Enter");
  await page.until(`document.getElementById("diff").hidden === false`);
});

shown("keys alone reach everything", async () => {
  await using page = await openPage(url);
  await page.press("Tab");
  assert.match(await page.eval("document.activeElement.textContent"), /^1 · /);
  await page.press("ArrowDown");
  await page.press("ArrowDown");
  assert.match(await page.eval(`document.querySelector("[aria-current=true]").textContent`), /^3 · /);
  await page.eval(`document.querySelector("#tree [tabindex='0']").focus()`);
  assert.is(await focused(page), "data/");
  await page.press("ArrowRight");
  assert.is(await focused(page), "binary");
  await page.press("ArrowLeft");
  assert.is(await focused(page), "data/");
  await page.press("ArrowLeft");
  assert.is(await page.eval("document.activeElement.getAttribute('aria-expanded')"), "false");
  await page.press("ArrowDown");
  assert.is(await focused(page), "evil/");
});

shown("hostile names are text and nothing else", async () => {
  await using page = await openPage(url);
  await page.click("#layers li:nth-child(3) button");
  const names = (await rows(page)).join("\n");
  assert.ok(names.includes("<script>document.title='owned'<!--"), names);
  assert.ok(names.includes("<img src=x onerror=document.title='owned'>"), names);
  assert.ok(names.includes("\\x1b[2J\\x1b]0;owned\\x07"), names);
  assert.ok(names.includes("caf\\xe9\\xff"), names);
  assert.is(await page.eval("document.title"), "app:1 · tsbox image explore");
  assert.is(await page.eval("document.querySelectorAll('img').length"), 0);
  assert.equal(page.messages, []);
});

shown("dark and light are followed, and both can be read", async () => {
  await using page = await openPage(url);
  const colors = async (scheme: "dark" | "light") => {
    await page.prefer(scheme);
    return page.eval<number[][]>(
      `(() => { const style = getComputedStyle(document.body); return [style.color, style.backgroundColor].map((c) => c.match(/\\d+/g).map(Number)); })()`,
    );
  };
  const sum = (color: number[] = []) => color.slice(0, 3).reduce((a, b) => a + b, 0);
  const [front, back] = await colors("dark");
  assert.ok(sum(front) > 600 && sum(back) < 100);
  const [lightFront, lightBack] = await colors("light");
  assert.ok(sum(lightFront) < 150 && sum(lightBack) > 700);
});

shown("two images make one page of what changed", async () => {
  assert.is((await box.tsbox("image", "explore", "-o", file, "app:0", "app:1")).code, 0);
  await using page = await openPage(url);
  assert.is(await page.text("#name"), "app:0 → app:1");
  assert.match((await rows(page)).join("\n"), /^- 1kB copy$/m);
  assert.match(await page.text("#numbers"), /Shared layers\s+2/);
  assert.equal(page.messages, []);
});

test.run();
