import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A certificate authority of the test's own, made by openssl, and what it has signed. */
export interface Authority {
  /** Certificate of the authority. */
  certificate: string;
  /** Issues a certificate for these names, as `DNS:localhost` or `IP:127.0.0.1`; gives the paths of it and its key. */
  issue(name: string, alternatives: string[]): { certificate: string; key: string };
}

export function makeAuthority(folder: string): Authority {
  mkdirSync(folder, { recursive: true });
  const openssl = (...args: string[]) =>
    execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "ignore", "ignore"] });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl(
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    "ca.key",
    "-out",
    "ca.pem",
    "-days",
    "2",
    "-subj",
    "/CN=test authority",
  );
  return {
    certificate: join(folder, "ca.pem"),
    issue(name, alternatives) {
      const [key, request, certificate] = ["key", "csr", "pem"].map((end) => `${name}.${end}`) as [
        string,
        string,
        string,
      ];
      openssl("req", ...newKey, "-keyout", key, "-out", request, "-subj", `/CN=${name}`);
      writeFileSync(join(folder, `${name}.ext`), `subjectAltName=${alternatives.join(",") || "DNS:none"}\n`);
      const sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", `${name}.ext`];
      openssl("x509", "-req", "-in", request, ...sign, "-out", certificate);
      return { certificate: join(folder, certificate), key: join(folder, key) };
    },
  };
}

/** The content between the lines of a PEM file. */
export function derBase64(path: string): string {
  return readFileSync(path, "utf8").replace(/-----[^-]+-----|\s/g, "");
}
