/**
 * A store whose file system cannot be the upper of the kernel's overlay: what is tried finds it, and everything works all the same. Each file system
 * is mounted in a namespace of an ordinary user, and refuses something else.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { TSBOX, workspace } from "../support/tsbox.ts";

const box = workspace({ TSBOX_STORAGE_DRIVER: "" });
test.after(() => box[Symbol.asyncDispose]());

const OVERLAY = "mkdir l u w; mount -t overlay -o lowerdir=l,upperdir=u,workdir=w,userxattr none store";

/** How the store's file system comes to `store` in the current folder, a tmpfs. */
const FILE_SYSTEMS: Record<string, string> = {
  "on an overlay, where no whiteout device can be made": OVERLAY,
  "on a ramfs, which has no extended attributes": "mount -t ramfs none store",
  "where neither can be had, as on some NFS": `mount -t ramfs none . ; cd "$PWD"; mkdir store; ${OVERLAY}`,
};

/** Runs a script where `$T` is tsbox on such a store. */
function onStore(mounts: string, script: string) {
  const all = `set -e; mkdir -p ns; mount -t tmpfs none ns; cd ns; mkdir store; ${mounts}; set +e; T="${TSBOX} --root $PWD/store"\n${script}`;
  return box.program("unshare", ["-Urm", "sh", "-c", all], { cwd: box.dir });
}

const CHANGES = "rm -r /home /root /bin/vi; mkdir /root; echo a >/root/x; rm -r /var; mkdir /var; echo p >/var/p";
const TOLD = ["C /bin", "D /bin/vi", "D /home", "C /root", "A /root/x", "C /var", "A /var/p", "D /var/tmp"];

for (const [where, mounts] of Object.entries(FILE_SYSTEMS)) {
  const able = need(["user-namespace", "not-root", "overlay-memory"], test);

  able(`run, diff, commit and export work ${where}`, async () => {
    const { stdout, stderr } = await onStore(
      mounts,
      `$T run --name c base sh -c '${CHANGES}'
       echo "# driver"; $T info --format '{{.Driver}}'
       echo "# diff"; $T diff c
       $T commit -q c img >/dev/null
       echo "# image"; $T diff img
       echo "# inside"; $T run --rm img sh -c 'cat /root/x /var/p; ls /var /root; ls /home /bin/vi /var/tmp 2>/dev/null'
       echo "# again"; $T start -a c; $T cp c:/var/p - | tar xO
       echo "# export"; $T export c | tar t | grep -E '^(home|var|root)'
       $T rm -f c >/dev/null; $T system prune -af >/dev/null
       echo "# left"; ls store/tmp store/containers | grep -v :`,
    );
    const parts = sections(stdout);
    assert.equal(parts.driver, ["copy"], stderr);
    assert.equal(parts.diff, TOLD, stderr);
    assert.equal(parts.image, TOLD, stderr);
    assert.equal(parts.inside, ["a", "p", "/root:", "x", "", "/var:", "p"], stderr);
    assert.equal(parts.export, ["root/", "root/x", "var/", "var/p"]);
    assert.equal(parts.left, []);
  });

  able(`a build's layers hide what they removed ${where}`, async () => {
    const { stdout, stderr } = await onStore(
      mounts,
      `printf 'FROM base\\nRUN rm -rf /usr && mkdir /usr && touch /usr/own && rm /bin/vi\\nRUN touch /usr/later\\nCOPY --from=base /bin/vi /kept\\n' > Dockerfile
       $T build -q -t made . >/dev/null
       $T run --rm made sh -c 'ls /usr /kept; test -e /bin/vi || echo gone'
       $T run --rm -v "$PWD:/v:O" made sh -c 'rm /v/Dockerfile; ls /v'; test -f Dockerfile && echo stays`,
    );
    assert.match(stdout, /^\/kept\n\n\/usr:\nlater\nown\ngone\n/, stderr);
    assert.match(stdout, /stays\n$/, stderr);
  });
}

function sections(text: string): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  let lines: string[] = [];
  for (const line of text.replace(/\n$/, "").split("\n")) {
    const name = /^# (.*)/.exec(line)?.[1];
    if (name === undefined) lines.push(line);
    else {
      lines = [];
      found[name] = lines;
    }
  }
  return Object.fromEntries(Object.entries(found).map(([name, all]) => [name, trimmed(all)]));
}

function trimmed(lines: string[]): string[] {
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}

const able = need(["user-namespace", "not-root", "overlay-memory"], test);

