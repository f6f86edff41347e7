import { test } from "uvu";
import * as assert from "uvu/assert";
import { familiarName, familiarRepository, formatReference, parseReference } from "../../../runner/oci/reference.ts";

const DIGEST = `sha256:${"0123456789abcdef".repeat(4)}`;

test("parseReference() fills in what people leave out, as Docker does", () => {
  const cases: [written: string, full: string][] = [
    ["busybox", "docker.io/library/busybox:latest"],
    ["busybox:1.37", "docker.io/library/busybox:1.37"],
    ["me/app", "docker.io/me/app:latest"],
    ["docker.io/busybox", "docker.io/library/busybox:latest"],
    ["index.docker.io/me/app", "docker.io/me/app:latest"],
    ["localhost/app", "localhost/app:latest"],
    ["localhost:5000/app:1", "localhost:5000/app:1"],
    ["registry.example/a/b/c", "registry.example/a/b/c:latest"],
    ["127.0.0.1:5000/app", "127.0.0.1:5000/app:latest"],
    ["[::1]:5000/app", "[::1]:5000/app:latest"],
    [`busybox@${DIGEST}`, `docker.io/library/busybox@${DIGEST}`],
    [`busybox:1@${DIGEST}`, `docker.io/library/busybox:1@${DIGEST}`],
    ["a__b/c-d.e", "docker.io/a__b/c-d.e:latest"],
  ];
  for (const [written, full] of cases) assert.is(formatReference(parseReference(written)), full);
});

test("familiarName() leaves out what parseReference() fills in", () => {
  for (const name of ["busybox:latest", "me/app:1", "localhost:5000/app:1", `busybox@${DIGEST}`]) {
    assert.is(familiarName(parseReference(name)), name);
  }
  assert.is(familiarRepository(parseReference("docker.io/library/busybox:1")), "busybox");
});

test("a familiar name leads to the same image again", () => {
  for (const name of ["docker.io/library/a/b", "docker.io/library/busybox", "docker.io/me/app"]) {
    const reference = parseReference(name);
    assert.equal(parseReference(familiarName(reference)), reference);
  }
});

test("parseReference() refuses what is no reference, and says why", () => {
  const cases: [written: string, why: RegExp][] = [
    ["", /empty/],
    ["Busybox", /capital|upper/],
    ["me/App", /capital|upper/],
    ["busybox:", /tag/],
    ["busybox:-1", /tag/],
    [`busybox:${"a".repeat(129)}`, /tag/],
    ["busybox@sha256:12", /digest/],
    ["busybox@md5:0123", /digest/],
    ["a//b", /empty/],
    ["/a", /.+/],
    ["a/", /.+/],
    ["-a", /.+/],
    ["a..b", /.+/],
    ["a b", /.+/],
    ["https://registry.example/app", /.+/],
    ["0123456789abcdef".repeat(4), /id/i],
    [`${"a/".repeat(200)}a`, /longer/],
  ];
  for (const [written, why] of cases) {
    assert.throws(
      () => parseReference(written),
      (error: Error) => why.test(error.message) && /^Cannot use/.test(error.message),
      written,
    );
  }
});

test("control characters of a refused reference are made visible", () => {
  assert.throws(
    () => parseReference("a\u001b[2J"),
    (error: Error) => !error.message.includes("\u001b"),
  );
});

test.run();
