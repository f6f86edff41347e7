/** A registry that errs or lies, as the user of `tsbox pull` meets it: one clear sentence, nothing wrong kept, and the next attempt succeeds. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { makeAuthority } from "../support/certificates.ts";
import { type FakeRegistry, fakeRegistry, INDEX, MANIFEST, noise, type ServedImage } from "../support/fake-registry.ts";
import { need } from "../support/need.ts";
import { sha256 } from "../support/oci.ts";
import { leftovers, storeProblems } from "../support/store.ts";
import { type Workspace, workspace } from "../support/tsbox.ts";

const able = need(["user-namespace", "not-root"], test);

interface Scene {
  box: Workspace;
  registry: FakeRegistry;
  served: ServedImage;
  name: string;
  layer: ServedImage["layers"][number];
}

function scene(title: string, act: (scene: Scene) => Promise<void>): void {
  able(title, async () => {
    await using box = workspace();
    await using registry = await fakeRegistry();
    const served = await registry.add("app", "1", [{ "etc/a": "one" }, { large: noise(1 << 20) }]);
    const layer = served.layers[1] as Scene["layer"];
    await act({ box, registry, served, name: `${registry.host}/app:1`, layer });
    assert.equal(storeProblems(box.env.TSBOX_ROOT as string), []);
    assert.equal(leftovers(box.env.TSBOX_ROOT as string), []);
    registry.behave();
    const after = await box.tsbox("pull", "-q", `${registry.host}/app:1`);
    assert.is(after.code, 0, after.stderr);
    assert.is(
      (await box.tsbox("inspect", "--format", "{{.Id}}", `${registry.host}/app:1`)).stdout.trim(),
      served.config,
    );
    assert.equal(storeProblems(box.env.TSBOX_ROOT as string), []);
  });
}

async function refused(box: Workspace, name: string, ...words: RegExp[]): Promise<void> {
  const result = await box.tsbox("pull", "-q", name);
  assert.is.not(result.code, 0, "it was accepted");
  assert.match(result.stderr, /^tsbox: Cannot /m);
  assert.not.match(result.stderr, /\n\s+at /);
  for (const word of words) assert.match(result.stderr, word);
  assert.is((await box.tsbox("images", "-q")).stdout, "");
}

const html = (response: ServerResponse) => {
  response.writeHead(200, { "content-type": "text/html" });
  response.end("<!DOCTYPE html><html>log in here</html>");
};

scene("a web page instead of a manifest", async ({ box, registry, name }) => {
  registry.on("/manifests/", (_, response) => html(response));
  await refused(box, name, /HTML, not JSON/, /hint: /);
});

scene("a web page instead of a layer", async ({ box, registry, name, layer }) => {
  registry.on(layer.digest, (_, response) => html(response));
  await refused(box, name, /sha256:/);
});

scene("other bytes instead of a layer", async ({ box, registry, name, layer }) => {
  registry.on(layer.digest, (_, response) => response.end(Buffer.alloc(layer.bytes.length, "x")));
  await refused(box, name, new RegExp(`got sha256:[0-9a-f]{64}, want ${layer.digest}`), /hint: /);
});

scene("another layer instead of the one that was asked for", async ({ box, registry, name, layer }) => {
  const other = gzipSync(Buffer.alloc(layer.bytes.length));
  registry.on(layer.digest, (_, response) => response.end(other));
  await refused(box, name);
});

scene("a layer without an end", async ({ box, registry, name, layer }) => {
  registry.on(layer.digest, (_, response) => {
    response.writeHead(200);
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(1 << 16)));
    };
    response.on("drain", more);
    more();
  });
  await refused(box, name, /more than the \d+ bytes announced|sha256:/);
});

scene("a manifest without an end", async ({ box, registry, name }) => {
  registry.on("/manifests/", (_, response) => {
    response.writeHead(200, { "content-type": MANIFEST });
    const more = () => {
      while (!response.destroyed && response.write(" ".repeat(1 << 16)));
    };
    response.on("drain", more);
    more();
  });
  await refused(box, name, /longer than \d+ bytes/);
});

scene("a connection that breaks in the middle of a layer each time, until it does not", async (all) => {
  const { box, registry, name, layer } = all;
  let breaks = 0;
  registry.on(layer.digest, (request, response, ordinary) => {
    if (++breaks > 2) return ordinary();
    const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    response.writeHead(from ? 206 : 200, {
      "content-length": layer.bytes.length - from,
      ...(from && { "content-range": `bytes ${from}-${layer.bytes.length - 1}/${layer.bytes.length}` }),
    });
    response.write(layer.bytes.subarray(from, from + 100_000), () => setTimeout(() => response.destroy(), 50));
  });
  const result = await box.tsbox("pull", "-q", name);
  assert.is(result.code, 0, result.stderr);
  assert.ok(
    registry.requests.some((line) => line.includes("bytes=")),
    "nothing was taken up again",
  );
});

scene("a manifest in the first of all formats", async ({ box, registry }) => {
  const old = JSON.stringify({ schemaVersion: 1, name: "app", tag: "old", fsLayers: [], history: [] });
  registry.manifest("app", "old", "application/vnd.docker.distribution.manifest.v1+prettyjws", old);
  await refused(box, `${registry.host}/app:old`, /schema 1/, /hint: /);
});

scene("an artifact that is no image", async ({ box, registry }) => {
  const empty = Buffer.from("{}");
  const chart = Buffer.from("a chart");
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    artifactType: "application/vnd.cncf.helm.config.v1+json",
    config: { mediaType: "application/vnd.cncf.helm.config.v1+json", digest: registry.blob(empty), size: 2 },
    layers: [
      { mediaType: "application/vnd.cncf.helm.chart.content.v1.tar+gzip", digest: registry.blob(chart), size: 7 },
    ],
  });
  registry.manifest("app", "chart", MANIFEST, manifest);
  await refused(box, `${registry.host}/app:chart`, /helm/, /hint: .*artifact/);
});

scene("an index that has nothing for this machine", async ({ box, registry, served }) => {
  const platforms = [
    { os: "windows", architecture: "amd64" },
    { os: "linux", architecture: "s390x" },
  ];
  const manifests = platforms.map((platform) => ({ mediaType: MANIFEST, digest: served.digest, size: 1, platform }));
  registry.manifest("app", "far", INDEX, JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }));
  await refused(box, `${registry.host}/app:far`, /windows\/amd64, linux\/s390x/, /hint: .*--platform/);
});

scene("a size that is a lie", async ({ box, registry, served }) => {
  const [first] = served.layers;
  for (const [tag, difference] of [
    ["small", -1],
    ["large", 1],
  ] as const) {
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: {
        mediaType: "application/vnd.oci.image.config.v1+json",
        digest: served.config,
        size: await size(served, registry),
      },
      layers: served.layers.map(({ digest, bytes }) => ({
        mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
        digest,
        size: bytes.length + (digest === first?.digest ? difference : 0),
      })),
    });
    registry.manifest("app", tag, MANIFEST, manifest);
    await refused(box, `${registry.host}/app:${tag}`, new RegExp(first?.digest as string));
  }
});

async function size(served: ServedImage, registry: FakeRegistry): Promise<number> {
  const answer = await fetch(`http://${registry.host}/v2/app/blobs/${served.config}`);
  const bytes = Buffer.from(await answer.arrayBuffer());
  assert.is(sha256(bytes), served.config);
  return bytes.length;
}

scene("a private registry without and with the user's password", async ({ box, registry, name }) => {
  const right = `Basic ${Buffer.from("me:pass:word").toString("base64")}`;
  registry.on("/v2/", (request, response, ordinary) => {
    if (request.headers.authorization === right) return ordinary();
    response.writeHead(401, { "www-authenticate": 'Basic realm="here"' });
    response.end(JSON.stringify({ errors: [{ code: "UNAUTHORIZED", message: "authentication required" }] }));
  });
  await refused(box, name, /401 UNAUTHORIZED/, /hint: .*credentials/);
  const auths = { [registry.host]: { auth: right.slice("Basic ".length) } };
  mkdirSync(join(box.dir, "home/.docker"));
  writeFileSync(join(box.dir, "home/.docker/config.json"), JSON.stringify({ auths }));
  const result = await box.tsbox("pull", "-q", name);
  assert.is(result.code, 0, result.stderr);
});

scene("a name that is not there", async ({ box, registry }) => {
  await refused(box, `${registry.host}/app:none`, /404 MANIFEST_UNKNOWN: manifest unknown/, /hint: /);
});

/** Serves the layer's bytes from where the request asks (or from the start), and breaks off after so many. */
function breakingOff({ registry, layer }: Scene, bytes: number, times: number, ranges: boolean): void {
  let breaks = 0;
  registry.on(layer.digest, (request, response, ordinary) => {
    const asked = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const from = ranges ? asked : 0;
    if (ranges && breaks >= times) return ordinary();
    const all = layer.bytes;
    response.writeHead(from > 0 ? 206 : 200, {
      "content-length": all.length - from,
      ...(from > 0 && { "content-range": `bytes ${from}-${all.length - 1}/${all.length}` }),
    });
    if (breaks++ >= times) return void response.end(all.subarray(from));
    response.write(all.subarray(from, from + bytes * (ranges ? 1 : breaks)), () =>
      setTimeout(() => response.destroy(), 20),
    );
  });
}

