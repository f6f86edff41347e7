import { readText } from "../sys/host-facts.ts";
import type { DnsOptions } from "./run-options.ts";

/** A container's /etc/resolv.conf: the host's where it has its network, and in place of its lines those that were asked for. */
export function resolvConf(network: string, dns: DnsOptions | undefined): string {
  const host = network === "host" ? readText("/etc/resolv.conf") : "";
  if (dns === undefined) return host;
  const lines = host.split("\n").map((line) => line.replace(/[#;].*/, "").trim());
  const words = (key: string) =>
    lines.flatMap((line) => {
      const [first, ...rest] = line.split(/\s+/);
      return first === key ? rest : [];
    });
  const search = dns.search ?? words("search");
  const options = dns.options ?? words("options");
  return [
    ...(search.length > 0 ? [`search ${search.join(" ")}`] : []),
    ...(dns.servers ?? words("nameserver")).map((server) => `nameserver ${server}`),
    ...(options.length > 0 ? [`options ${options.join(" ")}`] : []),
  ]
    .map((line) => `${line}\n`)
    .join("");
}
