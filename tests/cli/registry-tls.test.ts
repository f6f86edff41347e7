/** Certificates, and who may do without: registries behind TLS with an authority of the test's own, by skopeo's rules. */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { makeAuthority } from "../support/certificates.ts";
import { busyboxArchive } from "../support/images.ts";
import { need } from "../support/need.ts";
import { startProxy } from "../support/proxy.ts";
import { startRegistry } from "../support/registry.ts";
import { type Result, type Workspace, workspace } from "../support/tsbox.ts";

const able = need(["user-namespace", "not-root", "docker-registry", "openssl"], test);
const image = busyboxArchive();

function ok(result: Result): string {
  assert.is(result.code, 0, result.stderr);
  return result.stdout.trimEnd();
}

/** The host's name in the environment of a proxy: nobody else knows it. */
const FAR = "registry.far.test";

async function scene(
  act: (
    box: Workspace,
    push: (...flags: string[]) => Promise<Result>,
    more: { host: string; ca: string; port: string },
  ) => Promise<void>,
  names = ["IP:127.0.0.1"],
) {
  await using box = workspace();
  ok(await box.tsbox("load", "-q", "-i", image.path));
  const ca = makeAuthority(join(box.dir, "ca"));
  await using registry = await startRegistry({ tls: ca.issue("registry", names) });
  const port = registry.host.split(":")[1] ?? "";
  const push = (...flags: string[]) => box.tsbox("push", "-q", ...flags, image.reference, `${registry.host}/app:1`);
  await act(box, push, { host: registry.host, ca: ca.certificate, port });
}

able("an unknown authority is refused, with what to do; a folder of certificates or a flag helps", () =>
  scene(async (box, push, { host, ca }) => {
    const refused = await push();
    assert.is(refused.code, 1);
    assert.match(refused.stderr, /certificate/);
    assert.match(refused.stderr, /hint: its authority is not known here: .*--cert-dir/);
    const folder = join(box.dir, "certs");
    mkdirSync(folder);
    const nothing = await push("--cert-dir", join(box.dir, "none"));
    assert.match(nothing.stderr, /Cannot read certificates of ".*none": ENOENT/);
    copyFileSync(ca, join(folder, "ca.crt"));
    ok(await push("--cert-dir", folder));
    ok(await push("--tls-verify=false"));
    ok(await box.tsbox("pull", "-q", "--cert-dir", folder, `${host}/app:1`));
    ok(await box.tsbox("run", "--rm", "--pull", "always", "--cert-dir", folder, `${host}/app:1`, "true"));
  }),
);

able("the system's authorities count, and those of certs.d", () =>
  scene(async (box, push, { host, ca }) => {
    box.env.SSL_CERT_FILE = ca;
    ok(await push());
    delete box.env.SSL_CERT_FILE;
    const folder = join(box.dir, "home/.config/containers/certs.d", host);
    mkdirSync(folder, { recursive: true });
    copyFileSync(ca, join(folder, "mine.crt"));
    ok(await push());
  }),
);

able("a certificate for another name is refused, whoever signed it", () =>
  scene(
    async (box, push, { ca }) => {
      const folder = join(box.dir, "certs");
      mkdirSync(folder);
      copyFileSync(ca, join(folder, "ca.crt"));
      const refused = await push("--cert-dir", folder);
      assert.is(refused.code, 1);
      assert.match(refused.stderr, /hint: its certificate is for another name/);
    },
    ["DNS:elsewhere.test"],
  ),
);

