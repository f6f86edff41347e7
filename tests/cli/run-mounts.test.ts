/** What of the host a container sees, and what it can write. */
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { workspace } from "../support/tsbox.ts";

const box = workspace();
test.after(() => box[Symbol.asyncDispose]());

const folder = join(box.dir, "folder");
mkdirSync(folder);
writeFileSync(join(folder, "file"), "content\n");

const run = (...args: string[]) => box.tsbox("run", "--rm", ...args);
const sh = (script: string, ...flags: string[]) => run(...flags, "base", "sh", "-c", script);

test("-v shows a folder of the host, and what is written there is the caller's", async () => {
  const { code, stdout } = await sh("cat /data/file && echo new > /data/new", "-v", `${folder}:/data`);
  assert.is(code, 0);
  assert.is(stdout, "content\n");
  assert.is(readFileSync(join(folder, "new"), "utf8"), "new\n");
  assert.is(statSync(join(folder, "new")).uid, process.getuid?.());
});

test("-v with ro cannot be written", async () => {
  const { code, stderr } = await sh("echo x > /data/refused", "-v", `${folder}:/data:ro`);
  assert.is.not(code, 0);
  assert.match(stderr, /[Rr]ead-only/);
  assert.not.ok(existsSync(join(folder, "refused")));
});

test("-v shows one file, over one of the image or where there is none", async () => {
  const file = join(folder, "file");
  assert.is((await sh("cat /etc/passwd", "-v", `${file}:/etc/passwd`)).stdout, "content\n");
  assert.is((await sh("cat /a/b/c", "-v", `${file}:/a/b/c:ro`)).stdout, "content\n");
});

test("-v takes a relative source from the current directory", async () => {
  const { stdout } = await box.run(["run", "--rm", "-v", "./folder:/d", "base", "cat", "/d/file"], { cwd: box.dir });
  assert.is(stdout, "content\n");
});

test("-v makes a missing source as a folder", async () => {
  const missing = join(box.dir, "not/yet");
  assert.is((await sh("echo x > /d/made", "-v", `${missing}:/d`)).code, 0);
  assert.is(readFileSync(join(missing, "made"), "utf8"), "x\n");
});

test("--mount refuses a missing source", async () => {
  const { code, stderr } = await sh("true", "--mount", `type=bind,source=${box.dir}/none,target=/d`);
  assert.is(code, 125);
  assert.match(stderr, /Cannot mount ".*\/none": it does not exist/);
  assert.not.ok(existsSync(join(box.dir, "none")));
});

test("--mount type=bind with readonly", async () => {
  const flag = `type=bind,src=${folder},dst=/d,readonly`;
  const { code, stdout } = await sh("cat /d/file; touch /d/y 2>/dev/null && echo written", "--mount", flag);
  assert.is(stdout, "content\n");
  assert.is.not(code, 0);
});

test("a target that is a symbolic link of the image cannot lead to the host", async () => {
  const { code } = await sh("true", "-v", `${folder}:/proc/1/root/x`);
  assert.is.not(code, 126);
  assert.not.ok(existsSync("/x"));
});

test("a source that is a symbolic link is followed on the host", async () => {
  symlinkSync("folder", join(box.dir, "link"));
  assert.is((await sh("cat /d/file", "-v", `${box.dir}/link:/d`)).stdout, "content\n");
});

test("mounts below mounts are seen whatever the order of the flags", async () => {
  mkdirSync(join(folder, "sub"), { recursive: true });
  const flags = ["-v", `${folder}/file:/d/sub/inner`, "--tmpfs", "/d/sub", "-v", `${folder}:/d`];
  assert.is((await sh("cat /d/sub/inner /d/file", ...flags)).stdout, "content\ncontent\n");
});

test("-v with O: writes are the container's alone, other mounts lie on it", async () => {
  const script = "echo new > /d/file; cat /d/file; echo x > /d/only; cat /d/under/file";
  const { stdout } = await sh(script, "-v", `${folder}:/d:O`, "-v", `${folder}:/d/under:ro`);
  assert.is(stdout, "new\ncontent\n");
  assert.is(readFileSync(join(folder, "file"), "utf8"), "content\n");
  assert.not.ok(existsSync(join(folder, "only")));
  assert.match((await sh("true", "-v", `${folder}/file:/f:O`)).stderr, /as an overlay: it is not a folder/);
  assert.match((await sh("true", "-v", `${folder}/none:/f:O`)).stderr, /it does not exist/);
});

