import { spawn } from "node:child_process";
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { ROOT, runProgram } from "../support/tsbox.ts";
import { buildWorkspace, count } from "./support/build.ts";

const APP = `import socket, os
from flask import Flask
app = Flask(__name__)

@app.route("/")
def hello():
    return "Hello " + os.environ["NAME"] + "! " + socket.gethostname()

if __name__ == "__main__":
    with app.test_client() as client:
        print(client.get("/").get_data(as_text=True))
`;

const DOCKERFILE = `FROM PYTHON
WORKDIR /app
ADD . /app
RUN python3 -c 'import flask' && cat requirements.txt > /installed
EXPOSE 80
ENV NAME World
CMD ["python3", "app.py"]
`;

/** A Debian with python3-flask, made once a machine: mmdebstrap takes a minute. */
async function pythonRoot(): Promise<string | undefined> {
  const folder = join(ROOT, "build/test-images");
  const made = join(folder, "python-root.tar");
  if (existsSync(made)) return made;
  mkdirSync(folder, { recursive: true });
  const unfinished = `${made}.${process.pid}.tar`;
  const words = ["--quiet", "--variant=essential", "--include=python3-flask", "stable", unfinished];
  const { code } = await runProgram("mmdebstrap", words).catch(() => ({ code: 127 }));
  if (code !== 0) return undefined;
  renameSync(unfinished, made);
  return made;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

need(["user-namespace", "mmdebstrap", "docker-registry", "curl"], test)(
  "the walkthrough, but for the published port",
  async () => {
    const root = await pythonRoot();
    if (root === undefined) {
      console.log("skip: the walkthrough: mmdebstrap has no packages to fetch");
      return;
    }
    await using box = buildWorkspace();
    const port = await freePort();
    const config = join(box.dir, "registry.yml");
    writeFileSync(
      config,
      `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${box.dir}/registry}}\nhttp: {addr: "127.0.0.1:${port}"}\n`,
    );
    const registry = spawn("docker-registry", ["serve", config], { stdio: "ignore" });
    try {
      for (let round = 0; round < 100; round++) {
        if ((await box.program("curl", ["-fsS", `http://127.0.0.1:${port}/v2/`])).code === 0) break;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      const python = `127.0.0.1:${port}/python:3`;
      const ok = async (...words: string[]) => {
        const result = await box.tsbox(...words);
        assert.is(result.code, 0, `tsbox ${words.join(" ")}: ${result.stderr}`);
        return result.stdout;
      };
      await ok("import", root, python);
      await ok("push", "-q", python);
      await ok("rmi", python);
      box.files({ "app.py": APP, "requirements.txt": "Flask\n", Dockerfile: DOCKERFILE.replace("PYTHON", python) });

      await ok("build", "-t", "helloworld", box.context);
      const again = await box.tsbox("build", "-t", "helloworld", box.context);
      assert.is(count(again.stderr, "CACHED"), 6, again.stderr);
      assert.match(await ok("image", "ls"), /helloworld +latest/);
      assert.match(await ok("run", "--rm", "--hostname", "here", "helloworld"), /^Hello World! here$/m);

      const id = (await ok("run", "-d", "--name", "web", "helloworld", "sleep", "600")).trim();
      assert.match(await ok("ps"), new RegExp(`${id.slice(0, 12)}.*helloworld`));
      await ok("exec", "web", "touch", "test.txt");
      await ok("commit", "web", "hello-new");
      const name = `127.0.0.1:${port}/hello:1`;
      await ok("tag", "hello-new", name);
      await ok("push", "-q", name);
      await ok("rm", "-f", "web");
      await ok("rmi", name, "hello-new");
      await ok("pull", "-q", name);
      assert.match(await ok("run", "--rm", name, "ls", "/app"), /test\.txt/);
      assert.is((await ok("run", "--rm", name, "sh", "-c", "cat /installed")).trim(), "Flask");
      const pid = await ok("run", "-d", "--name", "ns", "-v", "/test", name, "sleep", "600");
      assert.ok(pid);
      const host = Number(await ok("inspect", "--format", "{{.State.Pid}}", "ns"));
      const spaces = await box.program("ls", ["-l", `/proc/${host}/ns`]);
      for (const kind of ["mnt", "pid", "net", "user", "uts"]) assert.match(spaces.stdout, new RegExp(`${kind}:\\[`));
      await ok("rm", "-f", "-v", "ns");

      const stages = `FROM ${python} AS builder\nRUN echo artefact > /out\nFROM ${python}\nCOPY --from=builder /out /out\nCMD ["cat", "/out"]\n`;
      assert.is((await box.build(stages)).code, 0);
      assert.is(await box.inside(), "artefact\n");
    } finally {
      registry.kill();
    }
  },
);

test.run();
