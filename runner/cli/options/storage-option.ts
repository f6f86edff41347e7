import { parseBytes } from "../units.ts";
import { UsageError } from "../usage-error.ts";

/** `--storage-opt size=SIZE`, in bytes. */
export function parseStorageOption(text: string): number {
  const [key, value] = text.split("=", 2);
  if (key !== "size" || value === undefined) throw new UsageError("expected size=SIZE, as size=500m");
  const size = parseBytes(value);
  if (size < 64 << 10) throw new UsageError("expected at least 64k");
  return size;
}
