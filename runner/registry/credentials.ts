import { readFileSync } from "node:fs";
import { join } from "node:path";

/** What is sent to a registry or its token server, never logged. */
export interface Credentials {
  username: string;
  password: string;
}

interface AuthFile {
  auths?: Record<string, { auth?: string; username?: string; password?: string }>;
}

/** Where docker, podman and skopeo keep credentials, in the order they are asked. */
function authFiles(env: NodeJS.ProcessEnv): string[] {
  const home = env.HOME ?? "";
  return [
    env.REGISTRY_AUTH_FILE ?? "",
    env.XDG_RUNTIME_DIR ? join(env.XDG_RUNTIME_DIR, "containers/auth.json") : "",
    join(env.XDG_CONFIG_HOME || join(home, ".config"), "containers/auth.json"),
    join(env.DOCKER_CONFIG || join(home, ".docker"), "config.json"),
  ].filter((path) => path !== "");
}

/** The stored credentials for a registry; those of a repository (`host/path`, the longest that fits) come first. */
export function findCredentials(
  domain: string,
  path: string,
  env: NodeJS.ProcessEnv = process.env,
): Credentials | undefined {
  const parts = path.split("/");
  const keys = [...parts.keys()].reverse().map((i) => `${domain}/${parts.slice(0, i + 1).join("/")}`);
  keys.push(domain, `https://${domain}`, `http://${domain}`);
  if (domain === "docker.io") keys.push("https://index.docker.io/v1/", "index.docker.io");
  for (const file of authFiles(env)) {
    let auths: AuthFile["auths"];
    try {
      auths = (JSON.parse(readFileSync(file, "utf8")) as AuthFile).auths;
    } catch {
      continue;
    }
    for (const key of keys) {
      const entry = auths?.[key];
      if (entry?.username !== undefined && entry.password !== undefined) {
        return { username: entry.username, password: entry.password };
      }
      const [username, ...rest] = Buffer.from(entry?.auth ?? "", "base64")
        .toString("utf8")
        .split(":");
      if (username && rest.length > 0) return { username, password: rest.join(":") };
    }
  }
  return undefined;
}
