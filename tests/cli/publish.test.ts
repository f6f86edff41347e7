/** Published ports: servers in containers, clients outside. */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { buffer } from "node:stream/consumers";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { freePort, freePorts } from "../support/ports.ts";
import { workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";

const box = workspace();
test.after(() => box[Symbol.asyncDispose]());
const tsbox = (...args: string[]) => box.tsbox(...args);
const hasIPv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === "::1"));

const WEB = "mkdir -p /srv; hostname >/srv/index.html; exec httpd -f -p 80 -h /srv";
const web = (...flags: string[]) => serve(...flags, "base", "sh", "-c", WEB);
/** A server of this machine's own Node, which the image "host" has. */
const node = (script: string, ...flags: string[]) => serve(...flags, "host", process.execPath, "-e", script);

async function serve(...args: string[]) {
  const result = await tsbox("run", "-d", ...args);
  assert.is(result.code, 0, result.stderr);
  return result;
}

/** The connection as it was left; programs inside need a moment before they listen. */
async function get(port: number, host = "127.0.0.1"): Promise<string> {
  let body = "";
  await until(async () => {
    const name = host.includes(":") ? `[${host}]` : host;
    const answer = await fetch(`http://${name}:${port}/`, { headers: { connection: "close" } }).catch(() => undefined);
    if (answer === undefined) return false;
    body = await answer.text();
    return true;
  });
  return body;
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

/** Until the program inside listens, by the kernel's own list: a connection may be taken before, and reset later. */
async function listens(name: string): Promise<void> {
  const port = /:0007 [0-9A-F]+:0000 0A /;
  await until(async () => port.test((await tsbox("exec", name, "cat", "/proc/net/tcp", "/proc/net/tcp6")).stdout));
}

const hostPort = async (name: string, inside: number) =>
  Number((await tsbox("port", name, String(inside))).stdout.split("\n")[0]?.split(":").at(-1));
const remove = (...names: string[]) => tsbox("rm", "-f", "-t", "0", ...names);

test("a server in a container answers outside, and ps, port and inspect tell where", async () => {
  const port = await freePort();
  const { stdout } = await web("--name", "web", "-p", `${port}:80`, "--expose", "443");
  assert.is(await get(port), `${stdout.slice(0, 12)}\n`);
  if (hasIPv6) assert.is(await get(port, "::1"), `${stdout.slice(0, 12)}\n`);
  const every = hasIPv6 ? [`0.0.0.0:${port}`, `[::]:${port}`] : [`0.0.0.0:${port}`];
  assert.is((await tsbox("port", "web")).stdout, every.map((one) => `80/tcp -> ${one}\n`).join(""));
  assert.is((await tsbox("port", "web", "80")).stdout, every.map((one) => `${one}\n`).join(""));
  assert.is(
    (await tsbox("ps", "--format", "{{.Ports}}")).stdout,
    `${[...every.map((one) => `${one}->80/tcp`), "443/tcp"].join(", ")}\n`,
  );
  const inspected = JSON.parse((await tsbox("inspect", "web")).stdout)[0];
  const bindings = [
    { HostIp: "0.0.0.0", HostPort: String(port) },
    ...(hasIPv6 ? [{ HostIp: "::", HostPort: String(port) }] : []),
  ];
  assert.equal(inspected.NetworkSettings.Ports, { "443/tcp": null, "80/tcp": bindings });
  assert.equal(inspected.HostConfig.PortBindings["80/tcp"].length, 1);
  assert.equal(inspected.Config.ExposedPorts, { "443/tcp": {}, "80/tcp": {} });
  assert.is((await tsbox("port", "web", "443")).code, 1);
});

test("200 connections at once are served, and the monitor stays small", async () => {
  const port = await hostPort("web", 80);
  const bodies = await Promise.all(Array.from({ length: 200 }, () => get(port)));
  assert.is(new Set(bodies).size, 1);
  const monitor = (await tsbox("inspect", "--format", "{{.State.MonitorPid}}", "web")).stdout.trim();
  await until(() => Promise.resolve(readdirSync(`/proc/${monitor}/fd`).length < 100));
  const resident = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${monitor}/status`, "utf8"))?.[1]);
  assert.ok(resident <= 1024, `${resident} KiB`);
});

test("a port that is taken is refused before anything starts, with the name of who has it", async () => {
  const port = await hostPort("web", 80);
  const id = (await tsbox("inspect", "--format", "{{.Id}}", "web")).stdout.slice(0, 12);
  const free = await freePort();
  const { code, stdout, stderr } = await tsbox(
    ...["run", "--rm", "--name", "second", "-p", `${free}:81`, "-p", `${port}:80`, "base", "echo", "started"],
  );
  assert.is(code, 125);
  assert.is(stdout, "");
  assert.match(
    stderr,
    new RegExp(`Cannot publish port 0\\.0\\.0\\.0:${port}: it is in use\nhint: container ${id} has it`),
  );
  assert.is((await tsbox("container", "exists", "second")).code, 1);
  // the other port was given back
  await web("--name", "third", "-p", `${free}:80`);
  await get(free);
  await remove("third", "web");
  await assertRefused(port);
});

async function assertRefused(port: number): Promise<void> {
  const error = await open(port).catch((reason) => reason);
  assert.is(error.code, "ECONNREFUSED");
}

test("ports and addresses that cannot be had say why", async () => {
  const first = Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8"));
  if (first > 1 && process.getuid?.() !== 0) {
    const low = await tsbox("run", "--rm", "-p", `${first - 1}:80`, "base", "true");
    assert.is(low.code, 125);
    assert.match(low.stderr, /permission denied\nhint: ports below .*ip_unprivileged_port_start/);
  }
  const elsewhere = await tsbox("run", "--rm", "-p", "192.0.2.1:8080:80", "base", "true");
  assert.match(elsewhere.stderr, /192\.0\.2\.1:8080: no address of this machine/);
  const twice = await tsbox("run", "--rm", "-p", "8080:80", "-p", "8080:81", "base", "true");
  assert.match(twice.stderr, /ports 80 and 81: both are to be port 8080/);
  const udp = await tsbox("run", "--rm", "-p", "53:53/udp", "base", "true");
  assert.is(udp.code, 125);
  assert.match(udp.stderr, /only TCP/);
});

test("with the host's network, published ports are discarded with a warning", async () => {
  const { code, stderr } = await tsbox("run", "--rm", "--network", "host", "-p", "8080:80", "base", "true");
  assert.is(code, 0);
  assert.match(stderr, /^warning: published ports are discarded/);
});

test("a port of the host's choice stays the same over restarts", async () => {
  await web("--name", "random", "-p", "127.0.0.1::80");
  const port = await hostPort("random", 80);
  const body = await get(port);
  await tsbox("restart", "-t", "0", "random");
  assert.is(await hostPort("random", 80), port);
  assert.is(await get(port), body);
  await tsbox("stop", "-t", "0", "random");
  await assertRefused(port);
  assert.is((await tsbox("ps", "-a", "--format", "{{.Ports}}")).stdout, "\n");
  await tsbox("start", "random");
  assert.is(await get(port), body);
  await remove("random");
});

test("a restart policy starts the server on the same port again", async () => {
  await node(
    'require("http").createServer((q, s) => { s.end(String(process.hrtime.bigint())); s.on("close", () => process.exit(1)) }).listen(80)',
    ...["--name", "phoenix", "--restart", "always", "-p", "127.0.0.1::80"],
  );
  const port = await hostPort("phoenix", 80);
  const first = await get(port);
  assert.is.not(await get(port), first);
  await remove("phoenix");
});

test("-P publishes what is exposed, ranges pair, and one of several is chosen", async () => {
  await web("--name", "all", "-P", "--expose", "80-81", "--expose", "53/udp");
  assert.match((await tsbox("port", "all")).stdout, /^80\/tcp -> 0\.0\.0\.0:\d+\n(.*\n)?81\/tcp -> /);
  assert.not.match((await tsbox("port", "all")).stdout, /^53\//m);
  await get(await hostPort("all", 80));
  const first = await freePorts(21);
  await web("--name", "range", "-p", `127.0.0.1:${first}-${first + 1}:80-81`);
  assert.is(
    (await tsbox("ps", "--filter", "name=range", "--format", "{{.Ports}}")).stdout,
    `127.0.0.1:${first}-${first + 1}->80-81/tcp\n`,
  );
  await web("--name", "choice", "-p", `127.0.0.1:${first}-${first + 20}:80`);
  assert.ok((await hostPort("choice", 80)) > first + 1);
  await get(await hostPort("choice", 80));
  await remove("all", "range", "choice");
});

test("large bodies arrive whole in both directions at once", async () => {
  await node(
    'require("net").createServer({allowHalfOpen: true}, (s) => s.pipe(s)).listen(7)',
    ...["--name", "echo", "-p", "127.0.0.1::7"],
  );
  const port = await hostPort("echo", 7);
  await listens("echo");
  const sent = randomBytes(48 << 20);
  const socket = await open(port);
  const received = buffer(socket);
  socket.end(sent);
  const sum = (data: Buffer) => createHash("sha256").update(data).digest("hex");
  assert.is(sum(await received), sum(sent));
});

test("an end of one direction leaves the other open", async () => {
  await node(
    'require("net").createServer({allowHalfOpen: true}, (s) => { let n = 0; s.on("data", (d) => n += d.length); s.on("end", () => setTimeout(() => s.end("got " + n), 50)) }).listen(7)',
    ...["--name", "half", "-p", "127.0.0.1::7"],
  );
  const port = await hostPort("half", 7);
  await listens("half");
  const socket = await open(port);
  const received = buffer(socket);
  socket.end("x".repeat(1000));
  assert.is((await received).toString(), "got 1000");
  // the other way round: the server ends first, the client goes on
  await remove("half");
  await node(
    'require("net").createServer({allowHalfOpen: true}, (s) => { s.on("error", () => {}); s.end("bye"); s.on("data", (d) => console.log(String(d))) }).listen(7)',
    ...["--name", "half", "-p", "127.0.0.1::7"],
  );
  const again = await hostPort("half", 7);
  await listens("half");
  const other = await open(again);
  // read without what ends both directions at the end of one
  let said = "";
  other.on("data", (data) => {
    said += data;
  });
  await once(other, "end");
  assert.is(said, "bye");
  other.end("still here");
  await until(async () => (await tsbox("logs", "half")).stdout === "still here\n");
  await remove("half");
});

test("a slow reader slows the writer, and nobody else", async () => {
  await node(
    `require("net").createServer((s) => { const block = Buffer.alloc(1 << 20, 1); let n = 0;
       const more = () => { while (n < 200) { n++; if (!s.write(block)) return; } s.end(); };
       s.on("error", () => {}); s.on("drain", more); s.on("close", () => console.log("closed"));
       s.once("data", () => { more(); setInterval(() => console.log("at " + n), 100) }) }).listen(7)`,
    ...["--name", "source", "-p", "127.0.0.1::7"],
  );
  const port = await hostPort("source", 7);
  await listens("source");
  const slow = await open(port);
  slow.pause();
  slow.write("go");
  // it stands still, far from its end
  await until(async () => /at (\d+)\n(at \1\n){4}$/.test((await tsbox("logs", "source")).stdout));
  const at = Number(/at (\d+)\n$/.exec((await tsbox("logs", "source")).stdout)?.[1]);
  assert.ok(at < 100, String(at));
  const other = await open(await hostPort("echo", 7));
  other.end("quick");
  assert.is((await buffer(other)).toString(), "quick");
  slow.resume();
  assert.is((await buffer(slow)).length, 200 << 20);
  await remove("source", "echo");
});

test("a refusal inside ends the connection outside; who listens later is reached", async () => {
  await node(
    'process.once("SIGUSR2", () => require("net").createServer((s) => s.end("late")).listen(7)); setInterval(() => {}, 1e6); console.log("up")',
    ...["--name", "late", "-p", "127.0.0.1::7"],
  );
  const port = await hostPort("late", 7);
  await until(async () => (await tsbox("logs", "late")).stdout === "up\n");
  // the reset may come before this process has seen its connection made
  const early = await open(port).catch(() => undefined);
  if (early !== undefined) await new Promise((resolve) => early.on("close", resolve));
  await tsbox("kill", "-s", "USR2", "late");
  await answered(port, "late");
  await remove("late");
});

async function answered(port: number, text: string): Promise<void> {
  await until(async () => {
    const socket = await open(port).catch(() => undefined);
    return socket !== undefined && (await buffer(socket).catch(() => "")).toString() === text;
  });
}

for (const address of ["127.0.0.1", "::1", "127.0.1.1"]) {
  test(`a program that listens on ${address} alone is reached`, async () => {
    if (address === "::1" && !hasIPv6) return;
    await node(
      `require("net").createServer((s) => s.end("here")).listen(7, "${address}")`,
      ...["--name", "alone", "-p", "127.0.0.1::7"],
    );
    await answered(await hostPort("alone", 7), "here");
    await remove("alone");
  });
}

test("what a program wrote before it ended is delivered, and a kill ends connections", async () => {
  await node(
    'require("net").createServer((s) => { s.on("data", () => s.end(Buffer.alloc(3 << 20, 1), () => process.exit())) }).listen(7)',
    ...["--name", "last", "-p", "127.0.0.1::7"],
  );
  const port = await hostPort("last", 7);
  await listens("last");
  const socket = await open(port);
  socket.write("x");
  assert.is((await buffer(socket)).length, 3 << 20);
  await remove("last");

  await node(
    'require("net").createServer((s) => s.write("hello")).listen(7)',
    ...["--name", "victim", "-p", "127.0.0.1::7"],
  );
  const other = await hostPort("victim", 7);
  await listens("victim");
  const held = await open(other);
  const closed = once(held, "close");
  await once(held, "data");
  held.resume();
  held.on("end", () => held.end());
  await tsbox("kill", "victim");
  await closed;
  await until(async () => (await open(other).catch((error) => error)).code === "ECONNREFUSED");
  await remove("victim");
});

test("a run in the foreground publishes as well", async () => {
  const port = await freePort();
  const child = box.start(["run", "--rm", "-p", `127.0.0.1:${port}:80`, "base", "sh", "-c", WEB]);
  const ended = once(child, "exit");
  assert.match(await get(port), /^[0-9a-f]{12}\n$/);
  child.kill("SIGKILL");
  await ended;
});

test.run();