scene("a connection that breaks many times, but brings something each time", async (all) => {
  breakingOff(all, 70_000, 10, true);
  const result = await all.box.tsbox("pull", "-q", all.name);
  assert.is(result.code, 0, result.stderr);
  assert.is(all.registry.requests.filter((line) => line.includes(" bytes=")).length, 10);
});

scene("a registry that breaks off and ignores ranges", async (all) => {
  breakingOff(all, 150_000, 3, false);
  const result = await all.box.tsbox("pull", "-q", all.name);
  assert.is(result.code, 0, result.stderr);
});

for (const range of ["bytes 7-100/200", "bytes 0-10/11", "bytes 1-2/3", "lines 1-2", undefined]) {
  scene(`a part that says it is ${range}`, async (all) => {
    const { box, registry, name, layer } = all;
    let times = 0;
    registry.on(layer.digest, (_, response) => {
      if (times++ === 0) {
        response.writeHead(200, { "content-length": layer.bytes.length });
        return void response.write(layer.bytes.subarray(0, 200_000), () => setTimeout(() => response.destroy(), 50));
      }
      response.writeHead(206, range === undefined ? {} : { "content-range": range });
      response.end(layer.bytes.subarray(7));
    });
    await refused(box, name, /asked for bytes from \d+ of \d+, got "/);
  });
}

scene("a registry that cannot give the rest gives all of it", async (all) => {
  const { box, registry, name, layer } = all;
  let times = 0;
  registry.on(layer.digest, (request, response, ordinary) => {
    if (request.headers.range !== undefined) {
      response.writeHead(416);
      return void response.end();
    }
    if (times++ > 0) return ordinary();
    response.writeHead(200, { "content-length": layer.bytes.length });
    response.write(layer.bytes.subarray(0, 200_000), () => setTimeout(() => response.destroy(), 50));
  });
  const result = await box.tsbox("pull", "-q", name);
  assert.is(result.code, 0, result.stderr);
});

scene("more bytes announced than the manifest knows of", async ({ box, registry, name, layer }) => {
  registry.on(layer.digest, (_, response) => {
    response.writeHead(200, { "content-length": 1 << 30 });
    response.write("x");
  });
  await refused(box, name, /announces 1073741824 bytes/);
});

for (const location of ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://[", "javascript:alert(1)"]) {
  scene(`a layer that is said to be at ${location}`, async ({ box, registry, name, layer }) => {
    registry.on(layer.digest, (_, response) => {
      response.writeHead(307, { location });
      response.end();
    });
    await refused(box, name, /redirect/);
  });
}

scene("redirects in a circle", async ({ box, registry, name, layer }) => {
  registry.on(layer.digest, (request, response) => {
    response.writeHead(307, { location: request.url });
    response.end();
  });
  await refused(box, name, /more than 5 redirects/);
});

scene("headers without measure", async ({ box, registry, name }) => {
  registry.on("/manifests/", (_, response) => {
    for (let i = 0; i < 100; i++) response.setHeader(`x-${i}`, "y".repeat(1000));
    response.end("{}");
  });
  await refused(box, name, /hint: its answer has more headers than any registry needs/);
});

scene("a server's fault with an endless story", async ({ box, registry, name }) => {
  registry.on("/manifests/", (_, response) => {
    response.writeHead(403);
    const more = () => {
      while (!response.destroyed && response.write("sorry ".repeat(10_000)));
    };
    response.on("drain", more);
    more();
  });
  await refused(box, name, /registry answered 403/);
});

scene("a layer that is all but empty until it is unpacked", async ({ box, registry, served }) => {
  const bomb = gzipSync(Buffer.alloc(200 << 20), { level: 9 });
  const [first, second] = served.layers;
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      digest: served.config,
      size: await size(served, registry),
    },
    layers: [
      {
        mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
        digest: registry.blob(bomb),
        size: bomb.length,
      },
      {
        mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
        digest: second?.digest,
        size: second?.bytes.length,
      },
    ],
  });
  registry.manifest("app", "bomb", MANIFEST, manifest);
  await refused(box, `${registry.host}/app:bomb`, new RegExp(first?.diffID as string));
});

