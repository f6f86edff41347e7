import { request as ask, createServer } from "node:http";
import { type AddressInfo, connect, createServer as createTcp, type Socket } from "node:net";

/** An HTTP proxy for one made-up host, which it takes to be this machine. */
export interface Proxy extends AsyncDisposable {
  host: string;
  /** "METHOD TARGET" of every request that it let pass. */
  requests: string[];
}

/** With `credentials` ("NAME:PASSWORD") it lets nobody else through. */
export async function startProxy(name: string, credentials?: string): Promise<Proxy> {
  const requests: string[] = [];
  const wanted = credentials && `Basic ${Buffer.from(credentials).toString("base64")}`;
  const server = createServer((request, response) => {
    if (wanted !== undefined && request.headers["proxy-authorization"] !== wanted) {
      response.writeHead(407);
      response.end();
      return;
    }
    requests.push(`${request.method} ${request.url}`);
    const { hostname, port, pathname, search } = new URL(request.url ?? "");
    if (hostname !== name) {
      response.writeHead(502);
      response.end();
      return;
    }
    const { "proxy-authorization": _, ...headers } = request.headers;
    const onward = ask({ host: "127.0.0.1", port, path: pathname + search, method: request.method, headers });
    onward.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  });
  server.on("connect", (request, socket) => {
    if (wanted !== undefined && request.headers["proxy-authorization"] !== wanted) {
      socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
      return;
    }
    requests.push(`CONNECT ${request.url}`);
    const [host = "", port = ""] = (request.url ?? "").split(":");
    if (host !== name) return void socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
    const onward = connect(Number(port), "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      socket.pipe(onward);
      onward.pipe(socket);
    });
    onward.on("error", () => socket.destroy());
    socket.on("error", () => onward.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Stands before a server of this machine, and breaks so many connections, each after it has passed on so many bytes. */
export async function startCutter(
  target: string,
  times: number,
  bytes: number,
): Promise<AsyncDisposable & { host: string }> {
  let left = times;
  const open = new Set<Socket>();
  const server = createTcp((client) => {
    const onward = connect(Number(target.split(":")[1]), "127.0.0.1");
    for (const socket of [client, onward]) {
      open.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        open.delete(socket);
        client.destroy();
        onward.destroy();
      });
    }
    let passed = 0;
    client.on("data", (chunk: Buffer) => {
      passed += chunk.length;
      if (left > 0 && passed > bytes) {
        left--;
        client.destroy();
      } else if (!onward.write(chunk)) {
        client.pause();
        onward.once("drain", () => client.resume());
      }
    });
    onward.pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
