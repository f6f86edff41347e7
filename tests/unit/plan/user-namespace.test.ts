import { test } from "uvu";
import * as assert from "uvu/assert";
import { type UserNamespaceFacts, userNamespaceHint } from "../../../runner/plan/user-namespace.ts";

const PLAIN: UserNamespaceFacts = {
  most: 100_000,
  filtered: false,
  initial: true,
  ownProc: true,
  known: true,
};

const CASES: [string, Partial<UserNamespaceFacts>, string, RegExp][] = [
  ["Ubuntu's AppArmor", { apparmor: 1 }, "EACCES", /apparmor_restrict_unprivileged_userns=0/],
  ["Debian's switch", { clone: 0 }, "EPERM", /unprivileged_userns_clone=1/],
  ["a limit of none", { most: 0 }, "ENOSPC", /max_user_namespaces=15000 +\(it is 0\)/],
  ["a limit that is reached", { most: 10 }, "ENOSPC", /max_user_namespaces=15000 +\(it is 10\)/],
  ["a sandbox that allows no more", { initial: false, most: 1 }, "ENOSPC", /--disable-userns/],
  ["an outer filter", { filtered: true, initial: false, apparmor: 1 }, "EPERM", /seccomp=unconfined/],
  ["an outer filter that says ENOSYS", { filtered: true }, "ENOSYS", /seccomp=unconfined/],
  ["a kernel without them", { known: false }, "EINVAL", /CONFIG_USER_NS/],
  ["the /proc of others", { ownProc: false }, "EACCES", /--proc \/proc/],
  ["too many levels", { initial: false }, "EUSERS", /nested/],
  ["what nobody can see", {}, "EPERM", /dmesg/],
];
for (const [name, facts, errno, hint] of CASES) {
  test(`userNamespaceHint() names ${name}`, () => {
    assert.match(userNamespaceHint({ ...PLAIN, ...facts }, errno), hint);
  });
}

test.run();