scene("types that nobody knows: the document itself says what it is", async ({ box, registry, served, name }) => {
  registry.on("/manifests/", (request, response) => {
    response.writeHead(200, { "content-type": "text/html" });
    response.end(registry.manifests.get(`app/${request.url?.split("/").at(-1)}`)?.bytes);
  });
  const result = await box.tsbox("pull", "-q", name);
  assert.is(result.code, 0, result.stderr);
  const { bytes = Buffer.alloc(0) } = registry.manifests.get(`app/${served.digest}`) ?? {};
  const odd = JSON.stringify({ ...JSON.parse(bytes.toString()), mediaType: "text/plain" });
  registry.manifest("app", "odd", MANIFEST, odd);
  const refusal = await box.tsbox("pull", "-q", `${registry.host}/app:odd`);
  assert.is(refusal.code, 1);
  assert.match(refusal.stderr, /media type "text\/plain" is not an image manifest/);
});

scene("attestations and artifacts beside the images of an index", async ({ box, registry, served }) => {
  const image = { mediaType: MANIFEST, digest: served.digest, size: registry.manifests.get("app/1")?.bytes.length };
  const platform = { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" };
  const other = { ...image, digest: `sha256:${"1".repeat(64)}` };
  const manifests = [
    {
      ...other,
      platform: { os: "unknown", architecture: "unknown" },
      annotations: { "vnd.docker.reference.type": "attestation-manifest" },
    },
    { ...other, mediaType: "application/vnd.example.thing+json", artifactType: "application/vnd.example" },
    { ...image, platform },
  ];
  registry.manifest("app", "many", INDEX, JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }));
  const result = await box.tsbox("pull", "-q", `${registry.host}/app:many`);
  assert.is(result.code, 0, result.stderr);
});

