import { TsboxError } from "../base/error.ts";

/** The command ended with another status than 0. */
export class StepFailed extends TsboxError {
  readonly status: number;
  readonly lines: string[];

  constructor(status: number, lines: string[]) {
    super(`the command ended with status ${status}`, { code: "STEP_FAILED", exitCode: 1 });
    this.status = status;
    this.lines = lines;
  }
}
