/**
 * A tar writer for the few files of the base image: ustar, and the same bytes for the same entries.
 * The layer engine has a complete one; this one must work before anything is built.
 */

export interface Entry {
  /** Without a leading slash; at most 100 bytes. */
  path: string;
  type: "directory" | "file" | "symlink";
  mode: number;
  /** Target of a symbolic link. */
  target?: string;
  content?: Uint8Array;
}

const BLOCK = 512;
const TYPE_FLAGS = { file: "0", symlink: "2", directory: "5" };

/** The whole archive: owner root, times 0, entries in the order given. */
export function tar(entries: Entry[]): Buffer {
  const blocks: Uint8Array[] = [];
  for (const entry of entries) {
    const content = entry.content ?? new Uint8Array(0);
    blocks.push(header(entry, content.length), content, Buffer.alloc(-content.length & (BLOCK - 1)));
  }
  blocks.push(Buffer.alloc(2 * BLOCK));
  return Buffer.concat(blocks);
}

function header(entry: Entry, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const name = entry.type === "directory" ? `${entry.path}/` : entry.path;
  text(block, name, 0, 100);
  octal(block, entry.mode, 100, 8);
  octal(block, 0, 108, 8);
  octal(block, 0, 116, 8);
  octal(block, size, 124, 12);
  octal(block, 0, 136, 12);
  block.write(TYPE_FLAGS[entry.type], 156);
  text(block, entry.target ?? "", 157, 100);
  block.write("ustar\x0000", 257, "latin1");
  // The checksum is taken with its own field full of spaces.
  block.fill(" ", 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

function text(block: Buffer, value: string, offset: number, length: number): void {
  if (Buffer.byteLength(value) > length)
    throw new Error(`Cannot write tar header: "${value}" is longer than ${length} bytes`);
  block.write(value, offset);
}

function octal(block: Buffer, value: number, offset: number, length: number): void {
  block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, offset);
}