scene("a token that ends while the image is on its way", async ({ box, registry, name }) => {
  let good = 0;
  let uses = 0;
  registry.on("/v2/", (request, response, ordinary) => {
    if (request.headers.authorization === `Bearer token-${good}` && uses++ < 2) return ordinary();
    response.writeHead(401, { "www-authenticate": `Bearer realm="http://${registry.host}/token"` });
    response.end();
  });
  registry.on("/token", (_, response) => {
    uses = 0;
    response.end(JSON.stringify({ token: `token-${++good}` }));
  });
  const result = await box.tsbox("pull", "-q", name);
  assert.is(result.code, 0, result.stderr);
  assert.ok(good > 1);
});

need(["user-namespace", "not-root", "openssl"], test)(
  "from HTTPS nothing leads to less, be it a layer or a token",
  async () => {
    await using box = workspace();
    const signed = makeAuthority(join(box.dir, "ca")).issue("registry", ["IP:127.0.0.1"]);
    await using registry = await fakeRegistry({
      cert: readFileSync(signed.certificate),
      key: readFileSync(signed.key),
    });
    await using plain = await fakeRegistry();
    const served = await registry.add("app", "1", [{ a: "one" }]);
    const certs = join(box.dir, "certs");
    mkdirSync(certs);
    copyFileSync(join(box.dir, "ca/ca.pem"), join(certs, "ca.crt"));
    const pull = () => box.tsbox("pull", "-q", "--cert-dir", certs, `${registry.host}/app:1`);
    registry.on(served.layers[0]?.digest ?? "", (request, response) => {
      response.writeHead(307, { location: `http://${plain.host}${request.url}` });
      response.end();
    });
    assert.match((await pull()).stderr, /redirected from HTTPS to HTTP/);
    registry.behave();
    registry.on("/v2/", (_, response) => {
      response.writeHead(401, { "www-authenticate": `Bearer realm="http://${plain.host}/token"` });
      response.end();
    });
    assert.match((await pull()).stderr, /token server 127\.0\.0\.1:\d+ does not use HTTPS/);
    assert.equal(plain.requests, []);
    registry.behave();
    assert.is((await pull()).code, 0);
  },
);

test.run();
