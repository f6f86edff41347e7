import { UsageError } from "../usage-error.ts";
import { mountTarget } from "./mount-target.ts";

/** `--device SOURCE[:TARGET][:rwm]`. */
export function parseDevice(text: string): { source: string; target: string } {
  const [source = "", ...rest] = text.split(":");
  const access = /^[rwm]+$/.test(rest.at(-1) ?? "") ? rest.pop() : "rwm";
  if (!source.startsWith("/") || rest.length > 1) throw new UsageError("expected /dev/NODE[:TARGET][:rwm]");
  if (!access?.includes("r") || !access.includes("w")) {
    throw new UsageError("a device can be given as a whole only: without privilege nothing takes r or w away", {
      hint: "file permissions of the host's node stand; leave the last part out",
    });
  }
  return { source, target: mountTarget(rest[0] ?? source) };
}

/** `--gpus all`: single ones cannot be told apart without the vendor's own programs. */
export function parseGpus(text: string): boolean {
  if (text === "all" || text === "-1") return true;
  throw new UsageError('expected "all"', { hint: "single nodes are given by --device" });
}
