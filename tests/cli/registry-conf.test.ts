/** registries.conf as the user of `pull` and `search` meets it: mirrors, short names, what is blocked. */
import { writeFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fakeRegistry } from "../support/fake-registry.ts";
import { need } from "../support/need.ts";
import { type Result, type Workspace, workspace } from "../support/tsbox.ts";

const able = need(["user-namespace", "not-root"], test);

function ok(result: Result): string {
  assert.is(result.code, 0, result.stderr);
  return result.stdout.trimEnd();
}

function configure(box: Workspace, ...lines: string[]): void {
  writeFileSync(box.env.CONTAINERS_REGISTRIES_CONF as string, lines.join("\n"));
}

able("a mirror is asked first, and the registry itself for what the mirror lacks", async () => {
  await using box = workspace();
  await using mirror = await fakeRegistry();
  await using origin = await fakeRegistry();
  const there = await mirror.add("copies/app", "1", [{ a: "one" }]);
  await origin.add("app", "1", [{ a: "one" }]);
  const elsewhere = await origin.add("app", "2", [{ a: "two" }]);
  configure(
    box,
    "[[registry]]",
    `location = "${origin.host}"`,
    "[[registry.mirror]]",
    `location = "${mirror.host}/copies"`,
  );
  ok(await box.tsbox("pull", "-q", `${origin.host}/app:1`));
  assert.equal(origin.requests, []);
  assert.is(
    ok(await box.tsbox("images", "--format", "{{.Repository}} {{.Digest}}")),
    `${origin.host}/app ${there.digest}`,
  );
  ok(await box.tsbox("pull", "-q", `${origin.host}/app:2`));
  assert.ok(mirror.requests.includes("GET /v2/copies/app/manifests/2"));
  assert.is(ok(await box.tsbox("images", "--format", "{{.Digest}}", `${origin.host}/app:2`)), elsewhere.digest);
  const missing = await box.tsbox("pull", "-q", `${origin.host}/app:3`);
  assert.match(missing.stderr, /registry answered 404[\s\S]*because: its mirrors failed first: .*404/);
});

able("a mirror for digests only is not asked for tags; one that is gone stops nobody", async () => {
  await using box = workspace();
  await using mirror = await fakeRegistry();
  await using origin = await fakeRegistry();
  await mirror.add("app", "1", [{ a: "one" }]);
  const { digest } = await origin.add("app", "1", [{ a: "one" }]);
  configure(
    box,
    "[[registry]]",
    `location = "${origin.host}"`,
    "mirror-by-digest-only = true",
    "[[registry.mirror]]",
    'location = "127.0.0.1:1"',
    "[[registry.mirror]]",
    `location = "${mirror.host}"`,
  );
  ok(await box.tsbox("pull", "-q", `${origin.host}/app:1`));
  assert.equal(mirror.requests, []);
  ok(await box.tsbox("pull", "-q", `${origin.host}/app@${digest}`));
  assert.ok(mirror.requests.includes(`GET /v2/app/manifests/${digest}`));
});

able("a short name is looked for where the file says, and found by it again", async () => {
  await using box = workspace();
  await using first = await fakeRegistry();
  await using second = await fakeRegistry();
  const { config } = await second.add("team/app", "1", [{ a: "one" }]);
  configure(box, `unqualified-search-registries = ["${first.host}", "${second.host}"]`);
  assert.is(ok(await box.tsbox("pull", "-q", "team/app:1")), `${second.host}/team/app:1`);
  assert.is(ok(await box.tsbox("inspect", "--format", "{{.Id}}", "team/app:1")), config);
  const asked = second.requests.length;
  const ran = await box.tsbox("run", "--rm", "--pull", "missing", "team/app:1");
  assert.not.match(ran.stderr, "pulling");
  assert.is(second.requests.length, asked);
  const missing = await box.tsbox("pull", "team/app:2");
  assert.is(missing.code, 1);
  assert.match(missing.stderr, /Cannot pull "team\/app:2": none of 2 registries has it/);
  assert.ok(
    [first, second].every(({ host }) => missing.stderr.includes(`"${host}/team/app:2"`)),
    missing.stderr,
  );
});

