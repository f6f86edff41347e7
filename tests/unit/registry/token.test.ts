import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseRetryAfter } from "../../../runner/registry/registry-error.ts";
import { pause } from "../../../runner/registry/retry.ts";
import { parseChallenge } from "../../../runner/registry/token.ts";

test("parseChallenge() reads a bearer challenge, whatever its spacing and order", () => {
  const wanted = {
    scheme: "bearer",
    realm: "https://auth.example/token",
    service: "registry",
    scope: "repository:a/b:pull,push",
  };
  assert.equal(
    parseChallenge('Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:pull,push"'),
    wanted,
  );
  assert.equal(
    parseChallenge('bearer  scope="repository:a/b:pull,push" , service=registry, realm="https://auth.example/token"'),
    wanted,
  );
});

test("parseChallenge() prefers a token to a password, and knows nothing else", () => {
  assert.is(parseChallenge('Basic realm="x", Bearer realm="https://a.b/"')?.scheme, "bearer");
  assert.equal(parseChallenge('Basic realm="a \\"b\\""'), { scheme: "basic", realm: 'a "b"' });
  assert.equal(parseChallenge("Basic"), { scheme: "basic" });
  assert.is(parseChallenge("Negotiate"), undefined);
  assert.is(parseChallenge(""), undefined);
});

test("parseRetryAfter() reads seconds and moments", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  assert.is(parseRetryAfter("7", now), 7000);
  assert.is(parseRetryAfter("Thu, 01 Jan 2026 00:00:05 GMT", now), 5000);
  assert.is(parseRetryAfter("Thu, 01 Jan 1970 00:00:00 GMT", now), 0);
  assert.is(parseRetryAfter("soon", now), undefined);
  assert.is(parseRetryAfter(undefined, now), undefined);
});

test("pause() doubles, is less by chance up to a half, and has an end", () => {
  assert.is(pause(100, 0, 0), 100);
  assert.is(pause(100, 3, 0), 800);
  assert.is(pause(100, 0, 1), 50);
  assert.is(pause(100, 60, 0), 120_000);
});

test.run();
