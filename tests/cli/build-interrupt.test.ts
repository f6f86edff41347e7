/** Builds that are told to stop, or are killed, in each of their phases: nothing stays behind the next command, and steps that ended are found again. */
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { leftovers, storeProblems } from "../support/store.ts";
import { type BuildWorkspace, buildWorkspace, count } from "./support/build.ts";

const able = need(["user-namespace", "not-root"], test);

const SIGNALS = ["SIGINT", "SIGTERM", "SIGKILL"] as const;

/** Processes that have this word among theirs. */
function processesWith(word: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) return false;
    const has = (file: string) => {
      try {
        return readFileSync(`/proc/${pid}/${file}`, "utf8").includes(word);
      } catch {
        return false; // gone, or not ours
      }
    };
    return has("cmdline") || has("environ");
  });
}

async function allGone(word: string): Promise<string[]> {
  for (let attempt = 0; attempt < 400 && processesWith(word).length > 0; attempt++) await sleep(25);
  return processesWith(word);
}

/** Starts a build, and sends the signal so many milliseconds after it has shown something. */
async function stopped(
  box: BuildWorkspace,
  args: string[],
  when: { shows?: RegExp; is?: () => boolean; after: number },
  signal: (typeof SIGNALS)[number],
): Promise<{ code: number; stderr: string }> {
  const child = box.start(["build", ...args, box.context]);
  let stderr = "";
  child.stderr?.on("data", (text) => {
    stderr += text;
  });
  child.stdout?.resume();
  const ended = new Promise<number>((resolve) =>
    child.on("close", (code, by) => resolve(code ?? 128 + (by ? constants.signals[by] : 0))),
  );
  const reached = () => (when.shows ? when.shows.test(stderr) : (when.is?.() ?? true));
  while (!reached() && child.exitCode === null) await sleep(2);
  await sleep(when.after);
  child.kill(signal);
  return { code: await ended, stderr };
}

const MARK = "31415926";

function lay(box: BuildWorkspace): void {
  const files = Object.fromEntries(Array.from({ length: 600 }, (_, n) => [`ctx/${n % 50}/f${n}`, `${n}`]));
  box.files(files);
  box.files({
    Dockerfile: [
      "FROM base",
      "RUN echo first > /first",
      "COPY ctx /ctx",
      `RUN (setsid sleep ${MARK} &) ; echo started; sleep 0.3; head -c 30000000 /dev/zero > /large; echo written`,
      "RUN rm /large && echo last > /last",
      "",
    ].join("\n"),
  });
}

/** Steps that a later build finds again: with their blobs, which are finished while the next step begins. */
function remembered(store: string): number {
  const folder = join(store, "cache/build/steps");
  return existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith(".")).length : 0;
}