able("what was found is remembered, told by doctor, and tried anew on another kernel", async () => {
  const { stdout, stderr } = await onStore(
    OVERLAY,
    `$T run --rm base true; cat store/storage.json
     sed -i 's/"kernel":"[^"]*"/"kernel":"4.0.0"/; s/"driver":"copy"/"driver":"overlay"/' store/storage.json
     $T info --format '{{.Driver}}: {{.DriverReason}}'; $T doctor`,
  );
  const remembered = JSON.parse(stdout.split("\n", 1)[0] ?? "");
  assert.is(remembered.driver, "copy", stderr);
  assert.match(stdout, /^copy: EINVAL, the mount fails on this directory's file system \(overlayfs\)$/m);
  assert.match(stdout, /^weak +storage-driver .*copy: each container starts with a copy of its image/m);
  assert.match(stdout, /^weak +overlay-userxattr/m);
});

able("the host's own root is run with its changes in memory", async () => {
  const { stdout, stderr } = await onStore(OVERLAY, "$T run --rm host sh -c 'echo q >/usr/q; cat /usr/q'; ls /usr/q");
  assert.is(stdout, "q\n", stderr);
});

able("a driver that cannot work, and that was asked for, says what is in the way", async () => {
  const { stderr } = await onStore(OVERLAY, "TSBOX_STORAGE_DRIVER=overlay $T run --rm base true; echo $? >&2");
  assert.match(stderr, /put the store on a local disk or tmpfs/);
  assert.match(stderr, /125\n$/);
  const unknown = await box.tsbox("--storage-driver", "btrfs", "run", "base", "true");
  assert.is(unknown.code, 125);
  assert.match(unknown.stderr, /known are overlay, fuse-overlayfs, copy/);
});

able("a copy that was cut off is made again, and one that is complete is left alone", async () => {
  const { stdout, stderr } = await onStore(
    "true",
    `export TSBOX_STORAGE_DRIVER=copy
     $T create --name c base sh -c 'echo ran >>/runs; cat /runs; test ! -e /rest && echo clean' >/dev/null
     D=$(echo store/containers/*); mkdir -p $D/upper/rest/of/a/copy
     $T start -a c; $T start -a c; ls $D | grep copied`,
  );
  assert.is(stdout, "ran\nclean\nran\nran\nclean\nupper.copied\n", stderr);
});

able("what a container wrote is measured, not the copy that it lives in", async () => {
  const { stdout, stderr } = await onStore(
    "true",
    `export TSBOX_STORAGE_DRIVER=copy
     $T run --name c base sh -c 'head -c 5000 /dev/zero >/five'; $T inspect --size c --format '{{.SizeRw}}'`,
  );
  assert.is(stdout, "5000\n", stderr);
});

able("a content that changed under its old time and size is a change in a copied tree", async () => {
  const { stdout, stderr } = await onStore(
    "true",
    `export TSBOX_STORAGE_DRIVER=copy
     $T run --name c base sh -c 'touch -r /etc/passwd /tmp/t; sed s/r/R/g /etc/passwd > /tmp/p; cat /tmp/p > /etc/passwd; touch -r /tmp/t /etc/passwd; rm /tmp/t /tmp/p; touch -d @0 /tmp'
     $T diff c`,
  );
  assert.match(stdout, /^C \/etc\/passwd$/m, stderr);
});

const served = need(["fuse-overlayfs", "user-namespace", "not-root"], test);

served("fuse-overlayfs serves a container and leaves with it, and nobody sees it inside", async () => {
  const env = { TSBOX_STORAGE_DRIVER: "fuse-overlayfs" };
  const ran = await box.run(
    ["run", "--name", "f", "base", "sh", "-c", `${CHANGES}; ps | grep -c '[f]use-over'; grep ' / ' /proc/mounts`],
    { env },
  );
  assert.match(ran.stdout, /^0\nfuse-overlayfs \/ fuse\.fuse-overlayfs /, ran.stderr);
  assert.equal((await box.run(["diff", "f"], { env })).stdout.trim().split("\n"), TOLD);
  assert.is((await box.run(["commit", "-q", "f", "fimg"], { env })).code, 0);
  // what one driver made, another reads
  const { stdout } = await box.run(["run", "--rm", "fimg", "sh", "-c", "cat /root/x; ls /var"], {
    env: { TSBOX_STORAGE_DRIVER: "copy" },
  });
  assert.is(stdout, "a\np\n");
  assert.equal(
    commandLines().filter((line) => line.startsWith("fuse-overlayfs") && line.includes(box.dir)),
    [],
  );
});

/** Of every process that we may look at. */
function commandLines(): string[] {
  return readdirSync("/proc").flatMap((name) => {
    try {
      return /^\d+$/.test(name) ? [readFileSync(join("/proc", name, "cmdline"), "latin1")] : [];
    } catch {
      return []; // it has ended
    }
  });
}

test.run();
