import { RegistryError } from "./registry-error.ts";
import { Transport } from "./transport.ts";

/** The bytes that an HTTP address serves, for those who take a file from anywhere. `action` stands in errors after "Cannot". */
export async function* downloadFile(address: string, action: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  if (!URL.canParse(address)) throw new RegistryError(`Cannot ${action}: it is no address`, 0);
  const url = new URL(address);
  const headers: Record<string, string> =
    url.username === ""
      ? {}
      : {
          authorization: `Basic ${Buffer.from(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`).toString("base64")}`,
        };
  url.username = "";
  url.password = "";
  const transport = new Transport({ host: url.host, verify: true, env: process.env, signal });
  try {
    const { status, body, headers: answered } = await transport.send({ method: "GET", url, headers, action });
    if (status !== 200) {
      body.resume();
      throw new RegistryError(`Cannot ${action}: ${url.host} answered ${status}`, status);
    }
    const announced = Number(answered["content-length"] ?? Number.NaN);
    let received = 0;
    for await (const chunk of body) {
      received += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
    if (received < announced) {
      throw new RegistryError(`Cannot ${action}: the transfer ended after ${received} of ${announced} bytes`, 0);
    }
  } finally {
    transport.close();
  }
}
