/** Progress in a real terminal: under tmux, of pulls that stop where the test wants to look. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type FakeRegistry, fakeRegistry, noise } from "../support/fake-registry.ts";
import { need } from "../support/need.ts";
import { TSBOX, workspace } from "../support/tsbox.ts";
import { resizing, terminal } from "./support/terminal.ts";

const able = need(["user-namespace", "not-root"], test);
const shown = need(["user-namespace", "not-root", "tmux"], test);

/** Serves an image of so many layers, the blobs of which stop half way until they are let go on. */
async function halfServed(registry: FakeRegistry, count: number): Promise<{ name: string; goOn(): void }> {
  const served = await registry.add(
    "app",
    "1",
    Array.from({ length: count }, (_, i) => ({ [`file${i}`]: `${i}${noise(300_000)}` })),
  );
  const waiting: (() => void)[] = [];
  let held = true;
  for (const { digest, bytes } of served.layers) {
    registry.on(`blobs/${digest}`, (_request, response) => {
      const half = bytes.length >> 1;
      response.writeHead(200, { "content-length": bytes.length });
      response.write(bytes.subarray(0, half));
      const rest = () => response.end(bytes.subarray(half));
      if (held) waiting.push(rest);
      else rest();
    });
  }
  return {
    name: `${registry.host}/app:1`,
    goOn() {
      held = false;
      for (const rest of waiting) rest();
    },
  };
}

for (const columns of [40, 200]) {
  shown(`pull draws bars in a terminal of ${columns} columns, in place, and ends with what is there`, async () => {
    await using registry = await fakeRegistry();
    await using box = workspace();
    await using screen = await terminal(box, columns, 20);
    const { name, goOn } = await halfServed(registry, 3);
    await screen.type(`${TSBOX} pull ${name}`, "Enter");
    await screen.shows(/1\d\dkB\/2\d\dkB[\s\S]*1\d\dkB\/2\d\dkB[\s\S]*1\d\dkB\/2\d\dkB[\s\S]*0 of 3 layers, /);
    const lines = (await screen.screen()).filter((line) => /kB/.test(line));
    assert.is(lines.length, 4, lines.join("\n"));
    assert.is(/\[=+> +\]/.test(lines[0] ?? ""), columns === 200, lines[0]);
    goOn();
    await screen.shows(/3 of 3 layers/);
    await screen.shows(new RegExp(`^${name}$`, "m"));
    const end = await screen.screen();
    assert.is(end.filter((line) => / pull complete$/.test(line)).length, 3, end.join("\n"));
    assert.is(end.filter((line) => /downloading|extracting/.test(line)).length, 0, end.join("\n"));
  });
}

shown("a terminal that is resized meanwhile shows each line once", async () => {
  await resizing(async () => {
    await using registry = await fakeRegistry();
    await using box = workspace();
    await using screen = await terminal(box, 120, 20);
    const { name, goOn } = await halfServed(registry, 2);
    await screen.type(`${TSBOX} pull ${name}`, "Enter");
    await screen.shows(/\[=+> +\][\s\S]*\[=+> +\]/);
    await screen.resize(50, 20);
    await screen.shows(/^\w{12} downloading [^\n]{1,36}\n\w{12} downloading [^\n]{1,36}\n0 of 2 layers/m);
    const lines = await screen.screen();
    assert.is(lines.filter((line) => /downloading/.test(line)).length, 2, lines.join("\n"));
    await screen.resize(100, 20);
    goOn();
    await screen.shows(/2 of 2 layers/);
    const end = await screen.screen();
    assert.is(end.filter((line) => /pull complete/.test(line)).length, 2, end.join("\n"));
    assert.is(end.filter((line) => /downloading/.test(line)).length, 0, end.join("\n"));
  });
});

