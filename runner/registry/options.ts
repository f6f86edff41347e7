import type { CredentialProgram, Credentials } from "./credentials.ts";

/** New tries after failures that may pass, and milliseconds before the first one. */
export const RETRIES = 3;
export const RETRY_DELAY = 500;

/** How the person at the keyboard wants registries to be talked to; what is absent, files and the environment decide. */
export interface ConnectionOptions {
  /** False: certificates are not checked, and plain HTTP is allowed. True: neither may be. Absent: as registries.conf has it. */
  tlsVerify?: boolean;
  /** Folder with the authorities (`*.crt`), the client's certificate (`*.cert`) and its key (`*.key`). */
  certDir?: string;
  /** The one file with credentials; absent: those of podman and docker. */
  authfile?: string;
  /** Instead of stored ones. */
  credentials?: Credentials;
  /** New tries after failures that may pass. */
  retries?: number;
  /** Milliseconds before the first new try; doubled each time. */
  retryDelay?: number;
}

export interface RegistryOptions extends ConnectionOptions {
  /** Ends every request and transfer. */
  signal?: AbortSignal;
  env?: NodeJS.ProcessEnv;
  /** Runs `docker-credential-NAME`. */
  credentialProgram?: CredentialProgram;
}
