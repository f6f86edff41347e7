/** A terminal as it is for a person: under tmux, with real keys. */
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { TSBOX, workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";

const box = workspace();
const needs = need("tmux", test);
let servers = 0;

const tmux = (...args: string[]) => box.program("tmux", ["-S", `${box.dir}/tmux${servers}`, ...args]);
const screen = async () => (await tmux("capture-pane", "-p", "-t", "main", "-S", "-200")).stdout;
const type = (...keys: string[]) => tmux("send-keys", "-t", "main", ...keys);
/** Waits for what the screen shows; an own mark, so that the echo of the typed line is not taken for it. */
const shows = (pattern: RegExp) =>
  until(async () => pattern.test(await screen())).catch(async () => assert.match(await screen(), pattern));

/** A fresh shell in a terminal of 80 × 24. */
async function fresh(): Promise<void> {
  await tmux("kill-server");
  // a server that was told to end still holds its socket for a while
  servers++;
  const { code, stderr } = await tmux(
    "-f",
    "/dev/null",
    "new-session",
    "-d",
    "-s",
    "main",
    "-x",
    "80",
    "-y",
    "24",
    "env",
    "PS1=host> ",
    "sh",
  );
  assert.is(code, 0, stderr);
  await shows(/host>/);
}

let looks = 0;

async function terminalModes(): Promise<string> {
  // what the look before has left on the screen is not this one's
  const look = ++looks;
  await type(`clear; stty -a | tr '\\n' ' '; echo E$((1))ND${look}`, "Enter");
  const whole = new RegExp(`^speed[\\s\\S]*?(?=E1ND${look}\\n)`, "m");
  await shows(whole);
  return whole.exec(await screen())?.[0] ?? "";
}

test.before(async () => {
  await box.tsbox("run", "--rm", "base", "true");
});
test.after(async () => {
  await tmux("kill-server");
  await box[Symbol.asyncDispose]();
});

needs("run -it gives a prompt, a terminal and the window's size, which follows a resize", async () => {
  await fresh();
  await type(`${TSBOX} run --rm -it base sh`, "Enter");
  await shows(/\/ #$/m);
  await type("stty size; tty; echo t=$TERM", "Enter");
  await shows(/^24 80\n\/dev\/pts\/\d+\nt=\w+/m);
  await tmux("resize-window", "-t", "main", "-x", "100", "-y", "30");
  await until(async () => {
    await type("clear; stty size", "Enter");
    return /^30 100$/m.test(await screen());
  });
  await type("exit 3", "Enter");
  await shows(/host>$/m);
  await type("echo status=$?", "Enter");
  await shows(/^status=3$/m);
});

needs("Ctrl-C interrupts the program, and the shell goes on", async () => {
  await fresh();
  await type(`${TSBOX} run --rm -it base sh`, "Enter");
  await shows(/\/ #$/m);
  // typed too early, the key would be the shell's
  await type("sh -c 'echo started; exec sleep 600'", "Enter");
  await shows(/^started$/m);
  await type("C-c", "");
  await type("echo code=$?", "Enter");
  await shows(/^code=130$/m);
  await type("C-d", "");
  await shows(/host>$/m);
});

needs("Ctrl-Z and Ctrl-\\ reach the program, too", async () => {
  await fresh();
  await type(`${TSBOX} run --rm -it base sh`, "Enter");
  await shows(/\/ #$/m);
  // typed too early, the keys would be the shell's
  await type("sh -c 'echo started; exec cat'", "Enter");
  await shows(/^started$/m);
  await type("C-z", "");
  await shows(/Stopped/);
  await type("exit", "Enter", "exit", "Enter");
  await shows(/host>$/m);
});

needs("the terminal is afterwards as it was", async () => {
  await fresh();
  const before = await terminalModes();
  await type(`${TSBOX} run --rm -it base sh -c 'stty raw -echo; exit 4'`, "Enter");
  await shows(/E1ND\d+\n[\s\S]*host>$/m);
  assert.is(await terminalModes(), before);
});

needs("SIGKILL of the client restores the terminal, and ends a program that it has not left", async () => {
  await fresh();
  const before = await terminalModes();
  await type(`${TSBOX} run --name owned -it base sh`, "Enter");
  await shows(/\/ #$/m);
  const { stdout } = await tmux("display-message", "-p", "-t", "main", "#{pane_pid}");
  const client = readFileSync(`/proc/${stdout.trim()}/task/${stdout.trim()}/children`, "utf8").trim();
  process.kill(Number(client), "SIGKILL");
  await shows(/[Kk]illed/);
  await until(async () => (await terminalModes()) === before);
  await until(async () => (await box.tsbox("inspect", "--format", "{{.State.Status}}", "owned")).stdout === "exited\n");
});

needs("the detach keys leave the program running, and attach comes back to it", async () => {
  await fresh();
  const before = await terminalModes();
  await type(`${TSBOX} run --name left -it base sh`, "Enter");
  await shows(/\/ #$/m);
  await type("mark() { echo mark=4$1; }", "Enter");
  await type("C-p", "C-q");
  await shows(/host>$/m);
  assert.is(await terminalModes(), before);
  await type("echo status=$?", "Enter");
  await shows(/^status=0$/m);
  assert.is((await box.tsbox("inspect", "--format", "{{.State.Status}}", "left")).stdout, "running\n");
  await type(`clear; ${TSBOX} attach left`, "Enter");
  await type("", "Enter");
  await shows(/\/ #$/m);
  await type("mark 2", "Enter");
  await shows(/^mark=42$/m);
  await tmux("resize-window", "-t", "main", "-x", "90", "-y", "28");
  await until(async () => {
    await type("clear; stty size", "Enter");
    return /^28 90$/m.test(await screen());
  });
  await type("exit 6", "Enter");
  await shows(/host>$/m);
  await type("echo status=$?", "Enter");
  await shows(/^status=6$/m);
});

needs("a container starts again under a terminal with start -ai, and other detach keys can be named", async () => {
  await fresh();
  await type(`clear; ${TSBOX} start -ai --detach-keys ctrl-x,x left`, "Enter");
  await shows(/\/ #$/m);
  await type("echo here=$((40+2))", "Enter");
  await shows(/^here=42$/m);
  await type("C-x", "x");
  await shows(/host>$/m);
  assert.is((await box.tsbox("rm", "-f", "left")).code, 0);
});

needs("exec -it can be left, too", async () => {
  await box.tsbox("run", "-d", "--name", "base0", "base", "sleep", "600");
  await fresh();
  await type(`clear; ${TSBOX} exec -it base0 sh`, "Enter");
  await shows(/\/ #$/m);
  await type("exec sleep 301", "Enter");
  await until(async () => /sleep 301/.test((await box.tsbox("exec", "base0", "ps")).stdout));
  await type("C-p", "C-q");
  await shows(/host>$/m);
  assert.match((await box.tsbox("exec", "base0", "ps")).stdout, /sleep 301/);
  await box.tsbox("rm", "-f", "base0");
});

needs("a full-screen program is drawn again for whoever attaches, and follows the window", async () => {
  await box.tsbox("run", "-dit", "--name", "screen", "base", "vi", "/etc/passwd");
  await fresh();
  await type(`clear; ${TSBOX} attach screen`, "Enter");
  await shows(/^root:x?:0:0/m);
  await tmux("resize-window", "-t", "main", "-x", "100", "-y", "30");
  await shows(/^- \S*passwd[\s\S]*$/m);
  await type(":q!", "Enter");
  await shows(/host>$/m);
});

needs("SIGKILL of the monitor restores the terminal", async () => {
  await fresh();
  const before = await terminalModes();
  await type(`${TSBOX} run --rm --name victim -it base sh`, "Enter");
  await shows(/\/ #$/m);
  const { stdout } = await box.tsbox("inspect", "--format", "{{.State.MonitorPid}}", "victim");
  process.kill(Number(stdout), "SIGKILL");
  await shows(/[Kk]illed/);
  await until(async () => (await terminalModes()) === before);
});

needs("exec -it is a terminal in a running container", async () => {
  await box.tsbox("run", "-d", "--name", "web", "base", "sleep", "600");
  await fresh();
  await type(`${TSBOX} exec -it web sh`, "Enter");
  await shows(/\/ #$/m);
  await type("stty size; ps | grep -c 'sleep [6]00'", "Enter");
  await shows(/^24 80\n1$/m);
  await type("exit 5", "Enter");
  await shows(/host>$/m);
  await type("echo status=$?", "Enter");
  await shows(/^status=5$/m);
});

needs("run -dt has a terminal that nobody watches", async () => {
  await box.tsbox("run", "-dt", "--name", "quiet", "base", "sh", "-c", "tty; stty size");
  await box.tsbox("wait", "quiet");
  assert.match((await box.tsbox("logs", "quiet")).stdout, /^\/dev\/pts\/\d+\r?\n\d+ \d+\r?\n$/);
});

test.run();
