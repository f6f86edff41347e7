/** What a person sees of a build: in a real terminal, under tmux. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { leftovers } from "../support/store.ts";
import { TSBOX } from "../support/tsbox.ts";
import { until } from "../support/until.ts";
import { type BuildWorkspace, buildWorkspace } from "./support/build.ts";
import { resizing, terminal } from "./support/terminal.ts";

const able = need("user-namespace", test);
const shown = need(["user-namespace", "not-root", "tmux"], test);

/** Says a line five times a second, and waits a while after those that are looked at. */
const talk = (count: number, end: string, looked: number[] = []) =>
  `for i in $(seq ${count}); do echo "say $i"; case $i in ${[0, ...looked].join("|")}) sleep 3;; *) sleep 0.2;; esac; done; ${end}`;

async function world(dockerfile: string): Promise<BuildWorkspace> {
  const box = buildWorkspace();
  box.files({ Dockerfile: dockerfile, f: "f\n" });
  // the base image is there: a terminal that waits for it shows nothing of the build
  await box.tsbox("run", "--rm", "base", "true");
  return box;
}

/** The command's own lines, which may be wrapped, do not count. */
const below = (lines: string[]) => lines.slice(lines.findIndex((line) => line.startsWith(" => ")));

const build = (box: BuildWorkspace, ...words: string[]) =>
  `${TSBOX} build ${words.join(" ")} ${box.context}; echo END$?`;

shown("steps at work with their time and last words; done ones are one line", async () => {
  await using box = await world(`FROM base\nCOPY f /f\nRUN ${talk(20, "true", [10])}\nRUN echo quick\n`);
  await using screen = await terminal(box, 70, 20);
  await screen.type(build(box), "Enter");
  await screen.shows(
    /^ => \[1\/3\] COPY f \/f {2}\d+\.\ds\n\[\+\] \d\.\ds, 1 steps done\n => \[2\/3\] RUN for i.*… {2}\d\.\ds\n => => say \d/m,
  );
  await screen.shows(/say 9\n => => say 10$/m);
  const lines = (await screen.screen()).filter((line) => line.startsWith(" => => "));
  assert.is(lines.length, 6, lines.join("\n"));
  await screen.shows(/END0/);
  const end = below(await screen.screen());
  assert.match(end[0] ?? "", /^ => \[1\/3\] COPY f \/f/);
  assert.match(end[1] ?? "", /^ => \[2\/3\] RUN for i.*… {2}\d+\.\ds$/);
  assert.match(end[2] ?? "", /^ => \[3\/3\] RUN echo quick {2}\d+\.\ds$/);
  assert.match(end[3] ?? "", /^sha256:/);
  assert.is(end.filter((line) => /\[\+\]|^ => => /.test(line)).length, 0, end.join("\n"));
});

shown("what is in the cache is told as such, and nothing moves", async () => {
  await using box = await world("FROM base\nCOPY f /f\nRUN echo quick\n");
  await using screen = await terminal(box, 70, 20);
  await box.build(undefined);
  await screen.type(build(box, "--explain"), "Enter");
  await screen.shows(
    / => CACHED \[1\/2\] COPY f \/f\n {4}why: in the cache\n => CACHED \[2\/2\] RUN echo quick\n {4}why: in the cache\nsha256:/,
  );
});

shown("a failing step's output is printed whole, once, and the reason after it", async () => {
  await using box = await world('FROM base\nRUN for i in $(seq 30); do echo "word $i"; done; exit 3\n');
  await using screen = await terminal(box, 70, 60);
  await screen.type(build(box), "Enter");
  await screen.shows(/END1/);
  const text = (await screen.screen()).join("\n");
  assert.match(
    text,
    / => ERROR \[1\/1\] RUN .*\n------\n > \[1\/1\] RUN[\s\S]*:\nword 1\nword 2\n[\s\S]*word 29\nword 30\n------\ntsbox: /,
  );
  assert.match(text, /ended with status 3/);
  assert.not.match(text, /\[\+\]| => => /);
});

