import type { Xattr } from "../layers/abi.ts";
import { getXattr, listXattrs } from "../sys/native.ts";

const CAPABILITY = "security.capability";
/** struct vfs_cap_data of linux/capability.h: what stands in the highest byte of the first word, and the lengths of both forms. */
const REVISION_2 = 2;
const REVISION_3 = 3;
const LENGTH_2 = 20;
const LENGTH_3 = 24;

/**
 * The extended attributes of a file that a layer keeps: capabilities of a program, and what users wrote. Marks of overlays, labels of this machine and access
 * lists, whose ids mean nothing elsewhere, stay behind. `root` is the user here who is root in the image.
 */
export function attributesOf(path: string, root: number): Xattr[] {
  return listXattrs(path)
    .filter(
      (name) => name === CAPABILITY || (name.startsWith("user.") && !/^user\.(overlay|fuseoverlayfs)\./.test(name)),
    )
    .sort()
    .flatMap((name) => {
      const value = getXattr(path, name);
      const kept = value && name === CAPABILITY ? insideCapability(value, root) : value;
      return kept ? [{ name: Buffer.from(name), value: kept }] : [];
    });
}

/** The kernel notes whose root a file's capabilities are for; inside, where that is root itself, it is not said. Others' mean nothing there. */
function insideCapability(value: Buffer, root: number): Buffer | undefined {
  const revision = value[3];
  if (revision === REVISION_2) return value;
  if (revision !== REVISION_3 || value.length !== LENGTH_3 || value.readUInt32LE(LENGTH_2) !== root) return undefined;
  const inside = Buffer.from(value.subarray(0, LENGTH_2));
  inside[3] = REVISION_2;
  return inside;
}
