import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { freePort } from "../support/ports.ts";
import { startRegistry } from "../support/registry.ts";
import { PASSWORD, USER } from "../support/token-server.ts";
import { ROOT, runProgram } from "../support/tsbox.ts";
import { until } from "../support/until.ts";
import { type BuildWorkspace, buildWorkspace, count } from "./support/build.ts";

const APP = `import os, socket
from flask import Flask
app = Flask(__name__)

@app.route("/")
def hello():
    return "Hello " + os.environ["NAME"] + "! " + socket.gethostname()

app.run(host="0.0.0.0", port=80)
`;

const DOCKERFILE = `FROM PYTHON
WORKDIR /app
ADD . /app
RUN python3 -c 'import flask' && cat requirements.txt > /installed && mkdir /test && echo image > /test/f
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
  // of this machine's own release, from where its own packages come
  const sources = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"].find((path) => existsSync(path));
  const release = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "stable";
  const words = ["--quiet", "--variant=essential", "--include=python3-flask", release, unfinished];
  // a mirror that says nothing is one that is not there
  const make = ["200", "mmdebstrap", ...words, ...(sources ? [sources] : [])];
  const { code } = await runProgram("timeout", make).catch(() => ({ code: 1 }));
  if (code !== 0) {
    rmSync(unfinished, { force: true });
    return undefined;
  }
  renameSync(unfinished, made);
  return made;
}

need(["user-namespace", "mmdebstrap", "docker-registry", "curl"], test)(
  "the walkthrough: build, publish, commit, push, pull, run again",
  async () => {
    const root = await pythonRoot();
    if (root === undefined) {
      console.log("skip: the walkthrough: mmdebstrap has no packages to fetch");
      return;
    }
    await using box = buildWorkspace();
    await using registry = await startRegistry({ auth: "htpasswd" });
    const ok = async (...words: string[]) => {
      const result = await box.tsbox(...words);
      assert.is(result.code, 0, `tsbox ${words.join(" ")}: ${result.stderr}`);
      return result.stdout;
    };
    const python = `${registry.host}/python:3`;
    const refused = await box.tsbox("login", "-u", USER, "-p", "wrong", registry.host);
    assert.is.not(refused.code, 0);
    const login = await box.run(["login", "-u", USER, "--password-stdin", registry.host], { input: PASSWORD });
    assert.is(login.code, 0, login.stderr);
    await ok("import", root, python);
    await ok("push", "-q", python);
    await ok("rmi", python);
    box.files({ "app.py": APP, "requirements.txt": "Flask\n", Dockerfile: DOCKERFILE.replace("PYTHON", python) });

    await ok("build", "-t", "helloworld", box.context);
    const again = await box.tsbox("build", "-t", "helloworld", box.context);
    assert.is(count(again.stderr, "CACHED"), 6, again.stderr);
    assert.match(await ok("image", "ls"), /helloworld +latest/);

    const port = await freePort();
    const id = (await ok("run", "-d", "--name", "web", "-p", `${port}:80`, "helloworld")).trim();
    const hello = async () => (await box.program("curl", ["-fsS", `http://localhost:${port}/`])).stdout;
    await until(async () => (await hello()) !== "");
    assert.is(await hello(), `Hello World! ${id.slice(0, 12)}`);
    assert.match(await ok("ps"), new RegExp(`${id.slice(0, 12)}.*helloworld.*:${port}->80/tcp`));
    assert.match(await ok("port", "web"), new RegExp(`^80/tcp -> .*:${port}$`, "m"));
    await ok("exec", "web", "touch", "test.txt");

    await ok("commit", "web", "hello-new");
    const name = `${registry.host}/hello:1`;
    await ok("tag", "hello-new", name);
    await ok("push", "-q", name);
    await ok("rm", "-f", "web");
    await ok("rmi", name, "hello-new");
    await ok("pull", "-q", name);
    assert.match(await ok("run", "--rm", name, "ls", "/app"), /test\.txt/);
    const archive = join(box.dir, "hello.oci");
    await ok("save", "--format", "oci-dir", "-o", archive, name);
    assert.not.match(await lastLayer(box, archive), /etc\/(hosts|hostname|resolv\.conf)|^dev\//m);

    await ok("run", "-d", "--name", "ns", "-v", "/test", name, "sleep", "600");
    assert.is(await ok("exec", "ns", "cat", "/test/f", "/installed"), "image\nFlask\n");
    const host = Number(await ok("inspect", "--format", "{{.State.Pid}}", "ns"));
    const spaces = await box.program("ls", ["-l", `/proc/${host}/ns`]);
    for (const kind of ["mnt", "pid", "net", "user", "uts"]) assert.match(spaces.stdout, new RegExp(`${kind}:\\[`));
    await ok("rm", "-f", "-v", "ns");

    const stages = `FROM ${python} AS builder\nRUN echo artefact > /out\nFROM ${python}\nCOPY --from=builder /out /out\nCMD ["cat", "/out"]\n`;
    assert.is((await box.build(stages, ["--pull"])).code, 0);
    assert.is(await box.inside(), "artefact\n");
  },
);

/** Names in an image's topmost layer. */
async function lastLayer(box: BuildWorkspace, archive: string): Promise<string> {
  const blob = (digest: string) => join(archive, "blobs/sha256", digest.slice(7));
  const index = JSON.parse(readFileSync(join(archive, "index.json"), "utf8"));
  const manifest = JSON.parse(readFileSync(blob(index.manifests[0].digest), "utf8"));
  return (await box.program("tar", ["-tzf", blob(manifest.layers.at(-1).digest)])).stdout;
}

test.run();
