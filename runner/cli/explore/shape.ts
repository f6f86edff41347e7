/**
 * What `tsbox image explore --format json` prints, and what its HTML page shows. Paths are text: UTF-8, with control characters and
 * bytes that are no UTF-8 as `\xNN`; `pathBase64` has the bytes where the text does not give them back. No imports: the page's
 * script reads this too.
 */

export interface ImageReport {
  version: 1;
  image: ReportImage;
  /** Bottom first. */
  layers: ReportLayer[];
  /** Bytes of all files of all layers. */
  size: number;
  /** Bytes of files that a later layer overwrites or removes. */
  wasted: number;
  /** 1 - wasted / size. */
  efficiency: number;
  /** Largest first. */
  waste: ReportWaste[];
  /** Largest files of what a container sees. */
  biggest: ReportPlace[];
  /** The same content stored more than once; what one copy would save first. */
  duplicates: ReportDuplicate[];
}

export interface CompareReport {
  version: 1;
  images: [ReportImage, ReportImage];
  /** Layers that both begin with. */
  sharedLayers: number;
  /** From the first to the second: what containers of them see. */
  changes: ReportChange[];
}

/** `--file`. */
export interface DiffReport {
  version: 1;
  diffs: ReportDiff[];
}

export interface ReportImage {
  name: string;
  /** Digest of its config. */
  id: string;
  /** Of its manifest. */
  digest: string;
  platform: string;
}

export interface ReportLayer {
  /** From 1, bottom first. */
  number: number;
  /** Its diffID. */
  id: string;
  /** Its blob's. */
  digest: string;
  /** By the image's history; may be empty. */
  instruction: string;
  created: string;
  /** Bytes of its files. */
  size: number;
  /** Bytes of its blob. */
  compressed: number;
  added: number;
  changed: number;
  removed: number;
  /** By path. */
  changes: ReportChange[];
}

export interface ReportPath {
  path: string;
  pathBase64?: string;
}

export interface ReportChange extends ReportPath {
  change: "added" | "changed" | "removed";
  /** What it is now; of something removed, what it was. */
  kind: string;
  /** Bytes of a file. */
  size: number;
  /** Bytes that it had below, if it changed. */
  before?: number;
  /** If it changed: `type content link mode owner time attributes`; none: an identical copy. */
  aspects?: string[];
  /** Octal. */
  mode: string;
  uid: number;
  gid: number;
  /** A link's target, a device's numbers. */
  link?: string;
  /** SHA-256 of a file's content. */
  digest?: string;
}

export interface ReportWaste extends ReportPath {
  bytes: number;
  versions: { layer: number; size: number; by: number; how: "overwritten" | "removed" }[];
}

export interface ReportPlace extends ReportPath {
  layer: number;
  size: number;
}

export interface ReportDuplicate {
  digest: string;
  size: number;
  /** Bytes that one copy would save. */
  extra: number;
  places: (ReportPath & { layer: number })[];
}

export interface ReportSide {
  image: string;
  /** 0: below the first layer. */
  layer: number;
  kind?: string;
  size?: number;
  digest?: string;
  mode?: string;
}

export interface ReportDiff extends ReportPath {
  from: ReportSide;
  to: ReportSide;
  /** No text diff was made: one of them is not text or too large, or they are too different. */
  binary: boolean;
  /** Unified; for binary files one line for each side. Empty: the same content. */
  text: string;
}

/** What the page gets. */
export interface PageData {
  report: ImageReport | CompareReport;
  diffs: ReportDiff[];
  /** Text files that changed and are not among the diffs, since the page would be too large. */
  diffsLeftOut: number;
}
