/** The published ports of a record, in the forms that programs and people read. */

import type { ContainerRecord, PortBinding } from "../container/record.ts";

export interface PublishedPort {
  /** `80/tcp` */
  inside: string;
  /** `0.0.0.0:8080` */
  outside: string;
}

/** The ports that a container's record says are published, in the order of their numbers. */
export function publishedPorts(record: ContainerRecord): PublishedPort[] {
  return inOrder(record).map((port) => ({
    inside: insideName(port),
    outside: `${port.hostAddress.includes(":") ? `[${port.hostAddress}]` : port.hostAddress}:${port.hostPort}`,
  }));
}

/** `NetworkSettings.Ports`: where each is; null: exposed, but not published. */
export function networkPorts(record: ContainerRecord): Record<string, object[] | null> {
  const out: Record<string, object[] | null> = {};
  for (const name of exposedPorts(record)) out[name] = null;
  for (const port of inOrder(record)) {
    const list = out[insideName(port)] ?? [];
    list.push({ HostIp: port.hostAddress, HostPort: String(port.hostPort) });
    out[insideName(port)] = list;
  }
  return out;
}

/** `HostConfig.PortBindings`: what was asked for; every address is an empty one. */
export function portBindings(record: ContainerRecord): Record<string, object[]> {
  const out: Record<string, object[]> = {};
  const ports = inOrder(record);
  const isTwin = (port: PortBinding, address: string) =>
    ports.some(
      (other) =>
        other.hostAddress === address && other.hostPort === port.hostPort && other.containerPort === port.containerPort,
    );
  for (const port of ports) {
    if (port.hostAddress === "::" && isTwin(port, "0.0.0.0")) continue;
    const every = port.hostAddress === "0.0.0.0" && isTwin(port, "::");
    const list = out[insideName(port)] ?? [];
    list.push({ HostIp: every ? "" : port.hostAddress, HostPort: String(port.hostPort) });
    out[insideName(port)] = list;
  }
  return out;
}

/** What image, `--expose` and `-p` name: `80/tcp`. */
export function exposedPorts({ config }: ContainerRecord): string[] {
  return Object.keys((config as { ExposedPorts?: object }).ExposedPorts ?? {});
}

function insideName({ containerPort, protocol }: PortBinding): string {
  return `${containerPort}/${protocol}`;
}

function inOrder({ ports = [] }: ContainerRecord): PortBinding[] {
  return [...ports].sort((a, b) => a.containerPort - b.containerPort || a.hostPort - b.hostPort);
}
