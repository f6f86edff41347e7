/** `login`, `logout` and what they are for: Debian's docker-registry behind htpasswd, and behind tokens and TLS. */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Authority, makeAuthority } from "../support/certificates.ts";
import { busyboxArchive } from "../support/images.ts";
import { need } from "../support/need.ts";
import { type Registry, startRegistry } from "../support/registry.ts";
import { IDENTITY, PASSWORD, startTokenServer, type TokenServer, USER } from "../support/token-server.ts";
import { type Result, TSBOX, type Workspace, workspace } from "../support/tsbox.ts";

const able = need(["user-namespace", "not-root", "docker-registry"], test);
const secure = need(["user-namespace", "not-root", "docker-registry", "openssl"], test);
const image = busyboxArchive();

function ok(result: Result): string {
  assert.is(result.code, 0, result.stderr);
  return result.stdout.trimEnd();
}

function login(box: Workspace, host: string, ...flags: string[]): Promise<Result> {
  return box.run(["login", "-u", USER, "--password-stdin", ...flags, host], { input: `${PASSWORD}\n` });
}

const authFile = (box: Workspace) => join(box.dir, "run/containers/auth.json");
const dockerFile = (box: Workspace) => join(box.dir, "home/.docker/config.json");
const auth = Buffer.from(`${USER}:${PASSWORD}`).toString("base64");

/** A registry behind tokens and TLS; the authority is where podman looks for it. */
async function guarded(act: (box: Workspace, registry: Registry, tokens: TokenServer, ca: Authority) => Promise<void>) {
  await using box = workspace();
  const ca = makeAuthority(join(box.dir, "ca"));
  await using tokens = await startTokenServer(ca, true);
  const tls = ca.issue("registry", ["IP:127.0.0.1", "DNS:localhost"]);
  await using registry = await startRegistry({ auth: tokens.config, tls });
  const certs = join(box.dir, "home/.config/containers/certs.d", registry.host);
  mkdirSync(certs, { recursive: true });
  symlinkSync(ca.certificate, join(certs, "ca.crt"));
  ok(await box.tsbox("load", "-q", "-i", image.path));
  await act(box, registry, tokens, ca);
}

able("behind htpasswd: refused, logged in, pushed, pulled, logged out, refused", async () => {
  await using box = workspace();
  await using registry = await startRegistry({ auth: "htpasswd" });
  ok(await box.tsbox("load", "-q", "-i", image.path));
  const name = `${registry.host}/app:1`;
  const refused = await box.tsbox("push", image.reference, name);
  assert.is(refused.code, 1);
  assert.match(refused.stderr, /registry answered 401/);
  assert.match(refused.stderr, `hint: it does not exist, or you may not: "tsbox login ${registry.host}"`);
  assert.is(ok(await login(box, registry.host)), "Login Succeeded");
  assert.equal(JSON.parse(readFileSync(authFile(box), "utf8")), { auths: { [registry.host]: { auth } } });
  assert.is(statSync(authFile(box)).mode & 0o777, 0o600);
  assert.is(ok(await box.tsbox("login", "--get-login", registry.host)), USER);
  assert.match(ok(await box.tsbox("login", registry.host)), /Already logged in/);
  ok(await box.tsbox("push", "-q", image.reference, name));
  assert.is(ok(await box.tsbox("run", "--rm", "--pull", "always", name, "echo", "works")), "works");
  assert.match(ok(await box.tsbox("logout", registry.host)), /Removed login credentials/);
  assert.equal(JSON.parse(readFileSync(authFile(box), "utf8")), { auths: {} });
  assert.is((await box.tsbox("pull", name)).code, 1);
  assert.match(ok(await box.tsbox("logout", registry.host)), /Not logged in/);
  assert.is((await box.tsbox("login", "--get-login", registry.host)).code, 1);
});

able("a wrong password is refused, not stored, and shown to nobody", async () => {
  await using box = workspace();
  await using registry = await startRegistry({ auth: "htpasswd" });
  const wrong = await box.run(["--debug", "login", "-u", USER, "--password-stdin", registry.host], {
    input: "not-the-word",
  });
  assert.is(wrong.code, 1);
  assert.match(wrong.stderr, /does not accept the name and password/);
  assert.not.match(wrong.stderr + wrong.stdout, "not-the-word");
  assert.not(existsSync(authFile(box)));
  const spoken = await box.tsbox("login", "-u", USER, "-p", PASSWORD, registry.host);
  assert.is(ok(spoken), "Login Succeeded");
  assert.match(spoken.stderr, /use --password-stdin/);
  const nobody = await box.tsbox("login", "127.0.0.1:1");
  assert.is(nobody.code, 1);
  assert.match(nobody.stderr, /no terminal[\s\S]*--password-stdin/);
});

