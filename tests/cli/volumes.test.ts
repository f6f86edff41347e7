/** Volumes: what outlives a container, what goes with it, and what the image puts there. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ROOT, TSBOX, workspace } from "../support/tsbox.ts";

const box = workspace();
test.after(() => box[Symbol.asyncDispose]());

const sh = (script: string, ...flags: string[]) => box.tsbox("run", "--rm", ...flags, "base", "sh", "-c", script);
const volume = (...args: string[]) => box.tsbox("volume", ...args);
const names = async (...flags: string[]) =>
  (await volume("ls", "-q", ...flags)).stdout.split("\n").filter((line) => line !== "");
const dataOf = (name: string) => join(box.dir, "store/volumes", name, "data");

test("a named volume keeps what is written to it, for other containers too", async () => {
  assert.is((await sh("echo kept > /d/file", "-v", "kept:/d")).code, 0);
  assert.is((await sh("cat /elsewhere/file", "-v", "kept:/elsewhere:ro")).stdout, "kept\n");
  assert.is(readFileSync(join(dataOf("kept"), "file"), "utf8"), "kept\n");
  assert.is.not((await sh("echo x > /d/file", "-v", "kept:/d:ro")).code, 0);
});

test("a fresh volume gets what the image has at its place, once", async () => {
  const before = (await sh("cd /etc; ls -ln os-release passwd profile")).stdout;
  const script = "cd /etc; ls -ln os-release passwd profile; rm passwd; echo mine > profile";
  assert.is((await sh(script, "-v", "etc:/etc")).stdout, before);
  assert.is((await sh("cat /etc/profile; ls /etc/passwd", "-v", "etc:/etc")).stdout, "mine\n");
  // the image itself is as it was
  assert.is((await sh("ls /etc/passwd")).stdout, "/etc/passwd\n");
});

test("modes, links, times and names that are no text arrive in the volume", async () => {
  const root = join(box.dir, "tree");
  mkdirSync(join(root, "data/sub/deep"), { recursive: true });
  const script =
    "cp -a /bin /etc /usr /sbin /r/; cd /r/data; echo a > a; ln a sub/b; ln -s ../a sub/l; mkfifo p; chmod 4751 a; " +
    "touch $(printf 'x\\377y'); chmod 1770 sub; touch -d '2001-02-03 00:00' a sub sub/deep";
  assert.is((await sh(script, "-v", `${root}:/r`)).code, 0);
  assert.is((await box.tsbox("run", "--rm", "--rootfs", root, "-v", "tree:/data", "true")).code, 0);
  const list = (path: string) =>
    box.program(process.execPath, ["--import", "tsx", "tests/support/list-tree.ts", path], { cwd: ROOT });
  const { stdout } = await list(dataOf("tree"));
  assert.match(stdout, /"path":"sub\/b".*"link":"a"/);
  assert.is(stdout, (await list(join(root, "data"))).stdout);
});

test("a copy that was cut off is made again, beside what is there", async () => {
  await volume("create", "cut");
  writeFileSync(join(dataOf("cut"), "passwd"), "half");
  writeFileSync(join(dataOf("cut"), "mine"), "");
  writeFileSync(join(dataOf("cut"), "../lock"), "c");
  assert.is(
    (await sh("head -c 4 /etc/passwd; ls /etc | grep -c -e os-release -e mine", "-v", "cut:/etc")).stdout,
    "root2\n",
  );
});

test("containers that start together with one fresh volume find all of it", async () => {
  const many = [1, 2, 3].map(() => sh("ls /bin | wc -l", "-v", "together:/bin"));
  const counts = (await Promise.all(many)).map(({ stdout }) => stdout);
  assert.equal(counts, [counts[0], counts[0], counts[0]]);
  assert.is((await sh("ls /bin | wc -l")).stdout, counts[0]);
});

test("nocopy leaves a volume empty", async () => {
  assert.is((await sh("ls -A /etc | grep -v -e ^hosts -e ^hostname -e ^resolv", "-v", "bare:/etc:nocopy")).stdout, "");
  const flag = "type=volume,src=bare2,dst=/home,volume-nocopy";
  assert.is((await sh("ls -A /home", "--mount", flag)).code, 0);
});

test("a volume that somebody filled is not touched by an image", async () => {
  await volume("create", "own");
  writeFileSync(join(dataOf("own"), "mine"), "x");
  assert.is((await sh("ls /etc", "-v", "own:/etc:rw,z")).code, 0);
  assert.equal(
    readdirSync(dataOf("own")).filter((name) => !/^(hosts|hostname|resolv.conf)$/.test(name)),
    ["mine"],
  );
});

test("anonymous volumes go with --rm and with rm -v, not with rm", async () => {
  const before = await names();
  assert.is((await sh("echo x > /a/x", "-v", "/a")).code, 0);
  assert.equal(await names(), before);
  await box.tsbox("run", "--name", "anon", "-v", "/a", "base", "true");
  assert.is((await names("-f", "anonymous=true")).length, 1);
  await box.tsbox("rm", "-v", "anon");
  assert.equal(await names(), before);
  await box.tsbox("run", "--name", "anon", "-v", "/a", "-v", "named:/b", "base", "true");
  await box.tsbox("rm", "anon");
  assert.is((await names("-f", "anonymous=true")).length, 1);
  const { stdout } = await volume("prune", "-f");
  assert.match(stdout, /^Deleted Volumes:\n[0-9a-f]{64}\n\nTotal reclaimed space: /);
  assert.ok((await names()).includes("named"));
});

test("create, ls, inspect and exists tell of a volume", async () => {
  assert.is((await volume("create", "--label", "a=b", "told")).stdout, "told\n");
  assert.is((await volume("create", "told")).stdout, "told\n");
  assert.match((await volume("create")).stdout, /^[0-9a-f]{64}\n$/);
  assert.match((await volume("ls", "--filter", "label=a=b")).stdout, /^DRIVER +VOLUME NAME\nlocal +told\n$/);
  assert.is((await volume("ls", "--filter", "name=tol", "--format", "{{.Name}} {{.Labels}}")).stdout, "told a=b\n");
  const [seen] = JSON.parse((await volume("inspect", "told")).stdout);
  assert.is(seen.Mountpoint, dataOf("told"));
  assert.equal(seen.Labels, { a: "b" });
  assert.is((await volume("exists", "told")).code, 0);
  assert.is((await volume("exists", "nothing")).code, 1);
  assert.is((await volume("inspect", "nothing")).code, 1);
});

test("a volume that a container has is not removed", async () => {
  await box.tsbox("run", "--name", "user", "-v", "used:/d", "base", "true");
  const { code, stderr } = await volume("rm", "used");
  assert.is(code, 1);
  assert.match(stderr, /Cannot remove volume "used": container user uses it/);
  assert.ok(!(await names("-f", "dangling=true")).includes("used"));
  assert.is((await volume("rm", "--force", "used")).code, 1);
  await box.tsbox("rm", "user");
  assert.is((await volume("rm", "used")).stdout, "used\n");
  assert.not.ok(existsSync(dataOf("used")));
  assert.is((await volume("rm", "used")).code, 1);
  assert.is((await volume("rm", "--force", "used")).code, 0);
});

test("names that are paths are refused", async () => {
  for (const name of ["../x", "a/b", ".", "..", "-x", ""]) {
    assert.is.not((await volume("create", "--", name)).code, 0, name);
    assert.is.not((await volume("rm", "--", name)).code, 0, name);
  }
  const { code, stderr } = await sh("true", "-v", "a/b:/x");
  assert.is(code, 125);
  assert.match(stderr, /for a directory of the host write "\.\/a\/b"/);
});

test("driver options: a tmpfs, a folder of the host, and what needs root", async () => {
  await volume("create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,mode=1770", "memory");
  assert.match((await sh("grep ' /m ' /proc/mounts", "-v", "memory:/m")).stdout, /size=1024k,mode=1770/);
  const folder = join(box.dir, "folder");
  mkdirSync(folder);
  await volume("create", "-o", "type=none", "-o", "o=bind", "-o", `device=${folder}`, "bound");
  await sh("echo x > /m/x", "-v", "bound:/m");
  assert.is(readFileSync(join(folder, "x"), "utf8"), "x\n");
  const { code, stderr } = await volume("create", "-o", "type=nfs", "-o", "device=:/x", "remote");
  assert.is(code, 1);
  assert.match(stderr, /Cannot use volume "remote": mounting type "nfs" needs root/);
});

test("--volumes-from gives the volumes and binds of another container, ro if asked", async () => {
  await box.tsbox(
    "run",
    "--name",
    "giver",
    "-v",
    "given:/g",
    "-v",
    "/h",
    "base",
    "sh",
    "-c",
    "echo g >/g/f; echo h >/h/f",
  );
  assert.is((await sh("cat /g/f /h/f", "--volumes-from", "giver")).stdout, "g\nh\n");
  assert.is.not((await sh("echo x > /g/f", "--volumes-from", "giver:ro")).code, 0);
  assert.is((await sh("cat /h/f", "--volumes-from", "giver")).stdout, "h\n");
  await box.tsbox("rm", "-v", "giver");
});

test("--volumes-from keeps an anonymous volume when the --rm container that made it ends", async () => {
  await box.tsbox("run", "-d", "--rm", "--name", "brief", "-v", "/h", "base", "sh", "-c", "echo h > /h/f; sleep 100");
  const taker = [
    "run",
    "--name",
    "taker",
    "--volumes-from",
    "brief",
    "base",
    "sh",
    "-c",
    "until grep h /h/f; do :; done",
  ];
  assert.match((await box.tsbox(...taker)).stdout, /h\n/);
  await box.tsbox("run", "--name", "second", "--volumes-from", "brief:ro", "base", "true");
  await box.tsbox("rm", "-f", "brief");
  assert.is((await sh("cat /h/f", "--volumes-from", "taker")).stdout, "h\n");
  assert.is((await sh("cat /h/f", "--volumes-from", "second")).stdout, "h\n");
  assert.is((await names("-f", "anonymous=true", "-f", "dangling=false")).length, 1);
  await box.tsbox("rm", "taker", "second");
  await volume("prune", "-f");
});

test("a new volume where the image has nothing is the user's, another one stays root's", async () => {
  const { stdout } = await sh("stat -c '%u %g %a' /mine /etc", "-u", "12:13", "-v", "mine:/mine", "-v", "roots:/etc");
  const many = !/one id only/.test((await sh("true")).stderr);
  if (many) assert.is(stdout, "12 13 755\n0 0 755\n");
});

test("VOLUMEs of an image become anonymous volumes, a tmpfs, or nothing", async () => {
  const image = join(box.dir, "image");
  mkdirSync(image);
  await sh("cp -a /bin /etc /usr /sbin /r/; mkdir /r/data; echo fresh > /r/data/file", "-v", `${image}:/r`);
  const tar = await box.program("sh", [
    "-c",
    `tar -C ${image} -c . | "$0" import -c 'VOLUME ["/data"]' - with-volume`,
    TSBOX,
  ]);
  assert.is(tar.code, 0, tar.stderr);
  const show = "cat /data/file; grep ' /data ' /proc/mounts | cut -d ' ' -f 3";
  const run = (...flags: string[]) => box.tsbox("run", "--rm", ...flags, "with-volume", "sh", "-c", show);
  assert.match((await run()).stdout, /^fresh\n\w+\n$/);
  assert.is((await run("--image-volume", "tmpfs")).stdout, "tmpfs\n");
  assert.is((await run("--image-volume", "ignore")).stdout, "fresh\n");
  assert.match((await run("-v", "instead:/data")).stdout, /^fresh\n\w+\n$/);
  assert.ok((await names()).includes("instead"));
  assert.equal(await names("-f", "anonymous=true"), []);
});

test("inspect shows mounts in docker's form", async () => {
  await box.tsbox("run", "--name", "shown", "-v", "seen:/v:ro", "-v", `${box.dir}:/b`, "base", "true");
  const [{ Mounts }] = JSON.parse((await box.tsbox("inspect", "shown")).stdout);
  assert.equal(Mounts, [
    {
      Type: "volume",
      Name: "seen",
      Source: dataOf("seen"),
      Destination: "/v",
      Driver: "local",
      Mode: "ro",
      RW: false,
      Propagation: "",
    },
    { Type: "bind", Source: box.dir, Destination: "/b", Mode: "", RW: true, Propagation: "rprivate" },
  ]);
});

test.run();
