import { visible } from "../base/error.ts";
import type { Engine } from "../engine/engine.ts";
import type { LockOptions } from "../engine/lock/policy.ts";
import { type Context, changed } from "./context.ts";
import type { ProgressPrinter } from "./progress.ts";
import { engineOf } from "./verb.ts";

/** The engine of a verb that may have to pull an image first: it shows that on standard error, as `pull` does, unless it is to be quiet. */
export function pullingEngine(context: Context, quiet: boolean, lock: LockOptions = {}): Engine {
  let printer: ProgressPrinter | undefined;
  const around = changed(context, {
    // warnings stand above the bars; a start that pulls nothing makes no stream
    get stderr() {
      return printer?.stderr ?? context.stderr;
    },
  });
  const engine = engineOf(around, lock);
  engine.followPull = async (name, stored) => {
    const { progressPrinter } = await import("./progress.ts");
    printer = progressPrinter(context, { quiet });
    if (!stored && !quiet) context.stderr.write(`image "${visible(name)}" is not in the store: pulling it\n`);
    return printer.start(name);
  };
  return engine;
}