able("a file of one's own, one in docker's form, and what else stands in them", async () => {
  await using box = workspace();
  await using registry = await startRegistry({ auth: "htpasswd" });
  const own = join(box.dir, "own/auth.json");
  ok(await login(box, registry.host, "--authfile", own));
  assert.not(existsSync(authFile(box)));
  assert.is(ok(await box.tsbox("login", "--get-login", "--authfile", own, registry.host)), USER);
  mkdirSync(join(box.dir, "home/.docker"));
  const before = { auths: { "other.example": { auth: "b3RoZXI6eA==" } }, psFormat: "table" };
  writeFileSync(dockerFile(box), JSON.stringify(before));
  ok(await login(box, registry.host, "--compat-auth-file", dockerFile(box)));
  const after = { ...before, auths: { ...before.auths, [registry.host]: { auth } } };
  assert.equal(JSON.parse(readFileSync(dockerFile(box), "utf8")), after);
  // it has the registry now: that is where the next login goes
  ok(await login(box, registry.host));
  assert.not(existsSync(authFile(box)));
  ok(await box.tsbox("logout", registry.host));
  assert.equal(JSON.parse(readFileSync(dockerFile(box), "utf8")), before);
  const named = { REGISTRY_AUTH_FILE: own };
  assert.is(ok(await box.run(["login", "--get-login", registry.host], { env: named })), USER);
  const given = { DOCKER_AUTH_CONFIG: readFileSync(own, "utf8") };
  assert.is(ok(await box.run(["login", "--get-login", registry.host], { env: given })), USER);
  assert.match(ok(await box.run(["logout", "--all"], { env: named })), own);
  assert.equal(JSON.parse(readFileSync(own, "utf8")), { auths: {} });
});

able("logins at the same time all stay; a file that is a link stays one", async () => {
  await using box = workspace();
  await using one = await startRegistry({ auth: "htpasswd" });
  await using two = await startRegistry({ auth: "htpasswd" });
  const file = join(box.dir, "kept.json");
  writeFileSync(file, "{}");
  const link = join(box.dir, "link.json");
  symlinkSync(file, link);
  const parts = [one, two].flatMap(({ host }) => [host, `${host}/a`, `${host}/b`]);
  await Promise.all(parts.map(async (part) => ok(await login(box, part, "--authfile", link))));
  assert.equal(Object.keys(JSON.parse(readFileSync(file, "utf8")).auths).sort(), parts.sort());
  assert.ok(lstatSync(link).isSymbolicLink());
});

able("a credential helper keeps the secret; it is in no file and on no command line", async () => {
  await using box = workspace();
  await using registry = await startRegistry({ auth: "htpasswd" });
  const bin = join(box.dir, "bin");
  mkdirSync(bin);
  const helper = join(bin, "docker-credential-test");
  // one file a registry, and a note of every call
  writeFileSync(
    helper,
    `#!/bin/sh
echo "$0 $*" >> ${box.dir}/calls
input=$(cat)
case $1 in
store) name=$(echo "$input" | sed 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/'); echo "$input" > "${box.dir}/secret-$name" ;;
get) [ -f "${box.dir}/secret-$input" ] || { echo "credentials not found in native keychain"; exit 1; }; cat "${box.dir}/secret-$input" ;;
erase) rm "${box.dir}/secret-$input" ;;
esac
`,
  );
  chmodSync(helper, 0o755);
  box.env.PATH = `${bin}:${box.env.PATH}`;
  mkdirSync(join(box.dir, "home/.docker"));
  writeFileSync(dockerFile(box), JSON.stringify({ credHelpers: { [registry.host]: "test" } }));
  ok(await box.tsbox("load", "-q", "-i", image.path));
  assert.is(ok(await login(box, registry.host)), "Login Succeeded");
  assert.equal(JSON.parse(readFileSync(dockerFile(box), "utf8")).auths, { [registry.host]: {} });
  assert.not(existsSync(authFile(box)));
  ok(await box.tsbox("push", "-q", image.reference, `${registry.host}/app:1`));
  assert.is(ok(await box.tsbox("login", "--get-login", registry.host)), USER);
  ok(await box.tsbox("logout", registry.host));
  assert.not(existsSync(join(box.dir, `secret-${registry.host}`)));
  assert.not.match(readFileSync(join(box.dir, "calls"), "utf8"), "sesame");
  assert.is((await box.tsbox("pull", `${registry.host}/app:1`)).code, 1);
  writeFileSync(dockerFile(box), JSON.stringify({ credsStore: "missing" }));
  const missing = await box.tsbox("pull", `${registry.host}/app:1`);
  assert.match(missing.stderr, /Cannot run docker-credential-missing: it is not in PATH/);
});

