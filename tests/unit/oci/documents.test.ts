import { test } from "uvu";
import * as assert from "uvu/assert";
import { chainIDs } from "../../../runner/oci/chain.ts";
import type { Digest } from "../../../runner/oci/types.ts";
import { parseImageConfig, parseIndex, parseJson, parseManifest } from "../../../runner/oci/validate.ts";

const digest = (digit: string): Digest => `sha256:${digit.repeat(64)}`;
const descriptor = (digit: string) => ({ mediaType: "m", digest: digest(digit), size: 1 });
const manifest = { schemaVersion: 2, config: descriptor("1"), layers: [descriptor("2")] };
const config = { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [digest("a")] } };
const refuses = (work: () => unknown, why: RegExp) =>
  assert.throws(work, (error: Error) => /^Cannot (use|read) it: /.test(error.message) && why.test(error.message));

test("chainIDs() names a layer together with all below it", () => {
  // of the OCI image specification: ChainID(A|B) = Digest(ChainID(A) + " " + DiffID(B))
  assert.equal(chainIDs([]), []);
  assert.equal(chainIDs([digest("a")]), [digest("a")]);
  const [, second, third] = chainIDs([digest("a"), digest("b"), digest("c")]);
  assert.is(second, "sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c");
  assert.is.not(second, third);
  assert.is.not(chainIDs([digest("b"), digest("a")])[1], second);
});

test("parseJson() says when a web page came instead", () => {
  refuses(() => parseJson(Buffer.from("<html>"), "it"), /HTML/);
  refuses(() => parseJson(Buffer.from("{"), "it"), /JSON/);
  refuses(() => parseJson(Buffer.from("[]"), "it"), /object/);
});

test("parseManifest() refuses what it cannot be sure of, by name", () => {
  assert.is(parseManifest(manifest, "it").layers.length, 1);
  refuses(() => parseManifest({ ...manifest, schemaVersion: 1 }, "it"), /schema 1/);
  refuses(() => parseManifest({ ...manifest, mediaType: "application/json" }, "it"), /media type/);
  refuses(() => parseManifest({ schemaVersion: 2, layers: [] }, "it"), /descriptor/);
  refuses(() => parseManifest({ ...manifest, layers: {} }, "it"), /layers/);
  refuses(() => parseManifest({ ...manifest, layers: Array(10_000).fill(descriptor("2")) }, "it"), /layers/);
  refuses(() => parseManifest({ ...manifest, layers: [{ ...descriptor("2"), size: -1 }] }, "it"), /size/);
  const escaping = { ...descriptor("2"), digest: `sha256:${"../".repeat(21)}a` };
  refuses(() => parseManifest({ ...manifest, layers: [escaping] }, "it"), /sha256/);
});

test("parseIndex() refuses descriptors that are none", () => {
  refuses(() => parseIndex({ manifests: {} }, "it"), /manifests/);
  refuses(() => parseIndex({ manifests: [null] }, "it"), /descriptor/);
});

test("parseImageConfig() refuses what would reach execve or the file system otherwise", () => {
  assert.is(parseImageConfig(config, "it").os, "linux");
  refuses(() => parseImageConfig({ ...config, rootfs: {} }, "it"), /diff_ids/);
  refuses(() => parseImageConfig({ ...config, config: { Env: ["A=\0"] } }, "it"), /Env/);
  refuses(() => parseImageConfig({ ...config, config: { Cmd: "sh" } }, "it"), /Cmd/);
  refuses(() => parseImageConfig({ ...config, config: { WorkingDir: 1 } }, "it"), /WorkingDir/);
  refuses(() => parseImageConfig({ ...config, config: { Labels: ["a"] } }, "it"), /Labels/);
  refuses(() => parseImageConfig({ ...config, config: "sh" }, "it"), /config/);
  refuses(() => parseImageConfig({ ...config, history: "x" }, "it"), /history/);
  refuses(() => parseImageConfig({ ...config, history: [{ created_by: 1 }] }, "it"), /history/);
});

test("null stands for what is not there, as Go writes it", () => {
  const empty = { Env: null, Cmd: null, Entrypoint: null, Labels: null, Volumes: null };
  assert.ok(parseImageConfig({ ...config, config: empty, history: null }, "it"));
});

test.run();
