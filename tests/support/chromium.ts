import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

/** A page in a real browser without a window, driven by Chromium's DevTools protocol over two pipes. */
export interface Page extends AsyncDisposable {
  /** The value of an expression in the page, as JSON carries it. */
  eval<T>(expression: string): Promise<T>;
  /** Waits until an expression is true in the page. */
  until(expression: string): Promise<void>;
  /** Text that a person sees of an element. */
  text(selector: string): Promise<string>;
  /** A real click in the middle of the element that is found first. */
  click(selector: string): Promise<void>;
  /** A real key: "ArrowDown", "Enter", "Tab", or one letter. */
  press(key: string): Promise<void>;
  /** What the page said on its console and what it threw. */
  messages: string[];
  /** Addresses that the page asked for, without its own. */
  requests: string[];
  /** Pretends that the person prefers "dark" or "light". */
  prefer(scheme: "dark" | "light"): Promise<void>;
}

interface Answer {
  id?: number;
  method?: string;
  sessionId?: string;
  result?: Record<string, unknown>;
  error?: { message: string };
  params?: Record<string, unknown>;
}

export async function openPage(url: string, size = "1280,900"): Promise<Page> {
  const profile = mkdtempSync(join(tmpdir(), "tsbox-chromium-"));
  const child = spawn(
    "chromium",
    [
      "--headless=new",
      "--remote-debugging-pipe",
      "--no-sandbox", // the test may itself run in a container that forbids namespaces; the page is ours
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--no-first-run",
      // a key that comes before the first picture is a key, too
      "--allow-pre-commit-input",
      "--disable-background-networking",
      "--disable-component-update",
      `--window-size=${size}`,
      `--user-data-dir=${profile}`,
    ],
    { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], detached: true },
  );
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const [, , , commands, answers] = child.stdio as unknown as [null, null, null, Writable, Readable];
  commands.on("error", () => {});
  const waiting = new Map<number, (answer: Answer) => void>();
  const messages: string[] = [];
  const requests: string[] = [];
  let rest = Buffer.alloc(0);
  answers.on("data", (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0)) {
      const answer = JSON.parse(rest.subarray(0, end).toString()) as Answer;
      rest = rest.subarray(end + 1);
      if (answer.id !== undefined) waiting.get(answer.id)?.(answer);
      else note(answer);
    }
  });
  const note = ({ method, params = {} }: Answer) => {
    if (method === "Runtime.exceptionThrown" || method === "Runtime.consoleAPICalled" || method === "Log.entryAdded") {
      messages.push(JSON.stringify(params));
    }
    const address = (params.request as { url?: string } | undefined)?.url;
    if (method === "Network.requestWillBeSent" && address !== url) requests.push(address ?? "");
  };
  let number = 0;
  let sessionId: string | undefined;
  const send = async (method: string, params: object = {}): Promise<Record<string, unknown>> => {
    const id = ++number;
    const answer = await new Promise<Answer>((resolve, reject) => {
      waiting.set(id, resolve);
      child.once("exit", () => reject(new Error("Cannot use chromium: it ended")));
      commands.write(`${JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) })}\0`);
    });
    waiting.delete(id);
    if (answer.error) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result ?? {};
  };
  child.setMaxListeners(0);

  const page: Page = {
    messages,
    requests,
    async eval<T>(expression: string) {
      const { result, exceptionDetails } = (await send("Runtime.evaluate", { expression, returnByValue: true })) as {
        result: { value: T };
        exceptionDetails?: object;
      };
      if (exceptionDetails) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
      return result.value;
    },
    async until(expression) {
      for (let attempt = 0; attempt < 1200; attempt++) {
        if (await page.eval<boolean>(`Boolean(${expression})`)) return;
        await sleep(25);
      }
      throw new Error(`it never came true: ${expression}`);
    },
    text: (selector) => page.eval(`document.querySelector(${JSON.stringify(selector)}).innerText`),
    async click(selector) {
      const at = await page.eval<{ x: number; y: number }>(
        `(() => { const e = document.querySelector(${JSON.stringify(selector)}); e.scrollIntoView({ block: "center" });
          const r = e.getBoundingClientRect(); return { x: r.x + r.width / 2, y: r.y + r.height / 2 }; })()`,
      );
      for (const type of ["mousePressed", "mouseReleased"]) {
        await send("Input.dispatchMouseEvent", { type, ...at, button: "left", clickCount: 1 });
      }
    },
    async press(key) {
      const code = { Enter: 13, Tab: 9, Escape: 27, ArrowLeft: 37, ArrowUp: 38, ArrowRight: 39, ArrowDown: 40 }[key];
      const text = key === "Enter" ? "\r" : key.length === 1 ? key : "";
      await send("Input.dispatchKeyEvent", {
        type: text === "" ? "rawKeyDown" : "keyDown",
        key,
        ...(code !== undefined && { windowsVirtualKeyCode: code }),
        ...(text !== "" && { text }),
      });
      await send("Input.dispatchKeyEvent", {
        type: "keyUp",
        key,
        ...(code !== undefined && { windowsVirtualKeyCode: code }),
      });
    },
    async prefer(scheme) {
      await send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    },
    async [Symbol.asyncDispose]() {
      // closed by itself it waits for its children, which write into the profile
      sessionId = undefined;
      send("Browser.close").catch(() => {});
      await Promise.race([ended, sleep(5000, undefined, { ref: false })]);
      try {
        process.kill(-(child.pid as number), "SIGKILL");
      } catch {
        // its group has ended
      }
      await ended;
      for (let attempt = 0; ; attempt++) {
        try {
          rmSync(profile, { recursive: true, force: true });
          return;
        } catch (error) {
          if (attempt === 50) throw error;
          await sleep(50);
        }
      }
    },
  };
  try {
    const { targetId } = await send("Target.createTarget", { url: "about:blank" });
    sessionId = (await send("Target.attachToTarget", { targetId, flatten: true })).sessionId as string;
    for (const domain of ["Page", "Runtime", "Network", "Log"]) await send(`${domain}.enable`);
    await send("Page.navigate", { url });
    await page.until(`document.readyState === "complete" && location.href === ${JSON.stringify(url)}`);
  } catch (error) {
    await page[Symbol.asyncDispose]();
    throw error;
  }
  return page;
}
