import { request } from "node:http";
import { type AgentOptions, Agent as SecureAgent, request as secureRequest } from "node:https";
import { BlockList, isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect } from "node:tls";
import { isLoopback } from "./loopback.ts";

/** The proxy that the environment names for a URL, if any; this machine itself is never reached through one. */
export function proxyFor(url: URL, env: NodeJS.ProcessEnv): URL | undefined {
  const scheme = url.protocol.slice(0, -1);
  const named = env[`${scheme}_proxy`] || env[`${scheme.toUpperCase()}_PROXY`];
  if (!named || isLoopback(url.host)) return undefined;
  if (isExempt(url, env.no_proxy || env.NO_PROXY || "")) return undefined;
  const text = named.includes("://") ? named : `http://${named}`;
  const proxy = URL.canParse(text) ? new URL(text) : undefined;
  return proxy?.protocol === "http:" || proxy?.protocol === "https:" ? proxy : undefined;
}

/** NO_PROXY: `*`, names (those below them too), addresses, ranges of addresses, each with or without a port. */
function isExempt(url: URL, list: string): boolean {
  const name = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return list
    .split(",")
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== "")
    .some((entry) => {
      if (entry === "*") return true;
      if (entry.includes("/")) return inRange(name, entry);
      const [, host = "", wanted] = /^(.*?)(?::(\d+))?$/.exec(isIP(entry) === 6 ? `${entry}` : entry) ?? [];
      const plain = isIP(entry) === 6 ? entry : host.replace(/^\*?\./, "").replace(/^\[|\]$/g, "");
      if (wanted !== undefined && isIP(entry) !== 6 && wanted !== port) return false;
      return name === plain || (isIP(name) === 0 && name.endsWith(`.${plain}`));
    });
}

function inRange(address: string, range: string): boolean {
  const [network = "", bits = ""] = range.split("/");
  const family = isIP(network);
  if (family === 0 || family !== isIP(address) || !/^\d+$/.test(bits)) return false;
  const list = new BlockList();
  try {
    list.addSubnet(network, Number(bits), family === 6 ? "ipv6" : "ipv4");
  } catch {
    return false;
  }
  return list.check(address, family === 6 ? "ipv6" : "ipv4");
}

/** What a proxy wants to know of us; it stands in the proxy's URL and goes to nobody else. */
export function proxyHeaders(proxy: URL): Record<string, string> {
  if (proxy.username === "") return {};
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(pair).toString("base64")}` };
}

/** Connections to HTTPS hosts through a proxy: it passes bytes on, and sees the host's name alone. */
export function tunnelAgent(proxy: URL, options: AgentOptions): SecureAgent {
  const agent = new SecureAgent(options);
  type Created = (error: Error | null, socket?: Socket) => void;
  const createConnection = (target: ConnectionOptions, created: Created) => {
    openTunnel(proxy, `${target.host}:${target.port}`).then(
      (socket) => created(null, connect({ ...target, socket })),
      (error: Error) => created(error),
    );
  };
  return Object.assign(agent, { createConnection });
}

function openTunnel(proxy: URL, authority: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const tunnel = (proxy.protocol === "https:" ? secureRequest : request)({
      host: proxy.hostname.replace(/^\[|\]$/g, ""),
      port: proxy.port || (proxy.protocol === "https:" ? 443 : 80),
      method: "CONNECT",
      path: authority,
      headers: { host: authority, ...proxyHeaders(proxy) },
      agent: false,
    });
    tunnel.on("connect", (answer, socket) => {
      if (answer.statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(new Error(`the proxy ${proxy.host} answered ${answer.statusCode}`));
    });
    tunnel.on("response", (answer) => {
      answer.resume();
      reject(new Error(`the proxy ${proxy.host} answered ${answer.statusCode}`));
    });
    tunnel.on("error", (error) =>
      reject(Object.assign(new Error(`the proxy ${proxy.host}: ${error.message}`), { cause: error })),
    );
    tunnel.end();
  });
}
