import { createHash } from "node:crypto";
import { TsboxError, visible } from "../base/error.ts";
import type { Engine } from "./engine.ts";

/** One of the networks that a container can be given by --network. None is ever made: both are the kernel's. */
export interface Network {
  name: "none" | "host";
  id: string;
  driver: "null" | "host";
  /** Containers that run in it. */
  containers: { id: string; name: string }[];
}

const NAMES = { none: "null", host: "host" } as const;

export async function networks(engine: Engine): Promise<Network[]> {
  const { list } = await import("./list.ts");
  const running = list(engine, { all: false }).map(({ record }) => record);
  return (["host", "none"] as const).map((name) => ({
    name,
    id: createHash("sha256").update(`tsbox network ${name}`).digest("hex"),
    driver: NAMES[name],
    containers: running.filter(({ network }) => network === name).map(({ id, name }) => ({ id, name })),
  }));
}

/** By name, or by the unique start of its id. */
export function findNetwork(found: Network[], word: string): Network {
  const named = found.find(({ name }) => name === word);
  const matches = /^[0-9a-f]+$/.test(word) ? found.filter(({ id }) => id.startsWith(word)) : [];
  const network = named ?? (matches.length === 1 ? matches[0] : undefined);
  if (network) return network;
  throw new TsboxError(`Cannot find network "${visible(word)}": there are "none" and "host"`, {
    code: "NO_SUCH_NETWORK",
    hint: "networks of one's own need a privileged helper: containers reach each other through published ports",
    exitCode: 1,
  });
}
