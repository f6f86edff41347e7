/**
 * The benchmarks of `make bench`: tsbox beside its peers, interleaved, medians and the ratio to a named base. A contestant whose
 * first run fails is named and left out, never silently timed. Started by scripts/bench.sh.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { benchPorts } from "./bench-ports.ts";

const work = process.env.BENCH_WORK as string;
const cache = process.env.BENCH_CACHE as string;
const runs = Number(process.env.BENCH_RUNS) || 20;
/** Of what takes long. */
const few = Math.max(3, Math.round(runs / 4));
const top = resolve(import.meta.dirname, "..");
const tsbox = join(top, "dist/tsbox");
const rootfs = join(work, "rootfs");
const port = 20000 + (process.pid % 20000);
const started: ChildProcess[] = [];

interface Contestant {
  name: string;
  argv: string[];
  /** Runs before each timed run. */
  before?: string[];
}

const has = (program: string) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
const sh = (script: string) =>
  execFileSync("bash", ["-ec", script], { cwd: work, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

function timed(argv: string[]): number {
  const start = process.hrtime.bigint();
  const result = spawnSync(argv[0] as string, argv.slice(1), { cwd: work, stdio: ["ignore", "ignore", "pipe"] });
  if (result.status !== 0)
    throw new Error(`${argv.join(" ")}: ${result.status} ${result.stderr?.toString().slice(-300)}`);
  return Number(process.hrtime.bigint() - start) / 1e6;
}

/** Runs the contestants in turn, so that a slow moment of the machine falls on all of them. */
function compare(title: string, contestants: Contestant[], base: string, rounds = runs): void {
  const ready = contestants.filter(({ name, argv, before }) => {
    try {
      if (before) timed(before);
      timed(argv);
      return true;
    } catch (error) {
      console.error(`  left out: ${name}: ${(error as Error).message}`);
      return false;
    }
  });
  const samples = new Map(ready.map(({ name }) => [name, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < ready.length; i++) {
      const { name, argv, before } = ready[(i + round) % ready.length] as Contestant;
      if (before) {
        timed(before);
        // what was removed, and what the last one wrote, is not this one's to pay
        timed(["sync", "-f", work]);
      }
      samples.get(name)?.push(timed(argv));
    }
  }
  table(title, "ms", samples, base);
}

function table(title: string, unit: string, samples: Map<string, number[]>, base: string): void {
  const reference = median(samples.get(base) ?? []);
  console.log(`\n== ${title}`);
  console.log(
    `${"contestant".padEnd(28)} ${"n".padStart(4)} ${`median ${unit}`.padStart(14)} ${"p10".padStart(9)} ${"p90".padStart(9)}   x ${base}`,
  );
  for (const [name, values] of samples) {
    const sorted = [...values].sort((a, b) => a - b);
    const at = (p: number) => (sorted[Math.floor((sorted.length - 1) * p)] ?? Number.NaN).toFixed(2);
    const ratio = (median(values) / reference).toFixed(2);
    console.log(
      `${name.padEnd(28)} ${String(values.length).padStart(4)} ${median(values).toFixed(2).padStart(14)} ${at(0.1).padStart(9)} ${at(0.9).padStart(9)}   ${ratio}`,
    );
  }
}

const bwrap = [
  "bwrap",
  "--unshare-all",
  "--die-with-parent",
  "--ro-bind",
  rootfs,
  "/",
  "--proc",
  "/proc",
  "--dev",
  "/dev",
  "--tmpfs",
  "/tmp",
  "/bin/true",
];
const podman = (...words: string[]) => ["podman", "--runtime", "crun", ...words];

function prepareRootfs(): void {
  if (existsSync(join(rootfs, "bin/true"))) return;
  mkdirSync(rootfs, { recursive: true });
  sh(
    `${tsbox} run --rm base tar -C / -c bin etc root tmp usr var | tar -x -C rootfs; mkdir -p rootfs/proc rootfs/dev rootfs/sys`,
  );
  if (has("podman")) sh("tar -C rootfs -c . | podman import - localhost/bench >/dev/null");
}

function start(): void {
  prepareRootfs();
  compare(
    "start of `true`, network none",
    [
      { name: "node -e 0 (floor)", argv: ["node", "-e", "0"] },
      // a global flag is for Node: the launcher leaves the whole line to it
      { name: "tsbox run --rm, by Node", argv: [tsbox, "--debug", "run", "--rm", "--network", "none", "base", "true"] },
      { name: "tsbox run --rm, again", argv: [tsbox, "run", "--rm", "--network", "none", "base", "true"] },
      { name: "bwrap", argv: bwrap },
      ...(has("podman")
        ? [{ name: "podman run --rm", argv: podman("run", "--rm", "--network", "none", "localhost/bench", "true") }]
        : []),
    ],
    "node -e 0 (floor)",
  );
}

function exec(): void {
  prepareRootfs();
  sh(`${tsbox} run -d --replace --name bench base sleep 600`);
  if (has("podman"))
    sh("podman --runtime crun run -d --replace --name bench --network none localhost/bench sleep 600 || true");
  compare(
    "exec `true` in a running container",
    [
      { name: "node -e 0 (floor)", argv: ["node", "-e", "0"] },
      { name: "tsbox exec", argv: [tsbox, "exec", "bench", "true"] },
      ...(has("podman") ? [{ name: "podman exec", argv: podman("exec", "bench", "true") }] : []),
    ],
    "node -e 0 (floor)",
  );
  sh(`${tsbox} rm -f bench; podman rm -f -t 0 bench >/dev/null 2>&1 || true`);
}

/** Fifty containers in the background, one start after the other. */
function detached(): void {
  prepareRootfs();
  const fifty = (command: string, words: string) =>
    `for i in $(seq 50); do ${command} run -d --name bench-$i ${words} >/dev/null; done`;
  const clear = (command: string) =>
    `${command} rm -f ${command === "podman" ? "-t 0" : ""} $(seq -f bench-%g 50) >/dev/null 2>&1 || true`;
  compare(
    "50 detached starts",
    [
      {
        name: "tsbox run -d, 50 times",
        argv: ["sh", "-c", fifty(tsbox, "base sleep 600")],
        // the first of the fifty is Node's
        before: ["sh", "-c", `${clear(tsbox)}; rm -rf "$HOME/.local/share/tsbox/kept"`],
      },
      ...(has("podman")
        ? [
            {
              name: "podman run -d, 50 times",
              argv: ["sh", "-c", fifty("podman --runtime crun", "--network none localhost/bench sleep 600")],
              before: ["sh", "-c", clear("podman")],
            },
          ]
        : []),
    ],
    "tsbox run -d, 50 times",
    1,
  );
  const both = [tsbox, ...(has("podman") ? ["podman"] : [])];
  const each = (act: (command: string) => Pick<Contestant, "argv" | "before">): Contestant[] =>
    both.map((command) => ({ name: command === tsbox ? "tsbox" : command, ...act(command) }));
  const all = "$(seq -f bench-%g 50)";
  const base = has("podman") ? "podman" : "tsbox";
  const starts = each((command) => ({
    argv: ["sh", "-c", `${command} start ${all} >/dev/null`],
    before: ["sh", "-c", `${command} kill ${all} >/dev/null 2>&1; ${command} wait ${all} >/dev/null`],
  }));
  compare("50 containers started by one command", starts, base, few);
  const removals = each((command) => ({
    argv: ["sh", "-c", clear(command)],
    before: [
      "sh",
      "-c",
      command === tsbox
        ? fifty(tsbox, "base sleep 600")
        : fifty("podman --runtime crun", "--network none localhost/bench sleep 600"),
    ],
  }));
  sh(both.map(clear).join(";"));
  compare("rm -f of 50 that run, by one command", removals, base, few);
}

/** Two hundred containers that run: how long until all do, what supervises each, and the list of them. */
function many200(): void {
  prepareRootfs();
  const name = "bench-many";
  const clear = `${tsbox} rm -f $(seq -f ${name}-%g 200) >/dev/null 2>&1 || true`;
  sh(clear);
  const seconds =
    timed(["sh", "-c", `seq 200 | xargs -P 2 -I{} ${tsbox} run -d --name ${name}-{} base sleep 600 >/dev/null`]) / 1000;
  const monitors = sh(`${tsbox} inspect --format '{{.State.MonitorPid}}' $(seq -f ${name}-%g 200)`).trim().split("\n");
  const kib = (key: string) =>
    monitors.map((pid) =>
      Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1]),
    );
  table(
    `200 containers at once, started in ${seconds.toFixed(1)} s: what supervises each`,
    "KiB",
    new Map([
      ["monitor PSS", kib("Pss")],
      ["monitor RSS", kib("Rss")],
    ]),
    "monitor PSS",
  );
  compare(
    "ps with 200 containers",
    [
      { name: "node -e 0 (floor)", argv: ["node", "-e", "0"] },
      { name: "tsbox ps", argv: [tsbox, "ps"] },
    ],
    "node -e 0 (floor)",
  );
  sh(clear);
}

/** Containers a second from one script, one after the other and several at once. */
async function script(): Promise<void> {
  prepareRootfs();
  const { sandbox } = (await import(join(top, "dist/index.mjs"))) as typeof import("../runner/index.ts");
  await using box = await sandbox({ image: "base" });
  const ours = async () => {
    const { exitCode } = await box.run(["true"]);
    if (exitCode !== 0) throw new Error(`true ended with ${exitCode}`);
  };
  const theirs = () =>
    new Promise<void>((done, fail) => {
      const child = spawn(bwrap[0] as string, bwrap.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
      child.stdout.resume();
      child.stderr.resume();
      child.on("error", fail).on("close", (code) => (code === 0 ? done() : fail(new Error(`bwrap: ${code}`))));
    });
  for (const atOnce of [1, 2, 8]) {
    const samples = new Map<string, number[]>([
      ["tsbox (box.run)", []],
      ...(has("bwrap") ? [["bwrap", []] as [string, number[]]] : []),
    ]);
    for (let block = 0; block < 6; block++) {
      for (const name of samples.keys()) {
        let left = 50;
        const begin = performance.now();
        await Promise.all(
          Array.from({ length: atOnce }, async () => {
            while (left-- > 0) await (name === "bwrap" ? theirs() : ours());
          }),
        );
        // the first block warms caches up
        if (block > 0) samples.get(name)?.push(50_000 / (performance.now() - begin));
      }
    }
    table(`sandboxes a second from one script, ${atOnce} at once`, "1/s", samples, "bwrap");
  }
}

async function registry(): Promise<string> {
  const address = `127.0.0.1:${port}`;
  const config = join(work, "registry.yml");
  writeFileSync(
    config,
    `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${work}/registry}}\nhttp: {addr: "${address}"}\n`,
  );
  started.push(spawn("docker-registry", ["serve", config], { stdio: "ignore" }));
  for (let round = 0; round < 50; round++) {
    if (spawnSync("curl", ["-fsS", `http://${address}/v2/`], { stdio: "ignore" }).status === 0) return address;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error("docker-registry did not start");
}

/** A Debian root of 170 MB, made once: mmdebstrap takes a minute. */
function debianTar(): string {
  const tar = join(cache, "debian.tar");
  if (!existsSync(tar)) throw new Error(`make it first: mmdebstrap --variant=minbase bookworm ${tar}`);
  return tar;
}

/** The Debian image, and one with three layers more of this machine's own programs (about 700 MB): OCI archives, made once. */
function pulledImages(): Record<string, string> {
  const tar = debianTar();
  const [debian, big] = [join(work, "debian-oci.tar"), join(work, "big-oci.tar")];
  const scratch = join(work, "pulled");
  sh(`${tsbox} --root ${scratch} import ${tar} debian:bench >/dev/null`);
  sh(`${tsbox} --root ${scratch} save --format oci-archive -o ${debian} debian:bench`);
  // up to 180 MB of each folder: whole files, in the order of their names
  const take = (folder: string) =>
    `find ${folder} -xdev -type f -readable -size -20M -printf '%s %p\\n' 2>/dev/null | sort -k2 | awk '{t+=$1; if (t<180e6) print substr($0, index($0,$2))}'`;
  mkdirSync(join(work, "context"), { recursive: true });
  const folders = ["/usr/lib/x86_64-linux-gnu", "/usr/share", "/usr/bin"];
  for (const [i, folder] of folders.entries()) sh(`${take(folder)} | tar -cf context/${i}.tar -T - 2>/dev/null`);
  writeFileSync(
    join(work, "context/Dockerfile"),
    ["FROM debian:bench", ...folders.map((_, i) => `ADD ${i}.tar /layer-${i}/`)].join("\n"),
  );
  sh(`${tsbox} --root ${scratch} build -q -t big:bench context >/dev/null`);
  sh(`${tsbox} --root ${scratch} save --format oci-archive -o ${big} big:bench`);
  sh(`${tsbox} unshare rm -rf ${scratch} context`);
  return { debian, big };
}

async function pull(): Promise<void> {
  const address = await registry();
  for (const [name, archive] of Object.entries(pulledImages())) {
    const image = `${address}/${name}:latest`;
    sh(`skopeo copy -q --dest-tls-verify=false --dest-compress-format gzip oci-archive:${archive} docker://${image}`);
    pullOne(`${address}/v2/${name}/blobs`, image);
    sh(`rm -f ${archive}`);
  }
}

function pullOne(blobs: string, image: string): void {
  const clean = (folder: string) => [tsbox, "unshare", "rm", "-rf", join(work, folder)];
  const store = ["--root", join(work, "p"), "--runroot", join(work, "pr"), "--storage-driver", "overlay"];
  const { layers } = JSON.parse(sh(`skopeo inspect --raw --tls-verify=false docker://${image}`)) as {
    layers: { digest: string }[];
  };
  const files = layers.map(({ digest }, i) => {
    sh(`curl -fsS http://${blobs}/${digest} > layer-${i}.gz; gzip -dc layer-${i}.gz > layer-${i}.tar`);
    return `layer-${i}`;
  });
  const all = (ending: string) => files.map((file) => `${file}.${ending}`).join(" ");
  const size = (ending: string) =>
    Math.round(files.reduce((sum, file) => sum + statSync(join(work, `${file}.${ending}`)).size, 0) / 1e6);
  const shell = (script: string) => ["sh", "-c", script];
  compare(
    `pull of ${layers.length} layer(s), ${size("tar")} MB, ${size("gz")} MB gzipped, from a registry on the loopback`,
    [
      { name: "gzip -dc (floor)", argv: shell(`gzip -dc ${all("gz")} > /dev/null`) },
      { name: "sha256sum of both (floor)", argv: shell(`sha256sum ${all("gz")} ${all("tar")}`) },
      {
        name: "tar -x (floor)",
        argv: shell(`mkdir x; for f in ${all("tar")}; do tar -C x -xf $f 2>/dev/null || true; done`),
        before: shell("chmod -R u+rwX x 2>/dev/null; rm -rf x"),
      },
      { name: "tsbox pull", argv: [tsbox, "--root", join(work, "t"), "pull", "-q", image], before: clean("t") },
      ...(has("podman")
        ? [
            {
              name: "podman pull",
              argv: podman(...store, "pull", "-q", "--tls-verify=false", image),
              before: clean("p"),
            },
          ]
        : []),
      ...(has("umoci")
        ? [
            {
              name: "skopeo + umoci unpack",
              argv: shell(
                `skopeo copy -q --src-tls-verify=false docker://${image} oci:u:l && umoci unpack --rootless --image u:l ub`,
              ),
              before: shell("chmod -R u+rwX ub 2>/dev/null; rm -rf u ub"),
            },
          ]
        : []),
    ],
    "podman pull",
    few,
  );
  sh(`chmod -R u+rwX x ub 2>/dev/null; rm -rf x u ub layer-*`);
  for (const folder of ["t", "p"]) timed(clean(folder));
}

/** The Debian image in the forms that people have: a docker-archive as `podman save` writes it, and an OCI archive by gzip. */
function debianArchives(): { docker: string; oci: string } {
  const tar = debianTar();
  const [docker, oci] = [join(work, "debian-docker.tar"), join(work, "debian-gzip.tar")];
  if (existsSync(docker) && existsSync(oci)) return { docker, oci };
  sh(`${tsbox} import ${tar} debian:bench >/dev/null`);
  sh(`${tsbox} save --format oci-archive -o debian-plain.tar debian:bench`);
  sh(`rm -f ${docker} ${oci}`);
  sh(`skopeo copy -q oci-archive:debian-plain.tar docker-archive:${docker}:localhost/debian:bench`);
  sh(
    `skopeo copy -q --dest-compress-format gzip oci-archive:debian-plain.tar oci-archive:${oci}:localhost/debian:bench`,
  );
  return { docker, oci };
}

const podmanStore = ["--root", join(work, "p"), "--runroot", join(work, "pr"), "--storage-driver", "overlay"];
const clean = (folder: string) => [tsbox, "unshare", "rm", "-rf", join(work, folder)];

async function load(): Promise<void> {
  for (const [form, path] of Object.entries(debianArchives())) {
    const ours = [tsbox, "--root", join(work, "t"), "load", "-q", "-i", path];
    compare(
      `load of a ${form}-archive of Debian (${Math.round(statSync(path).size / 1e6)} MB)`,
      [
        { name: "sha256sum (floor)", argv: ["sha256sum", path] },
        { name: "tsbox load", argv: ours, before: clean("t") },
        ...(has("podman")
          ? [{ name: "podman load", argv: podman(...podmanStore, "load", "-q", "-i", path), before: clean("p") }]
          : []),
      ],
      "podman load",
      few,
    );
    sh(clean("t").join(" "));
    console.log(`largest resident set of tsbox: ${Math.round((await maxRss(ours)) / 1024)} MiB`);
  }
}

async function save(): Promise<void> {
  const { docker, oci } = debianArchives();
  const name = "localhost/debian:bench";
  for (const [stored, path] of [
    ["plain", docker],
    ["gzip", oci],
  ] as const) {
    sh(`${clean("t").join(" ")}; ${clean("p").join(" ")}`);
    sh(`${tsbox} --root ${join(work, "t")} load -q -i ${path}`);
    if (has("podman")) sh(podman(...podmanStore, "load", "-q", "-i", path).join(" "));
    for (const format of ["docker-archive", "oci-archive"]) {
      const ours = [tsbox, "--root", join(work, "t"), "save", "--format", format, "-o", join(work, "ours.tar"), name];
      const theirs = podman(...podmanStore, "save", "-q", "--format", format, "-o", join(work, "theirs.tar"), name);
      compare(
        `save of Debian, whose layer was ${stored}, as ${format}`,
        [
          { name: "cat (floor)", argv: ["sh", "-c", `cat ${path} > floor.tar`], before: ["rm", "-f", "floor.tar"] },
          { name: "tsbox save", argv: ours, before: ["rm", "-f", "ours.tar"] },
          ...(has("podman") ? [{ name: "podman save", argv: theirs, before: ["rm", "-f", "theirs.tar"] }] : []),
        ],
        "podman save",
        few,
      );
      console.log(`largest resident set of tsbox: ${Math.round((await maxRss(ours)) / 1024)} MiB`);
    }
  }
}

/** KiB; the kernel keeps the maximum, so that looking now and then is enough. */
async function maxRss(argv: string[]): Promise<number> {
  const child = spawn(argv[0] as string, argv.slice(1), { cwd: work, stdio: "ignore" });
  let most = 0;
  const look = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
      most = Math.max(most, Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0));
    } catch {
      // ended
    }
  }, 5);
  await new Promise((done) => child.on("close", done));
  clearInterval(look);
  return most;
}