test("-v with U gives everything to the container's user", async () => {
  const given = join(box.dir, "given");
  mkdirSync(join(given, "sub"), { recursive: true });
  writeFileSync(join(given, "sub/file"), "");
  symlinkSync("/etc/passwd", join(given, "link"));
  const single = /one id only/.test((await sh("true")).stderr);
  if (single) return;
  const { stdout } = await sh("stat -c %u /g /g/sub/file /g/link; touch /g/sub/new", "-u", "5", "-v", `${given}:/g:U`);
  assert.is(stdout, "5\n5\n5\n");
  assert.is((await sh("stat -c %u /g/sub/new", "-v", `${given}:/g:U`)).stdout, "0\n");
  assert.is(statSync(join(given, "sub/new")).uid, process.getuid?.());
  assert.match((await sh("true", "-v", "/etc:/g:U")).stderr, /Cannot change the owner of everything in "\/etc"/);
});

test("--mount type=image shows an image, read-only or with writes that are lost", async () => {
  const script = "ls /i/bin/sh; touch /i/x 2>/dev/null && echo written";
  assert.is((await sh(script, "--mount", "type=image,src=base,dst=/i")).stdout, "/i/bin/sh\n");
  assert.is((await sh(script, "--mount", "type=image,src=base,dst=/i,rw=true")).stdout, "/i/bin/sh\nwritten\n");
  assert.is(
    (await sh("cat /i/os-release | head -1 | cut -c 1-4", "--mount", "type=image,src=base,dst=/i,subpath=etc")).code,
    0,
  );
  assert.is((await sh("true", "--mount", "type=image,src=base,dst=/i,subpath=none")).code, 125);
});

test("a part of a volume, which must be there", async () => {
  await sh("mkdir /v/part; echo p > /v/part/f", "-v", "parts:/v");
  const part = (path: string) => ["--mount", `type=volume,src=parts,dst=/p,volume-subpath=${path}`];
  assert.is((await sh("cat /p/f", ...part("part"))).stdout, "p\n");
  assert.is((await sh("cat /p", ...part("part/f"))).stdout, "p\n");
  assert.is((await sh("true", ...part("none"))).code, 125);
});

test("keep-id: files in a bind mount are the caller's, who has a name", async () => {
  const single = /one id only/.test((await sh("true")).stderr);
  const script = 'id -u; whoami; stat -c %U /d/file; grep -c "^$(whoami):" /etc/passwd /etc/group';
  const { stdout } = await sh(script, "--userns", "keep-id", "-v", `${folder}:/d`);
  const { username, uid } = userInfo();
  if (/^[a-z_][a-z0-9_.-]*$/i.test(username)) {
    assert.is(stdout, `${uid}\n${username}\n${username}\n/etc/passwd:1\n/etc/group:1\n`);
  }
  assert.is((await sh("id -u", "--userns", "keep-id", "-u", username)).stdout, `${uid}\n`);
  // without --userns the image's own file is shown
  assert.is((await sh(`grep -c ":${uid}:" /etc/passwd`)).stdout, "0\n");
  if (single) return;
  const root = await sh(
    "echo new::5::: >> /etc/passwd; mv /etc/passwd /etc/p; mv /etc/p /etc/passwd && echo moved",
    "--userns",
    "keep-id",
    "-u",
    "0",
  );
  assert.is(root.stdout, "moved\n");
});

test("two mounts on one target are refused", async () => {
  const { code, stderr } = await sh("true", "-v", `${folder}:/d`, "--tmpfs", "/d");
  assert.is(code, 125);
  assert.match(stderr, /Cannot mount on "\/d": two mounts name it/);
});

