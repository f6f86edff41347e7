import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { TsboxError } from "../base/error.ts";

/** What a host is to be trusted by, and what it may know of us (containers-certs.d(5)). */
export interface HostCertificates {
  /** Authorities beside the usual ones. */
  authorities: string[];
  /** The client's own, in pairs. */
  clients: { certificate: string; key: string }[];
}

/** The folders that docker and podman read for a host, `HOST[:PORT]`. */
function folders(host: string, env: NodeJS.ProcessEnv): string[] {
  const config = env.XDG_CONFIG_HOME || join(env.HOME ?? "", ".config");
  return [join(config, "containers/certs.d"), "/etc/containers/certs.d", "/etc/docker/certs.d"].map((folder) =>
    join(folder, host),
  );
}

/** With `certDir` that folder and no other, which then must be there. */
export function hostCertificates(host: string, certDir: string | undefined, env: NodeJS.ProcessEnv): HostCertificates {
  const found: HostCertificates = { authorities: [], clients: [] };
  for (const folder of certDir === undefined ? folders(host, env) : [certDir]) {
    let names: string[];
    try {
      names = readdirSync(folder).sort();
    } catch (cause) {
      if (certDir === undefined) continue;
      throw new TsboxError(`Cannot read certificates of "${folder}": ${(cause as NodeJS.ErrnoException).code}`, {
        code: "NO_CERTIFICATES",
        hint: "--cert-dir names a folder with *.crt, *.cert and *.key files",
        cause,
      });
    }
    const read = (name: string) => readFileSync(join(folder, name), "utf8");
    found.authorities.push(...names.filter((name) => name.endsWith(".crt")).map(read));
    for (const name of names.filter((one) => one.endsWith(".cert"))) {
      const key = name.replace(/\.cert$/, ".key");
      if (!names.includes(key)) {
        throw new TsboxError(`Cannot use certificate "${join(folder, name)}": its key "${key}" is not beside it`, {
          code: "NO_CERTIFICATES",
        });
      }
      found.clients.push({ certificate: read(name), key: read(key) });
    }
    // a folder that has something is the one that counts
    if (found.authorities.length > 0 || found.clients.length > 0) break;
  }
  return found;
}

/** Naming an authority makes Node forget those it knows: they are named with it. */
export function withUsualAuthorities(authorities: string[], env: NodeJS.ProcessEnv): string[] {
  return [...rootCertificates, ...readFiles([env.NODE_EXTRA_CA_CERTS ?? ""]), ...authorities];
}

/** The system's own authorities, to which administrators add those of their company; Node does not read them. */
export function systemAuthorities(env: NodeJS.ProcessEnv): string[] {
  const bundles = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];
  return readFiles(env.SSL_CERT_FILE ? [env.SSL_CERT_FILE] : bundles);
}

function readFiles(paths: string[]): string[] {
  return paths.flatMap((path) => {
    try {
      return [readFileSync(path, "utf8")];
    } catch {
      return [];
    }
  });
}