const MANY_FILES =
  "mkdir /many; cd /many; i=0; while [ $i -lt 100 ]; do mkdir $i; j=0; while [ $j -lt 100 ]; do seq $((i*j)) $((i*j+500)) >$i/$j; j=$((j+1)); done; i=$((i+1)); done";
const CHANGED: [name: string, title: string, script: string][] = [
  ["files", "10,000 files of 2 kB", MANY_FILES],
  ["big", "one file of 500 MB that does not compress", "head -c 500000000 /dev/urandom >/big"],
];

/** The same container for both, made once. */
function changed(name: string, script: string): void {
  sh(`${tsbox} run --replace --name ${name} base sh -c '${script}'`);
  if (has("podman"))
    sh(
      `podman --runtime crun run --replace --name ${name} --network none localhost/bench sh -c '${script}' >/dev/null`,
    );
}

function removeChanged(name: string): void {
  sh(`${tsbox} rm -f ${name}; podman rm -f -t 0 ${name} >/dev/null 2>&1 || true`);
}

/** podman leaves the layer uncompressed; tsbox's is ready to be pushed. */
function commit(): void {
  prepareRootfs();
  for (const [name, title, script] of CHANGED) {
    changed(name, script);
    compare(
      `commit of ${title}`,
      [
        {
          name: "tsbox commit",
          argv: [tsbox, "commit", "-q", name, "bench:made"],
          before: ["sh", "-c", `${tsbox} rmi -f bench:made 2>/dev/null || true`],
        },
        ...(has("podman")
          ? [
              {
                name: "podman commit",
                argv: podman("commit", "-q", name, "localhost/made"),
                before: ["sh", "-c", "podman rmi -f localhost/made >/dev/null 2>&1 || true"],
              },
            ]
          : []),
      ],
      "podman commit",
      few,
    );
    removeChanged(name);
  }
}