test("--tmpfs is empty, writable and of the asked size", async () => {
  const script = "ls -A /t; echo x > /t/f; grep ' /t ' /proc/mounts; stat -c %a /t";
  const { stdout } = await sh(script, "--tmpfs", "/t:size=1m,mode=1770");
  assert.match(stdout, /^tmpfs \/t tmpfs .*size=1024k.*\n1770\n$/);
});

test("a tmpfs has docker's flags, exec undoes one", async () => {
  const script =
    "grep ' /[tx] ' /proc/mounts | cut -d ' ' -f 2,4 | cut -d , -f 1-4; cp /bin/true /x/ && /x/true && echo ran";
  const { stdout } = await sh(script, "--tmpfs", "/t", "--tmpfs", "/x:exec");
  assert.is(stdout, "/t rw,nosuid,nodev,noexec\n/x rw,nosuid,nodev,relatime\nran\n");
});

test("--mount type=tmpfs with a size", async () => {
  const { stdout } = await sh("grep ' /t ' /proc/mounts", "--mount", "type=tmpfs,target=/t,tmpfs-size=2m");
  assert.match(stdout, /size=2048k/);
});

test("--read-only closes the root, not /dev/shm nor a tmpfs", async () => {
  const script = "touch /x 2>&1; touch /etc/x 2>&1; touch /dev/shm/y && touch /tmp/z && echo fine";
  const { stdout } = await sh(script, "--read-only", "--tmpfs", "/tmp");
  assert.match(stdout, /\/x: Read-only.*\n.*\/etc\/x: Read-only.*\nfine\n$/);
});

test("--read-only with a mount on a place that the image lacks", async () => {
  assert.is((await sh("cat /new/place/file", "--read-only", "-v", `${folder}:/new/place`)).stdout, "content\n");
});

test("--shm-size sets the size of /dev/shm", async () => {
  assert.match((await sh("grep shm /proc/mounts", "--shm-size", "1m")).stdout, /size=1024k/);
});

test("--rootfs uses a folder as root, and writes stay in it", async () => {
  const root = join(box.dir, "root");
  mkdirSync(root);
  await run("-v", `${root}:/out`, "base", "sh", "-c", "cp -a /bin /etc /usr /sbin /out/");
  const { code, stdout } = await box.tsbox("run", "--rm", "--rootfs", root, "sh", "-c", "echo hi > /written; echo $$");
  assert.is(code, 0);
  assert.is(stdout, "1\n");
  assert.is(readFileSync(join(root, "written"), "utf8"), "hi\n");
});

test("--rootfs with something else than a folder is refused", async () => {
  const { code, stderr } = await box.tsbox("run", "--rm", "--rootfs", join(folder, "file"), "true");
  assert.is(code, 125);
  assert.match(stderr, /Cannot use root filesystem .* not a directory/);
});

test("the image is not changed by what a container writes", async () => {
  assert.is((await sh("echo changed > /etc/passwd; rm /bin/vi; ls /bin | wc -l")).code, 0);
  assert.is((await sh("grep -c changed /etc/passwd; ls /bin/vi")).stdout, "0\n/bin/vi\n");
});

test("kernel state is masked or read-only", async () => {
  const script = "cat /proc/keys | wc -c; ls /sys/firmware | wc -l; echo 1 > /proc/sys/kernel/hostname";
  const { stdout, code } = await sh(`(${script}) 2>/dev/null`);
  assert.is(stdout, "0\n0\n");
  assert.is.not(code, 0);
});

test("a tmpfs with tmpcopyup begins with what the image has there", async () => {
  const say = "ls /etc/passwd; touch /etc/new 2>/dev/null && echo written";
  const run = async (flag: string) => (await box.tsbox("run", "--rm", flag, "base", "sh", "-c", say)).stdout;
  assert.is(await run("--tmpfs=/etc:tmpcopyup"), "/etc/passwd\nwritten\n");
  assert.is(await run("--tmpfs=/etc:tmpcopyup,ro"), "/etc/passwd\n");
  assert.is(await run("--mount=type=tmpfs,target=/etc,tmpcopyup"), "/etc/passwd\nwritten\n");
  assert.is(await run("--tmpfs=/etc"), "written\n");
});

test.run();
