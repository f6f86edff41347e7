import { UsageError } from "../usage-error.ts";

/** `net_admin`, `NET_ADMIN`, `CAP_NET_ADMIN` → `CAP_NET_ADMIN`; `all` → `ALL`. Whether the kernel knows it is the plan's business. */
export function parseCapability(text: string): string {
  const name = text.toUpperCase();
  if (name === "ALL" || name === "CAP_ALL") return "ALL";
  if (!/^[A-Z][A-Z0-9_]*$/.test(name)) throw new UsageError("expected a capability such as NET_ADMIN, or ALL");
  return name.startsWith("CAP_") ? name : `CAP_${name}`;
}

/** One flag may hold several, by commas. */
export function parseCapabilities(text: string): string[] {
  return text.split(",").map((one) => parseCapability(one.trim()));
}
