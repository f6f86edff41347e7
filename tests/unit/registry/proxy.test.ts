import { test } from "uvu";
import * as assert from "uvu/assert";
import { proxyFor, proxyHeaders } from "../../../runner/registry/proxy.ts";

const proxy = "http://proxy.example:3128";

function chosen(url: string, noProxy = "", names = { https_proxy: proxy, http_proxy: "http://plain.example" }) {
  return proxyFor(new URL(url), { ...names, no_proxy: noProxy })?.host;
}

test("proxyFor() goes by the scheme, and never for this machine itself", () => {
  assert.is(chosen("https://quay.io/v2/"), "proxy.example:3128");
  assert.is(chosen("http://quay.io/v2/"), "plain.example");
  for (const host of ["localhost:5000", "127.0.0.1", "127.9.9.9:5000", "[::1]:5000"])
    assert.is(chosen(`https://${host}/`), undefined, host);
  assert.is(proxyFor(new URL("https://a.b/"), {}), undefined);
  assert.is(proxyFor(new URL("https://a.b/"), { HTTPS_PROXY: "bare.example:8080" })?.host, "bare.example:8080");
  assert.is(proxyFor(new URL("https://a.b/"), { HTTPS_PROXY: "ftp://a.b" }), undefined);
});

test("proxyFor() knows every form of NO_PROXY", () => {
  const exempt: [url: string, list: string, is: boolean][] = [
    ["https://quay.io/", "*", true],
    ["https://quay.io/", "docker.io, quay.io", true],
    ["https://quay.io/", "QUAY.IO", true],
    ["https://cdn.quay.io/", "quay.io", true],
    ["https://cdn.quay.io/", ".quay.io", true],
    ["https://cdn.quay.io/", "*.quay.io", true],
    ["https://notquay.io/", "quay.io", false],
    ["https://quay.io:5000/", "quay.io:5000", true],
    ["https://quay.io:5000/", "quay.io:443", false],
    ["https://quay.io/", "quay.io:443", true],
    ["https://10.1.2.3/", "10.0.0.0/8", true],
    ["https://11.1.2.3/", "10.0.0.0/8", false],
    ["https://10.1.2.3/", "10.0.0.0/99", false],
    ["https://[fd00::1]:5000/", "fd00::/8", true],
    ["https://[fd00::1]/", "fd00::1", true],
    ["https://quay.io/", "", false],
  ];
  for (const [url, list, is] of exempt) assert.is(chosen(url, list) === undefined, is, `${url} and ${list}`);
});

test("proxyHeaders() decodes the name and password of the URL", () => {
  const { "proxy-authorization": sent = "" } = proxyHeaders(new URL("http://me:a%3Ab%20c@proxy.example"));
  assert.is(Buffer.from(sent.slice("Basic ".length), "base64").toString(), "me:a:b c");
  assert.equal(proxyHeaders(new URL(proxy)), {});
});

test.run();