function diff(): void {
  prepareRootfs();
  changed("files", MANY_FILES);
  compare(
    "diff of 10,000 changes",
    [
      { name: "node -e 0 (floor)", argv: ["node", "-e", "0"] },
      { name: "tsbox diff", argv: [tsbox, "diff", "files"] },
      ...(has("podman") ? [{ name: "podman diff", argv: podman("diff", "files") }] : []),
    ],
    "podman diff",
    Math.max(3, Math.round(runs / 2)),
  );
  removeChanged("files");
}

/** What stays beside a detached container, from /proc. */
function memory(): void {
  prepareRootfs();
  const kib = (pid: number, key: string) =>
    Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1]);
  const rss: [string, number[]][] = [];
  sh(`${tsbox} run -d --replace --name bench base sleep 600`);
  const monitor = Number(sh(`${tsbox} inspect --format '{{.State.MonitorPid}}' bench`));
  rss.push(["tsbox monitor RSS", [kib(monitor, "Rss")]], ["tsbox monitor PSS", [kib(monitor, "Pss")]]);
  sh(`${tsbox} rm -f bench`);
  if (has("podman")) {
    sh("podman --runtime crun run -d --replace --name bench --network none localhost/bench sleep 600");
    const conmon = Number(sh("cat $(podman inspect --format '{{.ConmonPidFile}}' bench)"));
    rss.push(["podman conmon RSS", [kib(conmon, "Rss")]], ["podman conmon PSS", [kib(conmon, "Pss")]]);
    sh("podman rm -f -t 0 bench");
  }
  table("what supervises a detached container", "KiB", new Map(rss), "podman conmon RSS");
}

