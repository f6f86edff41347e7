import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseExpose, parsePublish } from "../../../../runner/cli/options/publish.ts";
import { UsageError } from "../../../../runner/cli/usage-error.ts";

const at = (port: number) => ({ first: port, last: port });

test("parsePublish() reads every form of docker", () => {
  assert.equal(parsePublish("80"), [{ containerPort: 80 }]);
  assert.equal(parsePublish("8080:80"), [{ hostPorts: at(8080), containerPort: 80 }]);
  assert.equal(parsePublish("8080:80/tcp"), [{ hostPorts: at(8080), containerPort: 80 }]);
  assert.equal(parsePublish(":80"), [{ containerPort: 80 }]);
  assert.equal(parsePublish("0:80"), [{ containerPort: 80 }]);
  assert.equal(parsePublish("127.0.0.1:8080:80"), [{ address: "127.0.0.1", hostPorts: at(8080), containerPort: 80 }]);
  assert.equal(parsePublish("127.0.0.1::80"), [{ address: "127.0.0.1", containerPort: 80 }]);
  assert.equal(parsePublish("[::1]:8080:80"), [{ address: "::1", hostPorts: at(8080), containerPort: 80 }]);
  assert.equal(parsePublish("[::1]::80"), [{ address: "::1", containerPort: 80 }]);
  assert.equal(parsePublish("[::1]:80"), [{ address: "::1", containerPort: 80 }]);
});

test("parsePublish() pairs ranges, and leaves a choice among several ports outside", () => {
  assert.equal(parsePublish("8000-8001:80-81"), [
    { hostPorts: at(8000), containerPort: 80 },
    { hostPorts: at(8001), containerPort: 81 },
  ]);
  assert.equal(parsePublish("80-81"), [{ containerPort: 80 }, { containerPort: 81 }]);
  assert.equal(parsePublish("8000-8005:80"), [{ hostPorts: { first: 8000, last: 8005 }, containerPort: 80 }]);
});

const wrong: [word: string, message: RegExp, pointer: string][] = [
  ["8080:80:", /a port is missing/, "        ^"],
  ["8080:8x", /expected a port/, "     ^^"],
  ["8080:0", /expected a port/, "     ^"],
  ["65536:80", /expected a port/, "^^^^^"],
  ["localhost:80:80", /IP address, as 127\.0\.0\.1/, "^^^^^^^^^"],
  ["fe80::1%lo:80:80", /too many colons/, "^^^^^^^^^^^^^^^^"],
  ["[fe80::1%lo]:80:80", /IP address/, " ^^^^^^^^^^"],
  ["[::1]80", /brackets/, "^^^^^^^"],
  ["53:53/udp", /only TCP ports can be published, not UDP/, "      ^^^"],
  ["53:53/sctp", /not SCTP/, "      ^^^^"],
  ["53:53/icmp", /expected tcp/, "      ^^^^"],
  ["8000-8005:80-81", /one length: 2 ports inside, 6 outside/, "^^^^^^^^^"],
  ["81-80", /ends before it begins/, "^^^^^"],
  ["", /a port is missing/, "^"],
];

for (const [word, message, pointer] of wrong) {
  test(`parsePublish() points at what is wrong in "${word}"`, () => {
    try {
      parsePublish(word);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, UsageError);
      assert.match((error as UsageError).message, message);
      const lines = ((error as UsageError).hint ?? "").split("\n");
      assert.is(lines[0], word);
      // under "hint: "
      assert.is(lines[1]?.slice(6).replace(/(\^) .*/, "$1"), pointer);
    }
  });
}

test("parseExpose() reads ports, ranges and protocols", () => {
  assert.equal(parseExpose("80"), ["80/tcp"]);
  assert.equal(parseExpose("53/udp"), ["53/udp"]);
  assert.equal(parseExpose("80-82/tcp"), ["80/tcp", "81/tcp", "82/tcp"]);
  assert.throws(() => parseExpose("80/icmp"), /expected tcp, udp or sctp/);
  assert.throws(() => parseExpose("eighty"), /expected a port/);
});

test.run();
