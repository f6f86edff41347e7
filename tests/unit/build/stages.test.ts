import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseDockerfile } from "../../../runner/build/dockerfile/parse.ts";
import { planStages, type StageOptions } from "../../../runner/build/stages.ts";

const amd64 = { os: "linux", architecture: "amd64" };

function plan(text: string, options: Partial<StageOptions> = {}) {
  return planStages(parseDockerfile(text, "Dockerfile"), {
    buildArgs: new Map(),
    buildPlatform: amd64,
    targetPlatform: { os: "linux", architecture: "arm64", variant: "v8" },
    contexts: [],
    ...options,
  });
}

test("only the stages that the target needs are built, in their order", () => {
  const text =
    "FROM x AS a\nFROM y AS b\nFROM a AS c\nCOPY --from=b /f /\nFROM z AS unused\nFROM scratch\nCOPY --from=2 /f /\n";
  assert.equal(plan(text).order, [0, 1, 2, 4]);
  assert.equal(plan(text, { target: "B" }).order, [1]);
  assert.equal(plan(text, { target: "0" }).order, [0]);
});

test("mounts of RUN need stages too", () => {
  assert.equal(plan("FROM x AS a\nFROM y\nRUN --mount=from=a,target=/a true\n").order, [0, 1]);
});

test("an argument before the first FROM names the image; build arguments and defaults", () => {
  const text = "ARG BASE=alpine\nARG TAG=${BASE}-1\nFROM ${BASE}:${TAG:-x}\n";
  assert.equal(plan(text).target.base, { kind: "image", name: "alpine:alpine-1" });
  assert.equal(plan(text, { buildArgs: new Map([["BASE", "busybox"]]) }).target.base, {
    kind: "image",
    name: "busybox:busybox-1",
  });
});

test("the platform of the build is known in FROM", () => {
  const { target } = plan("FROM --platform=$BUILDPLATFORM golang-${TARGETARCH}${TARGETVARIANT}\n");
  assert.is(target.platform, "linux/amd64");
  assert.equal(target.base, { kind: "image", name: "golang-arm64v8" });
});

test("a name that is empty once expanded is refused", () => {
  assert.throws(() => plan("ARG X\nFROM $X\n"), /2:6: the image's name is empty/);
});

test("a stage's name hides an image's, and --build-context hides both", () => {
  assert.equal(plan("FROM x AS alpine\nFROM alpine\n").target.base, { kind: "stage", stage: 0 });
  assert.equal(plan("FROM x AS alpine\nFROM alpine\n", { contexts: ["alpine"] }).target.base, {
    kind: "image",
    name: "alpine",
  });
});

test("a cycle, a stage that is not there and a FROM that is missing are refused", () => {
  assert.throws(
    () => plan("FROM x AS a\nCOPY --from=b /f /\nFROM y AS b\nCOPY --from=a /f /\n"),
    /need each other: b → a → b/,
  );
  assert.throws(() => plan("FROM x\nCOPY --from=5 /f /\n"), /2:6: there is no stage 5/);
  assert.throws(() => plan("FROM x\n", { target: "q" }), /no stage "q"/);
  assert.throws(() => plan("RUN x\nFROM y\n"), /RUN stands before the first FROM/);
  assert.throws(() => plan("# nothing\n"), /has no FROM/);
});

test.run();