/** Six steps in two stages, with 2,000 files copied: from nothing, all from the cache, with one file changed. */
function build(): void {
  const context = join(work, "context");
  sh(
    `rm -rf context; mkdir -p context/src; cd context/src; for i in $(seq 20); do mkdir d$i; for j in $(seq 100); do echo "file $i $j $RANDOM" > d$i/f$j; done; done`,
  );
  writeFileSync(
    join(context, "Dockerfile"),
    [
      "FROM localhost/debian AS build",
      "RUN mkdir -p /out && echo one > /out/one",
      "COPY src /src",
      "RUN cat /src/*/* | sha256sum > /out/sum",
      "FROM localhost/debian",
      "COPY --from=build /out /out",
      "RUN test -s /out/sum && echo done > /done",
      'CMD ["cat", "/out/sum"]',
    ].join("\n"),
  );
  const tar = debianTar();
  sh(`${tsbox} import ${tar} localhost/debian >/dev/null`);
  const others = ["podman", "buildah"].filter(has);
  if (others.length > 0) sh(`podman import -q ${tar} localhost/debian >/dev/null`);
  const words = (name: string, ...more: string[]) => [
    ...(name === "podman"
      ? podman("build")
      : name === "buildah"
        ? ["buildah", "--runtime", "crun", "build"]
        : [tsbox, "build"]),
    ...(name === "tsbox" ? [] : ["--layers", "--pull=never"]),
    ...["--network", "none", "-q", "-t", `localhost/built-${name}`],
    ...more,
    context,
  ];
  const change = ["sh", "-c", `date +%s%N > ${context}/src/d7/f7`];
  const contestants = (before: string[] | undefined, ...more: string[]): Contestant[] =>
    ["tsbox", ...others].map((name) => ({
      name: `${name} build`,
      argv: words(name, ...more),
      ...(before && { before }),
    }));
  const rounds = few;
  compare("build of six steps, 2,000 files: cold", contestants(undefined, "--no-cache"), "podman build", rounds);
  compare("build: fully cached", contestants(undefined), "podman build", rounds);
  compare("build: one file of 2,000 changed", contestants(change), "podman build", rounds);
  many(context);
}