able("a registry that asks for a client's certificate gets ours, from the folder that has it", async () => {
  await using box = workspace();
  ok(await box.tsbox("load", "-q", "-i", image.path));
  const ca = makeAuthority(join(box.dir, "ca"));
  const tls = ca.issue("registry", ["IP:127.0.0.1"]);
  await using registry = await startRegistry({ tls, clientAuthority: ca.certificate });
  const folder = join(box.dir, "certs");
  mkdirSync(folder);
  copyFileSync(ca.certificate, join(folder, "ca.crt"));
  const push = () => box.tsbox("push", "-q", "--cert-dir", folder, image.reference, `${registry.host}/app:1`);
  assert.is((await push()).code, 1);
  const client = ca.issue("client", []);
  copyFileSync(client.certificate, join(folder, "client.cert"));
  const lacking = await push();
  assert.match(lacking.stderr, /its key "client.key" is not beside it/);
  copyFileSync(client.key, join(folder, "client.key"));
  ok(await push());
});

able("plain HTTP: this machine's own registries, unless TLS is asked for", async () => {
  await using box = workspace();
  ok(await box.tsbox("load", "-q", "-i", image.path));
  await using registry = await startRegistry();
  const push = (...flags: string[]) => box.tsbox("push", "-q", ...flags, image.reference, `${registry.host}/app:1`);
  ok(await push());
  const strict = await push("--tls-verify");
  assert.is(strict.code, 1);
  assert.match(strict.stderr, /hint: it does not speak TLS: --tls-verify=false allows plain HTTP/);
});

able("through a proxy: TLS and plain, with its password, and not where NO_PROXY says", () =>
  scene(
    async (box, _, { ca, port }) => {
      await using proxy = await startProxy(FAR, "me:pass word");
      const folder = join(box.dir, "certs");
      mkdirSync(folder);
      copyFileSync(ca, join(folder, "ca.crt"));
      const name = `${FAR}:${port}/app:1`;
      const push = (env: NodeJS.ProcessEnv) =>
        box.run(["push", "-q", "--retry", "0", "--cert-dir", folder, image.reference, name], { env });
      const url = `http://me:pass%20word@${proxy.host}`;
      ok(await push({ HTTPS_PROXY: url }));
      assert.ok(
        proxy.requests.every((line) => line === `CONNECT ${FAR}:${port}`),
        proxy.requests.join("\n"),
      );
      assert.ok(proxy.requests.length > 0);
      const denied = await push({ https_proxy: `http://me:wrong@${proxy.host}` });
      assert.is(denied.code, 1);
      assert.match(denied.stderr, /the proxy 127\.0\.0\.1:\d+ answered 407/);
      assert.not.match(denied.stderr, "wrong");
      proxy.requests.splice(0);
      assert.is((await push({ HTTPS_PROXY: url, NO_PROXY: ".far.test" })).code, 1);
      assert.equal(proxy.requests, []);
      await using plain = await startRegistry();
      const [, other] = plain.host.split(":");
      const args = ["push", "-q", "--tls-verify=false", image.reference, `${FAR}:${other}/app:1`];
      ok(await box.run(args, { env: { http_proxy: url, https_proxy: url } }));
      assert.ok(proxy.requests.includes(`PUT http://${FAR}:${other}/v2/app/manifests/1`), proxy.requests.join("\n"));
    },
    [`DNS:${FAR}`],
  ),
);

able("registries.conf allows plain HTTP, and strictness on the command line overrides it", async () => {
  await using box = workspace();
  ok(await box.tsbox("load", "-q", "-i", image.path));
  await using registry = await startRegistry();
  await using proxy = await startProxy(FAR);
  const name = `${FAR}:${registry.host.split(":")[1]}/app:1`;
  const env = { http_proxy: `http://${proxy.host}`, https_proxy: `http://${proxy.host}` };
  const push = (...flags: string[]) =>
    box.run(["push", "-q", "--retry", "0", ...flags, image.reference, name], { env });
  assert.is((await push()).code, 1);
  writeFileSync(box.env.CONTAINERS_REGISTRIES_CONF as string, '[[registry]]\nprefix = "*.far.test"\ninsecure = true\n');
  ok(await push());
  assert.is((await push("--tls-verify=true")).code, 1);
});

test.run();
