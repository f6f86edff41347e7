/** A registry on the loopback with one image, "warm", of one layer: what `pull` is warmed with. */
"use strict";
const { createHash } = require("node:crypto");
const { createServer } = require("node:http");

/** Resolves with its address, HOST:PORT; it does not keep the process. */
module.exports.warmRegistry = (layer) => {
  const blobs = new Map();
  const keep = (bytes) => {
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    blobs.set(digest, bytes);
    return { digest, size: bytes.length };
  };
  const described = { mediaType: "application/vnd.oci.image.layer.v1.tar", ...keep(layer) };
  const config = keep(
    Buffer.from(
      JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [described.digest] } }),
    ),
  );
  const manifestType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: { mediaType: "application/vnd.oci.image.config.v1+json", ...config },
      layers: [described],
    }),
  );
  const server = createServer(({ url }, answer) => {
    const bytes = url.includes("/manifests/") ? manifest : blobs.get(url.split("/").at(-1));
    if (bytes === manifest) answer.setHeader("content-type", manifestType);
    if (bytes === undefined) answer.statusCode = url === "/v2/" ? 200 : 404;
    answer.end(bytes);
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve(`127.0.0.1:${server.address().port}`)).unref();
  });
};
