import { isIP } from "node:net";
import { UsageError } from "../usage-error.ts";

/** `--add-host NAME[;NAME…]:ADDRESS` (or with `=`), as a line of /etc/hosts. */
export function parseAddHost(text: string): string {
  const [, names = "", given = ""] = /^([^:=]+)[:=](.+)$/.exec(text) ?? [];
  const address = given.replace(/^\[(.*)\]$/, "$1");
  const words = names.split(";");
  if (address === "host-gateway") {
    throw new UsageError("host-gateway has no address here: the container's network does not lead to the host", {
      hint: "--network host shares the host's; there localhost is the host",
    });
  }
  if (isIP(address) === 0 || !words.every((name) => /^[\w]([\w.-]*[\w])?$/.test(name))) {
    throw new UsageError("expected NAME:ADDRESS, as db:10.0.0.5");
  }
  return `${address}\t${words.join(" ")}`;
}