/** Where the work is, and how many steps had ended by then at least. */
const PHASES: { name: string; when: { shows: RegExp; after: number }; ended: number }[] = [
  { name: "at the start", when: { shows: /^/, after: 60 }, ended: 0 },
  { name: "while files are copied", when: { shows: /#2 \[/, after: 0 }, ended: 1 },
  { name: "a little later", when: { shows: /#2 \[/, after: 40 }, ended: 1 },
  { name: "while a command runs", when: { shows: /#3 started/, after: 0 }, ended: 2 },
  { name: "while its layer is packed", when: { shows: /#3 written/, after: 60 }, ended: 2 },
];

for (const signal of SIGNALS) {
  able(`${signal} in each phase of a build`, async () => {
    for (const { name, when, ended } of signal === "SIGTERM" ? PHASES.slice(2) : PHASES) {
      await using box = buildWorkspace();
      const store = box.env.TSBOX_ROOT as string;
      lay(box);
      const { code } = await stopped(box, ["-t", "img"], when, signal);
      const kept = remembered(store);
      assert.is(code, 128 + constants.signals[signal], name);
      assert.equal(await allGone(box.dir), [], name);
      assert.is(count(readFileSync("/proc/mounts", "utf8"), box.dir), 0, name);
      if (signal !== "SIGKILL") assert.equal(leftovers(store), [], name);
      assert.not.match((await box.tsbox("images")).stdout, /img/, name);
      const again = await box.build(undefined);
      assert.is(again.code, 0, `${name}: ${again.stderr}`);
      assert.ok(count(again.stderr, "CACHED") >= (signal === "SIGKILL" ? kept : ended), `${name}: ${again.stderr}`);
      assert.is(
        await box.inside("sh", "-c", "cat /first /last; ls /ctx | wc -l; ls /large"),
        "1: first\nlast\n50\nls: /large: No such file or directory\n",
      );
      assert.equal(leftovers(store), [], name);
      assert.equal(storeProblems(store), [], name);
    }
  });
}

able("a context that is being read, and one that comes from standard input", async () => {
  for (const signal of SIGNALS) {
    await using box = buildWorkspace();
    const store = box.env.TSBOX_ROOT as string;
    box.files({ Dockerfile: "FROM scratch\nCOPY zeros /\n" });
    await box.program("truncate", ["-s", "3G", join(box.context, "zeros")]);
    const { code } = await stopped(box, [], { shows: /#1 \[/, after: 30 }, signal);
    assert.is(code, 128 + constants.signals[signal]);
    assert.equal(await allGone(box.dir), []);
    box.files({ Dockerfile: "FROM scratch\nENV A=1\n" });
    assert.is((await box.build(undefined)).code, 0);
    assert.equal(leftovers(store), []);
  }
});

able("results that are being written", async () => {
  await using box = buildWorkspace();
  const store = box.env.TSBOX_ROOT as string;
  box.files({ Dockerfile: "FROM scratch\nCOPY noise /\n" });
  await box.program("sh", ["-c", `head -c 80000000 /dev/urandom > ${join(box.context, "noise")}`]);
  assert.is((await box.build(undefined)).code, 0);
  for (const type of ["tar", "oci", "docker", "local"]) {
    for (const signal of SIGNALS) {
      const out = join(box.dir, `out-${type}-${signal}`);
      const begun = () => readdirSync(box.dir).some((name) => name.startsWith(`out-${type}-${signal}`));
      let code = 0;
      const whole = () => type !== "local" && existsSync(out);
      // it may have ended before the signal came: then once more
      for (let attempt = 0; attempt < 5 && (code === 0 || whole()); attempt++) {
        rmSync(out, { recursive: true, force: true });
        ({ code } = await stopped(box, ["-o", `type=${type},dest=${out}`], { is: begun, after: 0 }, signal));
      }
      assert.is(code, 128 + constants.signals[signal], type);
      assert.equal(await allGone(out), []);
      // a folder is filled in place, as docker does it; an archive is whole or not there
      assert.not.ok(whole(), type);
      if (type !== "local" && signal !== "SIGKILL") assert.not.ok(begun(), type);
      assert.is((await box.build(undefined)).code, 0);
      assert.equal(leftovers(store), []);
    }
  }
});

able("a secret that a killed build had in hand is not left in the store", async () => {
  await using box = buildWorkspace();
  const secret = randomBytes(16).toString("hex");
  box.files({
    secret,
    Dockerfile: `FROM base\nRUN --mount=type=secret,id=s cat /run/secrets/s > /dev/null; echo started; sleep ${MARK}\n`,
  });
  const { code } = await stopped(
    box,
    ["--secret", `id=s,src=${join(box.context, "secret")}`],
    { shows: /#1 started/, after: 0 },
    "SIGKILL",
  );
  assert.is(code, 137);
  assert.equal(await allGone(box.dir), []);
  box.files({ Dockerfile: "FROM base\nENV A=1\n" });
  await box.build(undefined);
  const found = await box.program("grep", ["-r", "-l", secret, box.env.TSBOX_ROOT as string]);
  assert.is(found.stdout, "");
});

test.run();