shown("with more layers than rows those that move are shown and nothing scrolls by", async () => {
  await using registry = await fakeRegistry();
  await using box = workspace();
  await using screen = await terminal(box, 80, 8);
  const { name, goOn } = await halfServed(registry, 12);
  await screen.type(`${TSBOX} pull ${name}`, "Enter");
  await screen.shows(/(\w{12} downloading \[.*\n){3}… 0 layers ready, 9 more to come\n0 of 12 layers, /);
  assert.ok((await screen.screen())[0]?.includes("tsbox pull"), "the command still stands above");
  goOn();
  await screen.shows(/12 of 12 layers/);
});

able("off a terminal a line an event; --progress and --quiet decide otherwise", async () => {
  await using registry = await fakeRegistry();
  const { layers } = await registry.add("app", "1", [{ a: "one" }, { b: "two" }]);
  const name = `${registry.host}/app:1`;
  const pull = async (...flags: string[]) => {
    await using box = workspace();
    const { code, stdout, stderr } = await box.tsbox("pull", ...flags, name);
    assert.is(code, 0, stderr);
    assert.is(stdout, `${name}\n`);
    return stderr;
  };
  const plain = await pull();
  for (const { digest } of layers) {
    assert.match(plain, new RegExp(`^${digest.slice(7, 19)}: downloading \\d+B$`, "m"));
    assert.match(plain, new RegExp(`^${digest.slice(7, 19)}: pull complete$`, "m"));
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: none of a terminal's sequences
  assert.not.match(plain, /[\x1b\r]/);
  assert.is(await pull("--quiet"), "");
  assert.is(await pull("--progress=none"), "");
  assert.ok((await pull("--progress=tty")).includes("\x1b[K"));
  const events = (await pull("--progress", "json"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  for (const { digest } of layers) {
    const phases = events.filter((event) => event.layer === digest).map(({ phase }) => phase);
    assert.is(phases[0], "waiting");
    assert.ok(phases.includes("downloading"));
    assert.is(phases.at(-1), "done");
  }
  assert.equal(Object.keys(events.find(({ phase }) => phase === "downloading") ?? {}), [
    "time",
    "image",
    "layer",
    "phase",
    "current",
    "total",
  ]);
});

able("push and load tell theirs the same way", async () => {
  await using registry = await fakeRegistry();
  await using box = workspace();
  await registry.add("app", "1", [{ a: "one" }]);
  const name = `${registry.host}/app:1`;
  assert.is((await box.tsbox("pull", "-q", name)).code, 0);
  assert.is((await box.tsbox("save", "-o", `${box.dir}/app.tar`, name)).code, 0);
  assert.is((await box.tsbox("rmi", name)).code, 0);
  const loaded = await box.tsbox("load", "--progress=json", "-i", `${box.dir}/app.tar`);
  assert.is(loaded.code, 0, loaded.stderr);
  assert.ok(
    loaded.stderr.split("\n").some((line) => line !== "" && JSON.parse(line).current === JSON.parse(line).total),
    "the end of the extraction is told",
  );
  const phases = loaded.stderr
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).phase);
  assert.ok(phases.includes("unpacking"), phases.join());
  assert.is(phases.at(-1), "done");
  assert.is((await box.tsbox("load", "--progress=wrong")).code, 125);
});

shown("run draws the bars of the image that it lacks, and ends them before the program begins", async () => {
  await using registry = await fakeRegistry();
  await using box = workspace();
  await using screen = await terminal(box, 100, 20);
  const { name, goOn } = await halfServed(registry, 2);
  await screen.type(`${TSBOX} create --name made ${name} none`, "Enter");
  await screen.shows(/is not in the store: pulling it[\s\S]*\[=+> +\][\s\S]*\[=+> +\][\s\S]*0 of 2 layers/);
  goOn();
  await screen.shows(/2 of 2 layers[^\n]*\n[0-9a-f]{64}/);
});

able("run tells on standard error what it pulls, and with --quiet nothing", async () => {
  await using registry = await fakeRegistry();
  await using box = workspace();
  const served = await registry.add("app", "1", [{ file: "1" }, { other: noise(3000) }]);
  const name = `${registry.host}/app:1`;
  for (const verb of ["run", "create"]) {
    const told = await box.tsbox(verb, "--rm", "--entrypoint", "", name, "/none");
    assert.ok(told.stderr.startsWith(`image "${name}" is not in the store: pulling it\n`), told.stderr);
    for (const { digest } of served.layers) {
      assert.ok(told.stderr.includes(`${digest.slice(7, 19)}: pull complete\n`), told.stderr);
    }
    assert.is(/pull|layer|app/.test(told.stdout), false, told.stdout);
    const again = await box.tsbox(verb, "--rm", name, "/none");
    assert.is(/pull/.test(again.stderr), false, again.stderr);
    assert.is((await box.tsbox("rmi", "-f", name)).code, 0);
    const quiet = await box.tsbox(verb, "-q", "--rm", name, "/none");
    assert.is(quiet.stderr, again.stderr);
    assert.is((await box.tsbox("rmi", "-f", name)).code, 0);
  }
});

test.run();
