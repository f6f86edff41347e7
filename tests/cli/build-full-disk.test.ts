/** Builds on a disk that has no room for them: a file system of a few megabytes, mounted in a namespace of the test's own. */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { has, need } from "../support/need.ts";
import { TSBOX } from "../support/tsbox.ts";
import { type BuildWorkspace, buildWorkspace } from "./support/build.ts";

const able = need(["user-namespace", "not-root"], test);

/** Runs a script with the store on a new tmpfs of so many megabytes. */
async function onSmallDisk(box: BuildWorkspace, megabytes: number, script: string) {
  const store = box.env.TSBOX_ROOT as string;
  mkdirSync(store);
  const setup = `mount -t tmpfs -o size=${megabytes}m,mode=700 none '${store}'; cd '${box.context}'`;
  const tools = `
tsbox() { '${TSBOX}' "$@"; }
# leaves so many kilobytes of the disk
fill() { free=$(df -k --output=avail '${store}' | tail -1); [ $free -le $1 ] || head -c $(((free - $1) * 1024)) /dev/zero > '${store}/filler'; }
state() { echo "tmp:$(ls -A '${store}/tmp' | grep -v partial | tr '\\n' ' ') mounts:$(grep -c '${store}/' /proc/self/mountinfo) images:$(tsbox images --format '{{.Repository}}' | sort | tr '\\n' ' ')"; }
`;
  const maps = has("subids") ? ["--map-auto"] : [];
  const { stdout, stderr } = await box.program("unshare", [
    "-Urm",
    ...maps,
    "sh",
    "-c",
    `${setup}\n${tools}\n${script}`,
  ]);
  return { lines: stdout.trim().split("\n"), stderr };
}

const STEPS: Record<string, string> = {
  COPY: "FROM base\nRUN echo kept > /kept\nCOPY large /large\n",
  RUN: "FROM base\nRUN echo kept > /kept\nRUN head -c 6000000 /dev/urandom > /large && sync\n",
  ADD: "FROM base\nRUN echo kept > /kept\nADD large.tar /large\n",
};

for (const [kind, text] of Object.entries(STEPS)) {
  able(`${kind} on a disk that is full, wherever that strikes`, async () => {
    await using box = buildWorkspace();
    writeFileSync(join(box.context, "large"), randomBytes(6_000_000));
    await box.program("tar", ["-C", box.context, "-cf", join(box.context, "large.tar"), "large"]);
    writeFileSync(join(box.context, "Dockerfile"), text);
    // from no room at all to all but enough for tree and blob
    const { lines, stderr } = await onSmallDisk(
      box,
      40,
      `
printf 'FROM base\\nRUN echo kept > /kept\\n' | tsbox build -q -t first - > /dev/null
for left in 0 64 512 3000 6200 9000; do
  rm -f "$TSBOX_ROOT/filler"
  fill $left
  echo "## $left" >&2
  tsbox build -t img . > /dev/null; echo "code:$? $(state)"
done
rm "$TSBOX_ROOT/filler"
tsbox build -t img . >/dev/null; echo "code:$? $(state)"
tsbox run --rm img cat /kept
`,
    );
    assert.is(lines.at(-1), "kept", stderr);
    assert.is(lines.at(-2), "code:0 tmp: mounts:0 images:base first img ", stderr);
    for (const line of lines.slice(0, -2)) {
      assert.is(line, "code:1 tmp: mounts:0 images:base first ", `${lines.join("\n")}\n${stderr}`);
    }
    for (const part of stderr.split(/^## /m).slice(1, 7)) {
      assert.match(part, /disk (of the store )?is full|No space left on device/i);
      assert.match(part, /^hint: .*(room|full)/m);
    }
    // what had ended is not lost
    assert.match(stderr.split(/^## /m).at(-1) ?? "", /CACHED/);
  });
}

able("results that do not fit where they are written to", async () => {
  await using box = buildWorkspace();
  writeFileSync(join(box.context, "large"), randomBytes(3_000_000));
  writeFileSync(join(box.context, "Dockerfile"), "FROM scratch\nCOPY large /large\n");
  const out = join(box.dir, "out");
  mkdirSync(out);
  const { lines, stderr } = await onSmallDisk(
    box,
    60,
    `
mount -t tmpfs -o size=1m none '${out}'
for type in local tar oci docker; do
  dest='${out}'/$type
  tsbox build -o type=$type,dest=$dest . > /dev/null; echo "code:$? $(state)"
  [ $type = local ] || ls -A '${out}' | grep -v local >&2
  rm -rf '${out}'/local
done
tsbox build --cache-to type=local,dest='${out}'/cache -t img . > /dev/null; echo "code:$? $(state)"
`,
  );
  const images = ["", "", "<none> ", "<none> ", "<none> img "];
  assert.equal(
    lines.map((line) => line.replace(/images:.*/, "")),
    images.map(() => "code:1 tmp: mounts:0 "),
    stderr,
  );
  assert.is(stderr.match(/disk is full|No space left/g)?.length, 5, stderr);
  assert.not.match(stderr, /\.part/);
});

test.run();
