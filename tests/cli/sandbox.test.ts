import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { ROOT, workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";

const ESM = `import { sandbox } from ${JSON.stringify(join(ROOT, "dist/index.mjs"))};\n`;

/** Runs a script of a user's, as a process of its own, and returns what it printed as JSON. */
async function script(code: string, prologue = ESM, ending = "mjs"): Promise<unknown> {
  await using box = workspace();
  const path = join(box.dir, `script.${ending}`);
  writeFileSync(path, prologue + code);
  const { code: status, stdout, stderr } = await box.program(process.execPath, [path]);
  assert.is(status, 0, stderr);
  assert.equal(containers(box.dir), [], "nothing is left in the store");
  return JSON.parse(stdout);
}

function containers(dir: string): string[] {
  const folder = join(dir, "store/containers");
  return existsSync(folder) ? readdirSync(folder) : [];
}

const it = need("user-namespace", test);

it("box.run() gives exit code and both outputs, from an ES module", async () => {
  const told = await script(`
    const box = await sandbox({ image: "base" });
    const result = await box.run(["sh", "-c", "echo out; echo err >&2; exit 3"]);
    await box.close();
    console.log(JSON.stringify(result));
  `);
  assert.equal(told, { exitCode: 3, stdout: "out\n", stderr: "err\n" });
});

it("sandbox() works from CommonJS", async () => {
  const told = await script(
    `(async () => {
      const box = await sandbox({ image: "base" });
      console.log(JSON.stringify((await box.run(["echo", "hi"])).stdout));
      await box.close();
    })();`,
    `const { sandbox } = require(${JSON.stringify(join(ROOT, "dist/index.cjs"))});\n`,
    "cjs",
  );
  assert.is(told, "hi\n");
});

it("box.run() starts each command fresh, box.exec() shares one container", async () => {
  const told = await script(`
    const box = await sandbox({ image: "base" });
    await box.run(["sh", "-c", "echo run > /tmp/x"]);
    const fresh = await box.run(["cat", "/tmp/x"]);
    await box.exec(["sh", "-c", "echo exec > /tmp/x"]);
    const shared = await box.exec(["cat", "/tmp/x"]);
    await box.close();
    console.log(JSON.stringify([fresh.exitCode, shared.stdout]));
  `);
  assert.equal(told, [1, "exec\n"]);
});

it("box.run() takes input, environment, working directory and user", async () => {
  const told = await script(`
    const box = await sandbox({ image: "base", env: { A: "1" } });
    const { stdout } = await box.run(["sh", "-c", "cat; echo $A $B; pwd; id -u"],
      { stdin: "in\\n", env: { B: "2" }, workdir: "/tmp", user: "0:0" });
    await box.close();
    console.log(JSON.stringify(stdout));
  `);
  assert.is(told, "in\n1 2\n/tmp\n0\n");
});

it("many runs at once do not disturb each other", async () => {
  const told = await script(`
    const box = await sandbox({ image: "base" });
    const all = await Promise.all(Array.from({ length: 24 }, (_, i) =>
      box.run(["sh", "-c", "echo " + i + " > /tmp/n; sleep 0.05; cat /tmp/n; ls /tmp | wc -l"])));
    await box.close();
    console.log(JSON.stringify(all.map((r) => r.stdout)));
  `);
  assert.equal(
    told,
    Array.from({ length: 24 }, (_, i) => `${i}\n1\n`),
  );
});

it("a large output arrives whole", async () => {
  const told = await script(`
    const box = await sandbox({ image: "base" });
    const { stdout } = await box.run(["sh", "-c", "yes 0123456789 | head -c 8000000"]);
    await box.close();
    console.log(JSON.stringify([stdout.length, stdout.slice(0, 12)]));
  `);
  assert.equal(told, [8_000_000, "0123456789\n0"]);
});

it("a timeout and an aborted signal end the command and reject", async () => {
  const told = await script(`
    const box = await sandbox({ image: "base" });
    const codes = [];
    for (const input of [() => ({ timeout: 100 }), () => ({ signal: AbortSignal.timeout(100) })]) {
      await box.run(["sleep", "60"], input()).then(() => codes.push("none"), (e) => codes.push(e.code === "TIMEOUT" ? e.message : e.name));
    }
    await box.run(["true"], { signal: AbortSignal.abort() }).catch((e) => codes.push(e.name));
    await box.close();
    console.log(JSON.stringify(codes));
  `);
  assert.equal(told, [`Cannot run "sleep": still running after 100 ms`, "TimeoutError", "AbortError"]);
});

it("faults are told as errors with a code and a hint", async () => {
  const told = (await script(`
    const failures = [];
    const note = (e) => failures.push([e.name, e.code ?? "", e.message]);
    const box = await sandbox({ image: "base" });
    await box.run(["no-such-program"]).catch(note);
    await box.run([]).catch(note);
    await box.run(["true"], { user: "nobodyhere" }).catch(note);
    await box.close();
    await box.run(["true"]).catch(note);
    await sandbox({ image: "base", nonsense: 1 }).catch(note);
    await sandbox({ image: "localhost:1/none" }).catch(note);
    console.log(JSON.stringify(failures));
  `)) as string[][];
  assert.is(told.length, 6);
  assert.match(told[0]?.[2] as string, /Cannot execute "no-such-program"/);
  assert.is(told[1]?.[0], "TypeError");
  assert.match(told[2]?.[2] as string, /Cannot run as user "nobodyhere"/);
  assert.is(told[3]?.[1], "CLOSED");
  assert.match(told[4]?.[2] as string, /unknown option "nonsense"/);
  assert.match(told[5]?.[2] as string, /Cannot pull/);
});

it("a script that is killed takes its sandboxes with it", async () => {
  await using box = workspace();
  const path = join(box.dir, "script.mjs");
  const marker = `marker${process.pid}`;
  writeFileSync(
    path,
    `${ESM}
    const box = await sandbox({ image: "base" });
    await box.exec(["true"]);
    void box.exec(["sleep", "${marker.length}77"]);
    void box.run(["sh", "-c", "sleep 977 # ${marker}"]);
    setTimeout(() => process.kill(process.pid, "SIGKILL"), 700);`,
  );
  await box.program(process.execPath, [path]);
  await until(() => containers(box.dir).length === 0);
  assert.equal(containers(box.dir), []);
  assert.is(running(marker), false);
});

it("a script that ends without closing its sandbox ends", async () => {
  await using box = workspace();
  const path = join(box.dir, "script.mjs");
  writeFileSync(
    path,
    `${ESM} const box = await sandbox({ image: "base" }); await box.exec(["true"]); console.log("done");`,
  );
  const { code, stdout } = await box.program(process.execPath, [path]);
  assert.equal([code, stdout], [0, "done\n"]);
  await until(() => containers(box.dir).length === 0);
  assert.equal(containers(box.dir), []);
});

it("binds show host folders inside", async () => {
  await using box = workspace();
  const folder = join(box.dir, "shared");
  mkdirSync(folder);
  writeFileSync(join(folder, "a"), "from outside");
  const path = join(box.dir, "script.mjs");
  writeFileSync(
    path,
    `${ESM}
    const box = await sandbox({ image: "base", binds: [{ source: ${JSON.stringify(folder)}, target: "/mnt/x" }] });
    process.stdout.write((await box.run(["sh", "-c", "cat /mnt/x/a; echo in > /mnt/x/b"])).stdout);
    await box.close();`,
  );
  const { stdout } = await box.program(process.execPath, [path]);
  assert.is(stdout, "from outside");
  assert.is(readFileSync(join(folder, "b"), "utf8"), "in\n");
});

/** Whether any process has the word on its command line. */
function running(word: string): boolean {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .some((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(word);
      } catch {
        return false;
      }
    });
}

test.run();
