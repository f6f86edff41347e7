import type { Identity } from "../plan/idmap.ts";
import type { HelperEvent, IdRange, Plan } from "../plan/types.ts";
import { HelperServer } from "./server.ts";
import { addStarter, type HelperRun, type Starter, type Stdio } from "./starters.ts";

/**
 * One helper for all that a verb does in one user namespace: started at the first wish, and from then on every plan with the same id maps goes to it. Where
 * it cannot be had, each plan gets a helper of its own as ever, which says what is wrong.
 */
export class KeptHelper implements Starter {
  readonly #identity: Identity;
  readonly #remove: () => void;
  #server: HelperServer | undefined;
  #ready: Promise<void> | undefined;
  #usable = false;

  constructor(identity: Identity) {
    this.#identity = identity;
    this.#remove = addStarter(this);
  }

  /** Resolves when it is there, or cannot be had. */
  warm(): Promise<void> {
    this.#ready ??= this.#start();
    return this.#ready;
  }

  async #start(): Promise<void> {
    // maps that need no other program cost nothing
    if (!this.#identity.mapTools) return;
    try {
      this.#server = new HelperServer(this.#identity);
      await this.#server.ready;
      this.#usable = true;
    } catch {
      // the first plan's own helper tells why
    }
  }

  takes(plan: Plan, stdio: readonly Stdio[]): boolean {
    const { uidMap, gidMap } = this.#identity;
    return (
      this.#usable &&
      plan.namespaces.includes("user") &&
      plan.join === undefined &&
      !plan.detach &&
      plan.cleanup.length === 0 &&
      same(plan.uidMap, uidMap) &&
      same(plan.gidMap, gidMap) &&
      !stdio.includes("inherit")
    );
  }

  start(plan: Plan, stdio: [Stdio, Stdio, Stdio], onEvent?: (event: HelperEvent) => void): HelperRun {
    return (this.#server as HelperServer).start(plan, stdio, onEvent);
  }

  async close(): Promise<void> {
    this.#remove();
    this.#usable = false;
    await this.#ready;
    await this.#server?.close();
  }
}

function same(a: IdRange[], b: IdRange[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