shown("Ctrl-C leaves the steps that ended, the prompt, and nothing else", async () => {
  await using box = await world(`FROM base\nCOPY f /f\nRUN ${talk(1000, "true", [3])}\n`);
  await using screen = await terminal(box, 70, 20);
  await screen.type(build(box), "Enter");
  await screen.shows(/say 3/);
  await screen.type("C-c");
  // the shell ends the line with the program
  await screen.shows(/\$$/);
  const lines = below(await screen.screen());
  assert.match(lines[0] ?? "", /^ => \[1\/2\] COPY f/);
  assert.match(lines[1] ?? "", /^ => CANCELED \[2\/2\] RUN for/);
  assert.is(lines.filter((line) => /\[\+\]|^ => => /.test(line)).length, 0, lines.join("\n"));
  await screen.type("stty -a | grep -o '[-]*echo ' | head -1", "Enter");
  await screen.shows(/^echo/m);
  await until(() => leftovers(box.env.TSBOX_ROOT as string).length === 0);
});

shown("a terminal that gets narrower and wider shows each line once", async () => {
  await resizing(async () => {
    await using box = await world(`FROM base\nCOPY f /f\nRUN ${talk(40, "true", [3, 12, 24])}\n`);
    await using screen = await terminal(box, 100, 20);
    await screen.type(build(box), "Enter");
    await screen.shows(/say 3/);
    await screen.resize(40, 20);
    await screen.shows(/say 12/);
    const narrow = await screen.screen();
    assert.is(narrow.filter((line) => /^\[\+\]/.test(line)).length, 1, narrow.join("\n"));
    assert.is(narrow.filter((line) => /^ => => say 12/.test(line)).length, 1, narrow.join("\n"));
    await screen.resize(120, 8);
    await screen.shows(/say 24/);
    const wide = await screen.screen();
    assert.is(wide.filter((line) => /^\[\+\]/.test(line)).length, 1, wide.join("\n"));
    assert.ok(wide.length <= 8);
    await screen.shows(/END0/);
  });
});

shown("stages side by side have a line each", async () => {
  await using box = await world(
    [
      "FROM base AS one",
      `RUN ${talk(15, "echo 1 > /one")}`,
      "FROM base AS two",
      `RUN ${talk(16, "echo 2 > /two")}`,
      "FROM scratch",
      "COPY --from=one /one /",
      "COPY --from=two /two /",
    ].join("\n"),
  );
  await using screen = await terminal(box, 80, 30);
  await screen.type(build(box), "Enter");
  await screen.shows(/^ => \[one 1\/1\] RUN[\s\S]*=> => say[\s\S]*^ => \[two 1\/1\] RUN[\s\S]*=> => say/m);
  await screen.shows(/END0/);
});

shown("control characters of a program's output do not get to the terminal, colours of a failed one do", async () => {
  await using box = await world(`FROM base\nRUN printf '\\033[31mred\\033[2J\\033[H\\n'; exit 1\n`);
  await using screen = await terminal(box, 80, 30);
  await screen.type("echo before", "Enter");
  await screen.type(build(box), "Enter");
  await screen.shows(/END1/);
  assert.match((await screen.screen()).join("\n"), /before[\s\S]*red\\x1b\[2J\\x1b\[H/);
});

able("elsewhere than on a terminal all is told in lines, as with --progress plain", async () => {
  await using box = await world("FROM base\nRUN echo quick\n");
  const plain = await box.build(undefined);
  assert.match(plain.stderr, /^#1 \[1\/1\] RUN echo quick\n#1 quick\n#1 DONE \d+\.\ds\n/);
  const forced = await box.build(undefined, ["--no-cache", "--progress", "tty"]);
  assert.match(forced.stderr, / => \[1\/1\] RUN echo quick/);
  assert.is(forced.code, 0);
});

shown("a terminal that can do nothing gets lines", async () => {
  await using box = await world("FROM base\nRUN echo quick\n");
  await using screen = await terminal(box, 80, 20);
  await screen.type(`TERM=dumb ${build(box)}`, "Enter");
  await screen.shows(/^#1 \[1\/1\] RUN echo quick\n#1 quick\n#1 DONE/m);
  await screen.shows(/END0/);
  await screen.type("clear", "Enter");
  await screen.shows(/^\$$/);
  await screen.type(build(box, "--no-cache", "--progress", "plain"), "Enter");
  await screen.shows(/^#1 \[1\/1\] RUN echo quick\n#1 quick\n#1 DONE[\s\S]*END0/m);
});

test.run();
