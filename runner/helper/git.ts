import { spawn } from "node:child_process";

/** Runs git to its end, asking nobody for a password. 127: it is not installed. */
export function runGit(
  words: string[],
  options: { signal: AbortSignal; env: NodeJS.ProcessEnv },
): Promise<{ code: number; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn("git", words, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...options.env, GIT_TERMINAL_PROMPT: "0", GIT_CONFIG_NOSYSTEM: "1" },
      signal: options.signal,
    });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") resolve({ code: 127, stderr: "" });
      else reject(error);
    });
    child.on("close", (code) => resolve({ code: code ?? 1, stderr }));
  });
}
