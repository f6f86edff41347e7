import { visible } from "../../base/error.ts";

/**
 * Names in layers are bytes of any kind. Inside the explorer a path is a "binary string": one character for each byte, so that it is a key that
 * nothing can collide with. Only what leaves it is made text.
 */
export type BytePath = string;

export function bytePath(bytes: Uint8Array): BytePath {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

/** As the user typed it: UTF-8, with or without a slash before it. */
export function typedPath(text: string): BytePath {
  return bytePath(Buffer.from(text.replace(/^(\.?\/+)+/, "").replace(/\/+$/, "")));
}

const UTF8 =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: every byte has its place
  /[\x00-\x7f]+|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|([\x80-\xff])/g;

/** Most names: nothing in them needs care. */
const PLAIN = /^[\x20-\x7e]*$/;

/** UTF-8 as text; bytes that are none as `\xNN`, and control characters made visible. */
export function pathText(path: BytePath): string {
  if (PLAIN.test(path)) return path;
  const text = path.replace(UTF8, (found, stray?: string) =>
    stray === undefined ? Buffer.from(found, "latin1").toString("utf8") : `\\x${stray.charCodeAt(0).toString(16)}`,
  );
  return visible(text);
}

/** For programs, where the text alone would not give the bytes back. */
export function pathBase64(path: BytePath): string | undefined {
  if (PLAIN.test(path)) return undefined;
  const bytes = Buffer.from(path, "latin1");
  return Buffer.from(pathText(path)).equals(bytes) ? undefined : bytes.toString("base64");
}
