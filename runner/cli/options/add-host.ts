import { isIP } from "node:net";
import { UsageError } from "../usage-error.ts";

const GATEWAY = "host-gateway";

/** `--add-host NAME[;NAME…]:ADDRESS` (or with `=`), as a line of /etc/hosts. */
export function parseAddHost(text: string): string {
  const [, names = "", given = ""] = /^([^:=]+)[:=](.+)$/.exec(text) ?? [];
  const address = given.replace(/^\[(.*)\]$/, "$1");
  const words = names.split(";");
  if ((isIP(address) === 0 && address !== GATEWAY) || !words.every((name) => /^[\w]([\w.-]*[\w])?$/.test(name))) {
    throw new UsageError("expected NAME:ADDRESS, as db:10.0.0.5");
  }
  return `${address}\t${words.join(" ")}`;
}

/** `host-gateway` is where the host is reached: on its own network that is localhost, and without it nowhere. */
export function resolveGateway(lines: string[], network: string): string[] {
  return lines.map((line) => {
    if (!line.startsWith(`${GATEWAY}\t`)) return line;
    if (network === "host") return line.replace(GATEWAY, "127.0.0.1");
    throw new UsageError(
      "Cannot use host-gateway: it has no address here, the container's network does not lead to the host",
      {
        hint: "--network host shares the host's; there it is localhost",
      },
    );
  });
}
