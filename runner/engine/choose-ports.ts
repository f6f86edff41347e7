/** Which ports of the host lead to which of the container: what was asked for, with every choice made. */

import { createServer, type Server } from "node:net";
import { TsboxError } from "../base/error.ts";
import type { PortBinding } from "../container/record.ts";
import type { ProcessConfig } from "../oci/types.ts";
import type { PublishedPort } from "../plan/types.ts";
import { readText } from "../sys/host-facts.ts";
import type { Engine } from "./engine.ts";
import { ADDRESS_HINT } from "./explain-publish.ts";
import type { PublishRequest, RunOptions } from "./run-options.ts";

export interface ChosenPorts {
  ports: PortBinding[];
  /** The same as the plan has it. */
  plan: PublishedPort[];
  /** With all that is exposed now. */
  config: ProcessConfig;
  /** Ports that were chosen are held until the record tells others of them. */
  release(): void;
}

const TRIES = 50;

export async function choosePorts(engine: Engine, options: RunOptions, image: ProcessConfig): Promise<ChosenPorts> {
  const requests = options.publish ?? [];
  const exposed = [...Object.keys(image.ExposedPorts ?? {}), ...(options.expose ?? [])];
  const names = [...new Set([...exposed, ...requests.map(({ containerPort }) => `${containerPort}/tcp`)])];
  const config = { ...image, ExposedPorts: Object.fromEntries(names.map((name) => [name, {}])) };
  const wanted = [...requests, ...(options.publishAll ? exposedRequests(engine, exposed, requests) : [])];

  const ports: PortBinding[] = [];
  const held: Server[] = [];
  const release = () => {
    for (const server of held.splice(0)) server.close();
  };
  try {
    const fixed = wanted.filter(isFixed);
    for (const request of fixed) addFixed(ports, request);
    const taken = new Set(
      [...ports, ...othersPorts(engine, wanted.length > fixed.length)].map((port) => port.hostPort),
    );
    for (const request of wanted.filter((one) => !isFixed(one))) {
      const port = await hold(request, taken, held);
      taken.add(port);
      for (const hostAddress of addressesOf(request)) ports.push(binding(request, hostAddress, port));
    }
  } catch (error) {
    release();
    throw error;
  }
  const plan = ports.map(({ hostAddress, hostPort, containerPort }) => ({
    address: hostAddress,
    port: hostPort,
    inside: containerPort,
  }));
  return { ports, plan, config, release };
}

/** `-P`: what `-p` does not name. */
function exposedRequests(engine: Engine, exposed: string[], requests: PublishRequest[]): PublishRequest[] {
  const out: PublishRequest[] = [];
  for (const name of new Set(exposed)) {
    const [number = "", protocol = "tcp"] = name.split("/");
    const containerPort = Number(number);
    if (protocol !== "tcp") engine.warn(`port ${name} is not published: only TCP can be`);
    else if (containerPort > 0 && !requests.some((one) => one.containerPort === containerPort))
      out.push({ containerPort });
  }
  return out;
}

function isFixed({ hostPorts }: PublishRequest): boolean {
  return hostPorts !== undefined && hostPorts.first === hostPorts.last;
}

function addFixed(ports: PortBinding[], request: PublishRequest): void {
  for (const hostAddress of addressesOf(request)) {
    const one = binding(request, hostAddress, request.hostPorts?.first ?? 0);
    const same = ports.find((port) => port.hostAddress === hostAddress && port.hostPort === one.hostPort);
    if (same !== undefined && same.containerPort !== one.containerPort) {
      throw new TsboxError(
        `Cannot publish ports ${same.containerPort} and ${one.containerPort}: both are to be port ${one.hostPort} of the host`,
        { code: "PORT_TWICE", hint: "give each a port of its own" },
      );
    }
    if (same === undefined) ports.push(one);
  }
}

function binding({ containerPort }: PublishRequest, hostAddress: string, hostPort: number): PortBinding {
  return { containerPort, protocol: "tcp", hostAddress, hostPort };
}

/** Every address is two of them, where the machine has IPv6. */
function addressesOf({ address }: PublishRequest): string[] {
  if (address !== undefined) return [address];
  return readText("/proc/net/if_inet6") === "" ? ["0.0.0.0"] : ["0.0.0.0", "::"];
}

/** Containers that do not run now want their ports back later. */
function othersPorts(engine: Engine, matters: boolean): PortBinding[] {
  return matters ? engine.containers.all().flatMap(({ ports = [] }) => ports) : [];
}

/** A port that is free on all addresses of the request; it stays taken until it is released. */
async function hold(request: PublishRequest, taken: Set<number>, held: Server[]): Promise<number> {
  const { hostPorts, containerPort } = request;
  for (const candidate of candidates(hostPorts)) {
    if (taken.has(candidate)) continue;
    const servers: Server[] = [];
    let port = candidate;
    for (const address of addressesOf(request)) {
      const server = await listen(address, port);
      if (server === undefined) break;
      servers.push(server);
      port = (server.address() as { port: number }).port;
    }
    if (servers.length === addressesOf(request).length && !taken.has(port)) {
      held.push(...servers);
      return port;
    }
    for (const server of servers) server.close();
  }
  const range = hostPorts === undefined ? "the host" : `${hostPorts.first} to ${hostPorts.last}`;
  throw new TsboxError(`Cannot publish port ${containerPort}: no port of ${range} is free`, {
    code: "NO_FREE_PORT",
    hint: '"ss -ltnp" shows who listens',
  });
}

/** 0: whichever the kernel gives. */
function* candidates(range: PublishRequest["hostPorts"]): Generator<number> {
  if (range === undefined) for (let i = 0; i < TRIES; i++) yield 0;
  else for (let port = range.first; port <= range.last; port++) yield port;
}

/** Undefined: it is taken. */
function listen(host: string, port: number): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE" || error.code === "EACCES") resolve(undefined);
      else {
        const reason = error.code === "EADDRNOTAVAIL" ? "no address of this machine" : error.message;
        reject(
          new TsboxError(`Cannot publish a port on ${host}: ${reason}`, {
            code: "PUBLISH_ADDRESS",
            hint: ADDRESS_HINT,
          }),
        );
      }
    });
    // whoever fails before it is released must end all the same
    server.unref();
    server.listen({ host, port, ipv6Only: true, exclusive: true }, () => resolve(server));
  });
}
