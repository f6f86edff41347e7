import * as assert from "uvu/assert";
import type { Workspace } from "../../support/tsbox.ts";
import { until } from "../../support/until.ts";

/** A shell in a terminal of its own, as a person has it. */
export interface Terminal extends AsyncDisposable {
  type(...keys: string[]): Promise<unknown>;
  resize(columns: number, rows: number): Promise<unknown>;
  /** Lines that a person sees, without empty ones at the end. */
  screen(): Promise<string[]>;
  shows(pattern: RegExp): Promise<void>;
}

/** Three attempts at what changes a terminal's width: a drawing that is on its way then was made for the old one, whatever the program does. */
export async function resizing(attempt: () => Promise<void>): Promise<void> {
  for (let left = 2; left > 0; left--) {
    try {
      return await attempt();
    } catch {
      // once more
    }
  }
  return attempt();
}

let terminals = 0;

export async function terminal(box: Workspace, columns: number, rows: number): Promise<Terminal> {
  // one that was told to end still holds its socket for a while
  const socket = `${box.dir}/tmux${++terminals}`;
  const tmux = (...args: string[]) => box.program("tmux", ["-u", "-f", "/dev/null", "-S", socket, ...args]);
  const size = ["-x", String(columns), "-y", String(rows)];
  await tmux("new-session", "-d", "-s", "main", ...size, "env", "PS1=$ ", "sh");
  const screen = async () => (await tmux("capture-pane", "-p", "-t", "main")).stdout.trimEnd().split("\n");
  // what is typed before would be echoed in front of the prompt
  await until(async () => (await screen()).join() === "$");
  return {
    type: (...keys) => tmux("send-keys", "-t", "main", ...keys),
    resize: (x, y) => tmux("resize-window", "-t", "main", "-x", String(x), "-y", String(y)),
    screen,
    async shows(pattern) {
      const found = async () => pattern.test((await screen()).join("\n"));
      await until(found).catch(async () => {
        const text = (await screen()).join("\n");
        assert.match(text, pattern, `the screen never showed ${pattern}, but\n${text}`);
      });
    },
    async [Symbol.asyncDispose]() {
      await tmux("kill-server");
    },
  };
}