/** A context of 100,000 files: the first build reads all of them, the next only what changed. */
function many(context: string): void {
  sh(
    `rm -rf ${context}/src; mkdir ${context}/src; cd ${context}/src; for i in $(seq 100); do mkdir d$i; (cd d$i; seq 1000 | split -l 1 -a 4 - f); done`,
  );
  writeFileSync(join(context, "Dockerfile"), "FROM localhost/debian\nCOPY src /src\n");
  // what is younger than a tick of the clock is not remembered
  sh("sleep 1");
  const once = timed([tsbox, "build", "-q", "-t", "localhost/many", context]);
  compare(
    `build of a context of 100,000 files (the first took ${Math.round(once)} ms)`,
    [
      { name: "nothing changed", argv: [tsbox, "build", "-q", "-t", "localhost/many", context] },
      {
        name: "hashes forgotten",
        argv: [tsbox, "build", "-q", "-t", "localhost/many", context],
        before: ["sh", "-c", `rm -rf ${process.env.HOME}/.local/share/tsbox/cache/build/hashes`],
      },
    ],
    "hashes forgotten",
    3,
  );
  sh(`rm -rf ${context}`);
}

const groups: Record<string, () => void | Promise<void>> = {
  load,
  save,
  start,
  exec,
  detached,
  ps: many200,
  script,
  pull,
  build,
  commit,
  diff,
  memory,
  ports: () => benchPorts(tsbox, port + 100, Math.min(runs, 5), table),
};
const asked = process.argv.slice(2);
for (const name of asked) if (!groups[name]) throw new Error(`no group "${name}": ${Object.keys(groups).join(", ")}`);
try {
  for (const [name, group] of Object.entries(groups)) {
    if (asked.length > 0 && !asked.includes(name)) continue;
    try {
      await group();
    } catch (error) {
      console.error(`\n== ${name}: ${(error as Error).message}`);
      process.exitCode = 1;
    }
  }
} finally {
  for (const child of started) child.kill();
}
