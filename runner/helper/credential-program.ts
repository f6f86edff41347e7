import { spawn } from "node:child_process";
import { TsboxError } from "../base/error.ts";

/** Runs `docker-credential-NAME ACTION`. What it reads and writes are secrets: they pass through pipes, and into no error. */
export function runCredentialProgram(
  name: string,
  action: "get" | "store" | "erase",
  input: string,
): Promise<{ code: number; stdout: string }> {
  const program = `docker-credential-${name}`;
  return new Promise((resolve, reject) => {
    const child = spawn(program, [action], { stdio: ["pipe", "pipe", "ignore"] });
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.on("error", (cause: NodeJS.ErrnoException) => {
      // EACCES: a folder of PATH may not be looked into, and no other has it
      const why =
        cause.code === "ENOENT" || cause.code === "EACCES" ? "it is not in PATH" : (cause.code ?? "it cannot be run");
      reject(
        new TsboxError(`Cannot run ${program}: ${why}`, {
          code: "CREDENTIAL_HELPER",
          hint: "install it, or take it out of credHelpers and credsStore in ~/.docker/config.json or containers/auth.json",
          cause,
          exitCode: 1,
        }),
      );
    });
    child.on("close", (code) => resolve({ code: code ?? 1, stdout }));
    child.stdin.on("error", () => {}); // one that does not read its input says so by its status
    child.stdin.end(input);
  });
}