able("an alias says what one name means; what is blocked is refused before anybody is asked", async () => {
  await using box = workspace();
  await using registry = await fakeRegistry();
  await registry.add("deep/inside/app", "latest", [{ a: "one" }]);
  const host = `prefix = "${registry.host}/deep/secret"`;
  configure(
    box,
    "[aliases]",
    `tool = "${registry.host}/deep/inside/app"`,
    "[[registry]]",
    host,
    `location = "${registry.host}/deep/secret"`,
    "blocked = true",
  );
  assert.is(ok(await box.tsbox("pull", "-q", "tool")), `${registry.host}/deep/inside/app:latest`);
  registry.requests.splice(0);
  const blocked = await box.tsbox("pull", `${registry.host}/deep/secret/app`);
  assert.is(blocked.code, 1);
  assert.match(blocked.stderr, /is blocked\nhint: by .*registries\.conf/);
  assert.equal(registry.requests, []);
});

able("a file that cannot be understood is told by its name and place", async () => {
  await using box = workspace();
  for (const [text, words] of [
    ["[[registry", /Cannot read ".*registries\.conf": /],
    ['[[registry]]\ninsecure = "yes"\nlocation = "a"', /insecure is neither true nor false/],
    ["[[registry]]\ninsecure = true", /has neither prefix nor location/],
    ["[registries.search]\nregistries = []", /version 1 of the format/],
  ] as const) {
    configure(box, text);
    const result = await box.tsbox("pull", "127.0.0.1:1/app");
    assert.is(result.code, 1, result.stderr);
    assert.match(result.stderr, words);
  }
});

able("search asks the registry's own search where it has one, and its catalogue where not", async () => {
  await using box = workspace();
  await using registry = await fakeRegistry();
  registry.on("/v2/_catalog", (request, response) => {
    const next = (request.url ?? "").includes("last=") ? {} : { link: '</v2/_catalog?last=b>; rel="next"' };
    response.writeHead(200, next);
    response.end(JSON.stringify({ repositories: Object.keys(next).length > 0 ? ["team/a", "b"] : ["team/c"] }));
  });
  const names = ["--format", "{{.Name}}"];
  assert.is(
    ok(await box.tsbox("search", ...names, `${registry.host}/team`)),
    `${registry.host}/team/a\n${registry.host}/team/c`,
  );
  assert.is(ok(await box.tsbox("search", ...names, "--limit", "1", `${registry.host}/`)), `${registry.host}/team/a`);
  registry.on("/v1/search", (request, response) => {
    assert.match(request.url ?? "", /q=app&n=25/);
    const one = { name: "app", description: "an app\u001b[31m", star_count: 7, is_official: true };
    response.end(JSON.stringify({ results: [one, { name: "x/app", star_count: 1 }] }));
  });
  configure(box, `unqualified-search-registries = ["${registry.host}"]`);
  const table = ok(await box.tsbox("search", "app")).split("\n");
  assert.match(table[0] ?? "", /^NAME +DESCRIPTION +STARS +OFFICIAL$/);
  assert.match(table[1] ?? "", /\/app +an app\\x1b\[31m +7 +\[OK\]$/);
  assert.is(table.length, 3);
  assert.is(ok(await box.tsbox("search", ...names, "-f", "stars=2", "app")), `${registry.host}/app`);
  const page = '<https://elsewhere.example/>; rel="next"';
  registry.on("/tags/list", (_, response) => {
    response.writeHead(200, { link: page });
    response.end(JSON.stringify({ name: "app", tags: ["1", "2"] }));
  });
  const elsewhere = await box.tsbox("search", "--list-tags", `${registry.host}/app`);
  assert.match(elsewhere.stderr, /the next page is said to be at "https:\/\/elsewhere/);
  registry.on("/tags/list", (_, response) => response.end(JSON.stringify({ name: "app", tags: ["1", "2"] })));
  assert.is(
    ok(await box.tsbox("search", "--list-tags", "--format", "{{.Name}} {{.Tag}}", `${registry.host}/app`)),
    `${registry.host}/app 1\n${registry.host}/app 2`,
  );
});

test.run();
