import type { NetworkMode, OfContainer, Sharing } from "../../engine/run-options.ts";
import { UsageError } from "../usage-error.ts";

const isContainer = (text: string): text is OfContainer => /^container:./.test(text);

export function parseNetwork(text: string): NetworkMode {
  if (text === "none" || text === "host" || isContainer(text)) return text;
  throw new UsageError("expected none, host or container:NAME", {
    hint: '"none" has the loopback only; "host" shares the host\'s network, "container:NAME" that of a container',
  });
}

/** `host` or `container:NAME`; the words for a namespace of its own are the default. */
function parseNamespace(text: string): "host" | OfContainer | undefined {
  if (text === "" || text === "private") return undefined;
  if (text === "host" || isContainer(text)) return text;
  throw new UsageError("expected host, private or container:NAME");
}

export const parsePid = parseNamespace;
export const parseUts = parseNamespace;
export const parseCgroupns = parseNamespace;

/** Every container's can be shared, but for one that says `private`. */
export function parseIpc(text: string): Sharing["ipc"] {
  if (text === "" || text === "shareable") return undefined;
  if (text === "host" || text === "private" || isContainer(text)) return text;
  throw new UsageError("expected host, private, shareable or container:NAME");
}
