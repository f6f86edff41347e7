import { test } from "uvu";
import * as assert from "uvu/assert";
import { TsboxError } from "../../../runner/base/error.ts";
import { resolveUser } from "../../../runner/plan/user.ts";

const passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:44::/srv:/bin/false\nbroken\n";
const group = "root:x:0:\nweb:x:44:\nlogs:x:70:web,other\n";

test("resolveUser() finds a name with its group, supplementary groups and home", () => {
  assert.equal(resolveUser("web", passwd, group), { uid: 33, gid: 44, groups: [44, 70], home: "/srv" });
});

test("resolveUser() takes a number that is not in passwd", () => {
  assert.equal(resolveUser("12345:6", passwd, group), { uid: 12345, gid: 6, groups: [6], home: "/" });
});

test("resolveUser() reads an empty user as root", () => {
  assert.is(resolveUser("", passwd, group).uid, 0);
  assert.is(resolveUser("", "", "").home, "/root");
});

test("resolveUser() drops supplementary groups when a group is named", () => {
  assert.equal(resolveUser("web:logs", passwd, group).groups, [70]);
});

test("resolveUser() refuses unknown names with exit code 126, and ids that are too large", () => {
  const thrown = (spec: string): TsboxError => {
    try {
      resolveUser(spec, passwd, group);
    } catch (error) {
      return error as TsboxError;
    }
    throw new Error(`${spec} was accepted`);
  };
  assert.is(thrown("nobodyhere").message, `Cannot run as user "nobodyhere": not in the container's /etc/passwd`);
  assert.is(thrown("web:nogroup").exitCode, 126);
  assert.instance(thrown("99999999999"), TsboxError);
});

test.run();
