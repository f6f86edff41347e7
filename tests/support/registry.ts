import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runProgram } from "./tsbox.ts";

export interface Registry {
  [Symbol.asyncDispose](): Promise<void>;
  /** "127.0.0.1:PORT": what stands before the repository in a reference. */
  host: string;
  /** Copies an image into it by skopeo: `push("oci-archive:base.tar", "base:latest")`. */
  push(source: string, name: string): Promise<void>;
}

/** Debian's docker-registry, empty, on a free port of the loopback. */
export async function startRegistry(): Promise<Registry> {
  const dir = mkdtempSync(join(tmpdir(), "tsbox-registry-"));
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  writeFileSync(join(dir, "config.yml"), config(host, join(dir, "data")));
  const child = spawn("docker-registry", ["serve", join(dir, "config.yml")], { stdio: "ignore" });
  const failed = new Promise<never>((_, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`Cannot start docker-registry: it ended with status ${code}`)));
  });
  failed.catch(() => {});
  await Promise.race([answers(host), failed]);

  return {
    host,
    async push(source, name) {
      const { code, stderr } = await runProgram("skopeo", [
        "copy",
        "--quiet",
        "--dest-tls-verify=false",
        source,
        `docker://${host}/${name}`,
      ]);
      if (code !== 0) throw new Error(`Cannot copy ${source} into the registry: ${stderr}`);
    },
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      if (child.exitCode === null && child.kill("SIGKILL")) await ended;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function config(host: string, data: string): string {
  return [
    "version: 0.1",
    "log: { level: error, accesslog: { disabled: true } }",
    `storage: { filesystem: { rootdirectory: ${JSON.stringify(data)} }, delete: { enabled: true } }`,
    `http: { addr: ${JSON.stringify(host)} }`,
    "",
  ].join("\n");
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function answers(host: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const ok = await new Promise<boolean>((resolve) => {
      get(`http://${host}/v2/`, (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      }).on("error", () => resolve(false));
    });
    if (ok) return;
    await sleep(50);
  }
  throw new Error(`Cannot use docker-registry: http://${host}/v2/ does not answer`);
}
