/** What `import … from "tsbox"` gives. */
export { TsboxError } from "./base/error.ts";
export { type RunInput, type RunResult, Sandbox, type SandboxOptions, sandbox } from "./sandbox/sandbox.ts";
