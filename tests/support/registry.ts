import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./ports.ts";
import { PASSWORD, USER } from "./token-server.ts";
import { runProgram } from "./tsbox.ts";

export interface Registry {
  [Symbol.asyncDispose](): Promise<void>;
  /** "127.0.0.1:PORT": what stands before the repository in a reference. */
  host: string;
  /** Copies an image into it by skopeo: `push("oci-archive:base.tar", "base:latest")`. */
  push(source: string, name: string): Promise<void>;
}

export interface RegistrySettings {
  /** The `auth` section of its configuration; `htpasswd` lets in USER with PASSWORD (token-server.ts). */
  auth?: object | "htpasswd";
  tls?: { certificate: string; key: string };
  /** Authority whose clients alone are let in. */
  clientAuthority?: string;
}

/** bcrypt of PASSWORD in token-server.ts. */
const HTPASSWD = "friend:$2b$04$.x4t95f9HimjOlzekwLLaurfcbSpnKxE1FHmdSxhliJTly6iHnmpa\n";

/** Debian's docker-registry, empty, on a free port of the loopback. */
export async function startRegistry(settings: RegistrySettings = {}): Promise<Registry> {
  const dir = mkdtempSync(join(tmpdir(), "tsbox-registry-"));
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  writeFileSync(join(dir, "config.yml"), JSON.stringify(config(host, dir, settings)));
  writeFileSync(join(dir, "htpasswd"), HTPASSWD);
  const child = spawn("docker-registry", ["serve", join(dir, "config.yml")], { stdio: "ignore" });
  const failed = new Promise<never>((_, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`Cannot start docker-registry: it ended with status ${code}`)));
  });
  failed.catch(() => {});
  await Promise.race([listens(port), failed]);

  return {
    host,
    async push(source, name) {
      const { code, stderr } = await runProgram("skopeo", [
        "copy",
        "--quiet",
        "--dest-tls-verify=false",
        ...(settings.auth === undefined ? [] : ["--dest-creds", `${USER}:${PASSWORD}`]),
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

/** JSON, which is YAML too. */
function config(host: string, dir: string, { auth, tls, clientAuthority }: RegistrySettings): object {
  const htpasswd = { htpasswd: { realm: "here", path: join(dir, "htpasswd") } };
  return {
    version: "0.1",
    log: { level: "error", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(dir, "data") }, delete: { enabled: true } },
    http: {
      addr: host,
      // what uploads continue by must mean the same in every test
      secret: "test",
      ...(tls && {
        tls: { ...tls, ...(clientAuthority !== undefined && { clientcas: [clientAuthority] }) },
      }),
    },
    ...(auth !== undefined && { auth: auth === "htpasswd" ? htpasswd : auth }),
  };
}

async function listens(port: number): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    const ok = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
    if (ok) return;
    await sleep(50);
  }
  throw new Error(`Cannot use docker-registry: nothing listens at port ${port}`);
}
