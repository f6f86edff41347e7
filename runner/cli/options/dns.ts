import { isIP } from "node:net";
import type { DnsOptions } from "../../engine/run-options.ts";
import { UsageError } from "../usage-error.ts";

/** An address, or `none`: the image's own file. */
export function parseDnsServer(text: string): string {
  if (text === "none" || isIP(text.replace(/%.*/, "")) !== 0) return text;
  throw new UsageError("expected an IP address or none");
}

/** A domain, or `.`: none at all. */
export function parseDnsSearch(text: string): string {
  if (/^(\.|[\w]([\w.-]*[\w])?\.?)$/.test(text)) return text;
  throw new UsageError("expected a domain, as example.org");
}

export function parseDnsOption(text: string): string {
  if (/^[\w:.-]+$/.test(text)) return text;
  throw new UsageError("expected an option of resolv.conf(5), as ndots:2");
}

export function readDns(flags: { dns: string[]; dnsSearch: string[]; dnsOption: string[] }): DnsOptions | undefined {
  const { dns, dnsSearch, dnsOption } = flags;
  if (dns.includes("none") && dns.length + dnsSearch.length + dnsOption.length > 1) {
    throw new UsageError("Cannot use --dns none with other servers, --dns-search or --dns-option");
  }
  const read = {
    ...(dns.length > 0 && dns[0] !== "none" && { servers: dns }),
    ...(dnsSearch.length > 0 && { search: dnsSearch.filter((domain) => domain !== ".") }),
    ...(dnsOption.length > 0 && { options: dnsOption }),
  };
  return Object.keys(read).length > 0 ? read : undefined;
}
