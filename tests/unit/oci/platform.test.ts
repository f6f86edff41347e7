import { test } from "uvu";
import * as assert from "uvu/assert";
import { choosePlatform, formatPlatform, parsePlatform, platformMatches } from "../../../runner/oci/platform.ts";
import type { Descriptor } from "../../../runner/oci/types.ts";

test("parsePlatform() reads what people write", () => {
  for (const [written, full] of [
    ["linux/amd64", "linux/amd64"],
    ["arm64", "linux/arm64"],
    ["linux/arm/v7", "linux/arm/v7"],
    ["x86_64", "linux/amd64"],
    ["linux/aarch64", "linux/arm64"],
  ] as const) {
    assert.is(formatPlatform(parsePlatform(written)), full);
  }
  for (const written of ["", "linux/", "a/b/c/d", "linux/a b", "/amd64"]) assert.throws(() => parsePlatform(written));
});

test("platformMatches() lets a variant that is not said be any", () => {
  const arm = { os: "linux", architecture: "arm" };
  assert.ok(platformMatches(arm, { ...arm, variant: "v6" }));
  assert.ok(platformMatches({ ...arm, variant: "v7" }, arm));
  assert.not(platformMatches({ ...arm, variant: "v7" }, { ...arm, variant: "v6" }));
  assert.not(platformMatches(arm, { os: "windows", architecture: "arm" }));
});

test("choosePlatform() takes the exact variant, never an attestation", () => {
  const entry = (architecture: string, variant?: string, os = "linux"): Descriptor => ({
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest: `sha256:${architecture}${variant ?? ""}`,
    size: 1,
    platform: { os, architecture, ...(variant !== undefined && { variant }) },
  });
  const list = [entry("unknown", undefined, "unknown"), entry("arm", "v6"), entry("arm", "v7"), entry("amd64")];
  assert.is(choosePlatform(list, parsePlatform("linux/arm/v7")), list[2]);
  assert.is(choosePlatform(list, parsePlatform("linux/amd64")), list[3]);
  assert.is(choosePlatform(list, parsePlatform("linux/s390x")), undefined);
});

test.run();