secure("behind tokens and TLS: each request asks for what it does and no more", () =>
  guarded(async (box, registry, tokens) => {
    assert.is(ok(await login(box, registry.host)), "Login Succeeded");
    assert.equal(tokens.requests.splice(0), [{ method: "GET", scopes: [], user: USER }]);
    ok(await box.tsbox("push", "-q", image.reference, `${registry.host}/one:1`));
    assert.equal(tokens.requests.splice(0), [{ method: "GET", scopes: ["repository:one:pull,push"], user: USER }]);
    const second = await box.tsbox("push", image.reference, `${registry.host}/two:1`);
    assert.match(second.stderr, /mounted from another repository/);
    ok(second);
    const scopes = tokens.requests.splice(0).map((request) => request.scopes.join(" "));
    assert.equal(scopes, ["repository:two:pull,push", "repository:two:pull,push repository:one:pull"]);
    ok(await box.tsbox("pull", "-q", `${registry.host}/two:1`));
    assert.equal(tokens.requests.splice(0), [{ method: "GET", scopes: ["repository:two:pull"], user: USER }]);
    assert.equal(ok(await box.tsbox("search", "--format", "{{.Name}}", `${registry.host}/`)).split("\n"), [
      `${registry.host}/one`,
      `${registry.host}/two`,
    ]);
  }),
);

secure("anybody may pull what is public, and push nothing", () =>
  guarded(async (box, registry, tokens) => {
    const creds = ["--creds", `${USER}:${PASSWORD}`];
    ok(await box.tsbox("push", "-q", ...creds, image.reference, `${registry.host}/public/app:1`));
    ok(await box.tsbox("pull", "-q", `${registry.host}/public/app:1`));
    assert.is(tokens.requests.at(-1)?.user, undefined);
    const push = await box.tsbox("push", "-q", image.reference, `${registry.host}/public/app:2`);
    assert.is(push.code, 1);
    assert.match(push.stderr, /registry answered 401[\s\S]*tsbox login/);
  }),
);

secure("an identity token is shown to the token server alone, and gets tokens", () =>
  guarded(async (box, registry, tokens) => {
    const file = join(box.dir, "identity.json");
    const entry = { auth: Buffer.from("<token>:").toString("base64"), identitytoken: IDENTITY };
    writeFileSync(file, JSON.stringify({ auths: { [registry.host]: entry } }));
    const flag = ["--authfile", file];
    ok(await box.tsbox("push", "-q", ...flag, image.reference, `${registry.host}/app:1`));
    assert.equal(tokens.requests.splice(0), [{ method: "POST", scopes: ["repository:app:pull,push"], user: USER }]);
    writeFileSync(file, JSON.stringify({ auths: { [registry.host]: { ...entry, identitytoken: "stolen" } } }));
    const refused = await box.tsbox("pull", ...flag, `${registry.host}/app:1`);
    assert.is(refused.code, 1);
    assert.match(refused.stderr, /token server 127\.0\.0\.1:\d+: registry answered 401 UNAUTHORIZED/);
    assert.not.match(refused.stderr, "stolen");
  }),
);

need(["user-namespace", "not-root", "docker-registry", "python3"], test)(
  "at a terminal name and password are asked for, and the password is not shown",
  async () => {
    await using box = workspace();
    await using registry = await startRegistry({ auth: "htpasswd" });
    // types what follows each question, with a slip that is taken back
    const typist = join(box.dir, "typist.py");
    writeFileSync(
      typist,
      `
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen = b""
def until(word):
    global seen
    end = time.time() + 20
    while word not in seen and time.time() < end:
        if select.select([fd], [], [], 0.1)[0]:
            seen += os.read(fd, 1000)
until(b"Username: ")
os.write(fd, b"frix\\x7fend\\r")
until(b"Password: ")
os.write(fd, b"open sesamo\\x7fe\\r")
until(b"Login Succeeded")
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`,
    );
    const typed = await box.program("python3", [typist, TSBOX, "login", registry.host]);
    assert.match(ok(typed), /Username: [\s\S]*Password: \r\n[\s\S]*Login Succeeded/);
    assert.not.match(typed.stdout, "sesam");
    assert.is(ok(await box.tsbox("login", "--get-login", registry.host)), USER);
  },
);

need(["user-namespace", "not-root", "docker-registry", "skopeo"], test)(
  "skopeo and podman know who tsbox logged in, and the other way round",
  async () => {
    await using box = workspace();
    await using registry = await startRegistry({ auth: "htpasswd" });
    ok(await login(box, registry.host));
    assert.is(ok(await box.program("skopeo", ["login", "--get-login", registry.host])), USER);
    ok(await box.program("skopeo", ["logout", registry.host]));
    assert.is((await box.tsbox("login", "--get-login", registry.host)).code, 1);
    const args = ["login", "--tls-verify=false", "-u", USER, "--password-stdin", registry.host];
    ok(await box.program("skopeo", args, { input: PASSWORD }));
    assert.is(ok(await box.tsbox("login", "--get-login", registry.host)), USER);
  },
);

test.run();
