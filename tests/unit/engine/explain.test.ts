import { test } from "uvu";
import * as assert from "uvu/assert";
import { explain, type FailedEvent } from "../../../runner/engine/explain.ts";

function failed(fields: Partial<FailedEvent>): FailedEvent {
  return {
    event: "failed",
    time: "0",
    op: "",
    index: 0,
    of: 0,
    path: "",
    errno: "",
    message: "",
    exitCode: 125,
    ...fields,
  };
}

const CASES: [name: string, event: Partial<FailedEvent>, code: string, message: RegExp, hint: RegExp][] = [
  [
    "a missing program",
    { op: "exec", path: "foo", message: "Cannot find the program", exitCode: 127 },
    "PROGRAM_NOT_FOUND",
    /^Cannot execute "foo": no such program in the container$/,
    /PATH/,
  ],
  [
    "a missing path",
    { op: "exec", path: "/bin/foo", message: "Cannot find the program", exitCode: 127 },
    "PROGRAM_NOT_FOUND",
    /"\/bin\/foo"/,
    /inside the container/,
  ],
  [
    "a missing interpreter",
    {
      op: "exec",
      path: "/x",
      errno: "ENOENT",
      message: "Cannot execute the program: its interpreter or loader is missing: No such file",
      exitCode: 126,
    },
    "NO_INTERPRETER",
    /interpreter or loader/,
    /#!/,
  ],
  [
    "another platform",
    {
      op: "exec",
      path: "/x",
      errno: "ENOEXEC",
      message: "Cannot execute the program: Exec format error",
      exitCode: 126,
    },
    "EXEC_FORMAT",
    /exec format error$/,
    /platform/,
  ],
  [
    "no permission",
    {
      op: "exec",
      path: "/etc",
      errno: "EACCES",
      message: "Cannot execute the program: Permission denied",
      exitCode: 126,
    },
    "NOT_EXECUTABLE",
    /permission denied$/,
    /x bit/,
  ],
  [
    "a missing working directory",
    {
      op: "cwd",
      path: "/nope",
      errno: "ENOENT",
      message: "Cannot enter the working directory: No such file or directory",
      index: 3,
      of: 9,
    },
    "NO_WORKDIR",
    /^Cannot enter working directory "\/nope": no such directory in the container$/,
    /-w/,
  ],
  [
    "a missing bind source",
    { op: "bind", path: "/src", errno: "ENOENT", message: "Cannot bind: No such file or directory" },
    "NO_MOUNT_SOURCE",
    /^Cannot mount "\/src": it does not exist$/,
    /--mount/,
  ],
  [
    "overlay refused",
    {
      op: "overlay",
      path: "/m",
      errno: "EPERM",
      message: "Cannot mount overlay: Operation not permitted",
      index: 4,
      of: 17,
    },
    "OVERLAY_REFUSED",
    /^Cannot mount overlay "\/m": Operation not permitted, EPERM \(op 4 of 17, overlay\)$/,
    /a store that you own/,
  ],
  [
    "overlay on overlay",
    { op: "overlay", errno: "EINVAL", message: "Cannot mount overlay: Invalid argument" },
    "OVERLAY_STORE",
    /EINVAL/,
    /NFS/,
  ],
  [
    "overlapping overlay",
    { op: "overlay-at", errno: "ELOOP", message: "Cannot mount overlay: x" },
    "OVERLAY_LOOP",
    /stands twice/,
    /overlap/,
  ],
  [
    "a masked /proc",
    { op: "proc", errno: "EPERM", message: "Cannot mount proc: x" },
    "PROC_REFUSED",
    /EPERM/,
    /unmask=ALL/,
  ],
  [
    "a bad filter",
    { op: "seccomp", errno: "EINVAL", message: "Cannot install the seccomp filter: x" },
    "SECCOMP",
    /EINVAL/,
    /seccomp=/,
  ],
  [
    "an unmapped user",
    { op: "user", errno: "EINVAL", message: "Cannot become user 70000: x" },
    "ID_NOT_MAPPED",
    /user 70000/,
    /subuid/,
  ],
  [
    "a high limit",
    { op: "rlimit", errno: "EPERM", message: "Cannot set the resource limit: x" },
    "RLIMIT",
    /hard limit/,
    /ulimit -H/,
  ],
  [
    "a dead container",
    { errno: "ESRCH", message: "Cannot find the process to join: x", path: "7" },
    "CONTAINER_GONE",
    /not running/,
    /ps -a/,
  ],
  [
    "newuidmap missing",
    { errno: "ENOENT", message: "Cannot start the program that writes the id map: x" },
    "MAP_TOOLS_MISSING",
    /ENOENT/,
    /uidmap/,
  ],
  [
    "newuidmap refusing",
    {
      errno: "EPERM",
      message: "Cannot write the id map: the program said: newuidmap: uid range [0-1) -> [5-6) not allowed: x",
    },
    "SUBIDS",
    /not allowed/,
    /\/etc\/subuid/,
  ],
  [
    "no user namespace",
    { errno: "EPERM", message: "Cannot start a process in new namespaces: x" },
    "USERNS_REFUSED",
    /EPERM/,
    /./,
  ],
  [
    "AppArmor",
    { op: "private-mounts", errno: "EACCES", message: "Cannot make the mounts private: x" },
    "USERNS_REFUSED",
    /EACCES/,
    /./,
  ],
  [
    "too many namespaces",
    { errno: "ENOSPC", message: "Cannot start a process in new namespaces: x" },
    "NAMESPACE_LIMIT",
    /limit on namespaces/,
    /./,
  ],
  [
    "a full disk",
    { op: "file", path: "/x", errno: "ENOSPC", message: "Cannot write the file: x" },
    "DISK_FULL",
    /ENOSPC/,
    /df/,
  ],
  [
    "anything else",
    { op: "mkdir", path: "/x", errno: "EIO", message: "Cannot make the directory: x" },
    "SETUP_FAILED",
    /EIO/,
    /doctor/,
  ],
];
for (const [name, event, code, message, hint] of CASES) {
  test(`explain() says what to do about ${name}`, () => {
    const error = explain(failed(event));
    assert.is(error.code, code);
    assert.match(error.message, message);
    assert.match(error.hint ?? "", hint);
    assert.is(error.exitCode, event.exitCode ?? 125);
  });
}

test("explain() names the version only where the kernel is older", () => {
  const refused = failed({ op: "overlay", errno: "EPERM", message: "Cannot mount overlay: Operation not permitted" });
  assert.match(explain(refused, "5.10.0-28-amd64").hint ?? "", /needs Linux 5\.11 or later, this is 5\.10\.0-28-amd64/);
  assert.not.match(explain(refused, "6.1.0").hint ?? "", /5\.11/);
  const unknown = failed({ op: "bind", errno: "ENOSYS", message: "Cannot attach the mount: Function not implemented" });
  assert.match(explain(unknown, "5.4.0").hint ?? "", /^tsbox needs Linux 5\.8 or later, this is 5\.4\.0/);
  assert.match(explain(unknown, "6.1.0").hint ?? "", /seccomp filter/);
});

test("explain() makes control characters visible", () => {
  assert.match(
    explain(failed({ op: "exec", path: "a\x1b[2J", message: "Cannot find the program" })).message,
    /a\\x1b\[2J/,
  );
});

test("explain() has something to say of an empty event", () => {
  assert.match(explain(failed({})).message, /the helper does not say why/);
});

test.run();
