import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseArgv } from "../../../runner/cli/argv.ts";
import { EXEC_FLAGS } from "../../../runner/cli/process-flags.ts";
import { readExec } from "../../../runner/cli/read-process.ts";
import { readRun } from "../../../runner/cli/read-run.ts";
import { RUN_FLAGS } from "../../../runner/cli/run-flags.ts";

const folder = mkdtempSync(join(tmpdir(), "tsbox-cli-"));
const around = { env: { HOST: "h", EMPTY: "" }, cwd: folder };

function read(...argv: string[]) {
  return readRun(parseArgv(argv, RUN_FLAGS, { command: "tsbox run", cutAtFirstWord: true }), around);
}

test("run without flags asks for the defaults", () => {
  assert.equal(read("alpine", "echo", "-n").options, {
    source: { image: "alpine" },
    command: ["echo", "-n"],
    detach: false,
    interactive: false,
    tty: false,
    env: [],
    unsetEnv: [],
    replace: false,
    rm: false,
    network: "none",
    mounts: [],
    volumesFrom: [],
    imageVolumes: "anonymous",
    readOnly: false,
    init: false,
    capAdd: [],
    capDrop: [],
    noNewPrivileges: true,
    ulimits: [],
    labels: {},
    pull: "missing",
    printPlan: false,
    signalProxy: true,
  });
});

test("run takes every flag to its field", () => {
  const { options } = read(
    ..."-dit --rm --name web --replace --pull newer --platform linux/arm64/v8 --print-plan -u 1:2 -w /a/../b".split(
      " ",
    ),
    ..."--init --ulimit nofile=10:20 --tmpfs /t:size=1m --read-only --shm-size 1k --net host -h box".split(" "),
    ..."--userns keep-id:uid=5 --cap-add net_admin,sys_time --cap-drop ALL --cidfile id --timeout 5".split(" "),
    ..."--stop-signal int --stop-timeout -1 -l a=b -v ./x:/y:ro --volumes-from web:ro --image-volume tmpfs --entrypoint".split(
      " ",
    ),
    '["a","b"]',
    "img",
  );
  assert.equal(options, {
    source: { image: "img" },
    command: [],
    detach: true,
    interactive: true,
    tty: true,
    env: [],
    unsetEnv: [],
    user: "1:2",
    workdir: "/b",
    replace: true,
    rm: true,
    network: "host",
    mounts: [
      {
        type: "bind",
        source: join(folder, "x"),
        target: "/y",
        readOnly: true,
        recursive: true,
        createSource: true,
        flags: [],
        overlay: false,
        chown: false,
      },
      { type: "tmpfs", target: "/t", readOnly: false, options: ["size=1m"], flags: [] },
    ],
    volumesFrom: [{ container: "web", readOnly: true }],
    imageVolumes: "tmpfs",
    readOnly: true,
    init: true,
    capAdd: ["CAP_NET_ADMIN", "CAP_SYS_TIME"],
    capDrop: ["ALL"],
    noNewPrivileges: true,
    ulimits: [{ name: "nofile", soft: 10, hard: 20 }],
    labels: { a: "b" },
    pull: "newer",
    printPlan: true,
    name: "web",
    entrypoint: ["a", "b"],
    hostname: "box",
    shmSize: 1024,
    userns: { mode: "keep-id", uid: 5 },
    platform: { os: "linux", architecture: "arm64" },
    timeout: 5000,
    cidfile: join(folder, "id"),
    stopSignal: "SIGINT",
    stopTimeout: Number.POSITIVE_INFINITY,
    signalProxy: true,
  });
});

test("variables come from files, then from flags, then from the host", () => {
  writeFileSync(join(folder, "env"), "A=1\nHOST\nNONE\n");
  const { options } = read("--env-file", "env", "-e", "A=2", "-e", "HOST", "-e", "EMPTY", "-e", "GONE", "img");
  assert.equal(options.env, ["A=1", "HOST=h", "A=2", "HOST=h", "EMPTY="]);
  assert.equal(options.unsetEnv, ["GONE"]);
});

test("labels come from files and flags", () => {
  writeFileSync(join(folder, "labels"), "# none\na=1\nb\n");
  assert.equal(read("--label-file", "labels", "-l", "a=2", "img").options.labels, { a: "2", b: "" });
});

test("a root directory takes the place of the image", () => {
  const { options } = read("--rootfs", "root", "sh", "-c", "x");
  assert.equal(options.source, { rootfs: join(folder, "root") });
  assert.equal(options.command, ["sh", "-c", "x"]);
});

test("options without effect are warned of", () => {
  const { warnings, options } = read("--security-opt", "label=disable", "--security-opt", "seccomp=unconfined", "img");
  assert.equal(warnings, ["--security-opt label=disable has no effect here"]);
  assert.is(options.seccomp, "unconfined");
  assert.not("withoutEffect" in options);
});

test("what cannot be together is refused", () => {
  assert.throws(() => read("--rootfs", "r", "--pull", "always"), /--rootfs together with --pull/);
  assert.throws(() => read("--replace", "img"), /--replace without --name/);
  assert.throws(() => read("-v", "/a:/x", "--tmpfs", "/x/", "img"), /two mounts name it/);
  assert.throws(() => read("--rm"), /it needs an image/);
  assert.throws(() => read("--env-file", "missing", "img"), /Cannot read "missing": it does not exist/);
  assert.throws(() => read("-v", "a/b:/x", "img"), /Cannot read --volume "a\/b:\/x": "a\/b" is not a volume name/);
});

test("no timeout is no limit", () => {
  assert.not("timeout" in read("--timeout", "0", "img").options);
});

test("exec takes a container, a command and its own flags", () => {
  const rules = { command: "tsbox exec", cutAtFirstWord: true };
  assert.equal(readExec(parseArgv(["-it", "-u", "nobody", "web", "sh", "-c", "id"], EXEC_FLAGS, rules), around), {
    detach: false,
    interactive: true,
    tty: true,
    env: [],
    unsetEnv: [],
    user: "nobody",
    container: "web",
    command: ["sh", "-c", "id"],
    privileged: false,
  });
});

test.after(() => rmSync(folder, { recursive: true }));
test("run passes on what was said of the registry, and only that", () => {
  const connection = (...flags: string[]) => read(...flags, "img").options.connection;
  assert.is(connection(), undefined);
  assert.equal(connection("--tls-verify"), { tlsVerify: true });
  assert.throws(() => connection("--authfile", "a"), /it does not exist/);
  writeFileSync(join(folder, "a"), "{}");
  assert.equal(
    connection("--tls-verify=false", "--authfile", "a", "--cert-dir", "/c", "--retry", "0", "--retry-delay", "2s"),
    {
      tlsVerify: false,
      authfile: join(folder, "a"),
      certDir: "/c",
      retries: 0,
      retryDelay: 2000,
    },
  );
});

test.run();
