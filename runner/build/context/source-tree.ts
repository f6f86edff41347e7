import type { LayerRecord } from "../../layers/abi.ts";

/** Something that a COPY or ADD names: a place in a tree of files. */
export interface Found {
  /** Where it is, links followed; without a slash at the start. */
  path: string;
  /** As it was named: its last component is the name it gets, with --parents all of them. */
  named: string;
  kind: "directory" | "file" | "symlink" | "other";
}

/** An entry on its way into a layer. `record.path` is relative to what was found, "" for that itself. */
export interface SourceEntry {
  path: string;
  record: LayerRecord;
  /** A file of which an earlier entry is another name: the path of that. */
  linked?: string;
  /** How the host's file system saw it. */
  stamp?: string;
  /** SHA-256 of a file's content, in hexadecimal; asked for only by those who need it. */
  digest?: () => string;
  content?: () => Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/** Where COPY and ADD take files from: the context, an earlier stage, an image, an archive. */
export interface SourceTree {
  /** What errors call it. */
  name: string;
  /** Everything that a name or pattern fits, sorted; a plain name that is not there gives nothing. */
  find(pattern: string): Found[];
  /** It and all below it, folders before what is in them, sorted by name. `leaveOut` says which paths, as seen from the tree's root, are not wanted. */
  walk(found: Found, leaveOut: (path: string) => boolean): Iterable<SourceEntry> | AsyncIterable<SourceEntry>;
  /** Changes whenever anything of it might have; absent: not to be had without reading all of it. */
  fingerprint?(found: Found): string;
  /** The next build will find it where it is. */
  lasting?: boolean;
  /** Its folder on the host, if it has one. */
  root?: string;
  /** What is left out of it before anybody asks. */
  ignored?: string;
}
