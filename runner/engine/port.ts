import type { ContainerRecord } from "../container/record.ts";

export interface PublishedPort {
  /** `80/tcp` */
  inside: string;
  /** `0.0.0.0:8080` */
  outside: string;
}

/** The ports that a container's record says are published, in the order of their numbers. */
export function publishedPorts(record: ContainerRecord): PublishedPort[] {
  return (record.ports ?? [])
    .map(({ containerPort, protocol, hostAddress, hostPort }) => ({
      number: containerPort,
      inside: `${containerPort}/${protocol}`,
      outside: `${hostAddress.includes(":") ? `[${hostAddress}]` : hostAddress}:${hostPort}`,
    }))
    .sort((a, b) => a.number - b.number)
    .map(({ inside, outside }) => ({ inside, outside }));
}
