import { test } from "uvu";
import * as assert from "uvu/assert";
import { portsText } from "../../../runner/cli/rows-ports.ts";

const tcp = (hostAddress: string, hostPort: number, containerPort: number) => ({
  hostAddress,
  hostPort,
  containerPort,
  protocol: "tcp",
});

test("portsText() writes addresses as docker does", () => {
  const ports = [tcp("::", 8080, 80), tcp("0.0.0.0", 8080, 80)];
  assert.is(portsText({ ports, network: "none" }), "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp");
});

test("portsText() joins ports that follow each other on both sides", () => {
  const ports = [tcp("0.0.0.0", 8001, 81), tcp("0.0.0.0", 8000, 80), tcp("0.0.0.0", 9000, 82)];
  assert.is(portsText({ ports, network: "none" }), "0.0.0.0:8000-8001->80-81/tcp, 0.0.0.0:9000->82/tcp");
});

test("portsText() names what is exposed only, but not where the network is the host's", () => {
  const config = { ExposedPorts: { "80/tcp": {}, "53/udp": {}, "443/tcp": {}, "444/tcp": {} } };
  const record = { ports: [tcp("127.0.0.1", 8080, 80)], config };
  assert.is(portsText({ ...record, network: "none" }), "53/udp, 127.0.0.1:8080->80/tcp, 443-444/tcp");
  assert.is(portsText({ config, network: "host" }), "");
  assert.is(portsText({ network: "none" }), "");
});

test.run();
