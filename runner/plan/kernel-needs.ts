/** What came to Linux too late for somebody. Whether it is there is found by trying; the version only explains why not. */
interface Need {
  since: string;
  /** What it is to a user. */
  what: string;
  /** How it goes without; absent: not at all. */
  without?: string;
}

/** Before it nothing runs: pid file descriptors could not be entered. */
export const OLDEST_KERNEL = "5.8";

const NEEDS: readonly Need[] = [
  { since: OLDEST_KERNEL, what: "containers" },
  {
    since: "5.11",
    what: "overlayfs for users who are not root",
    without: "fuse-overlayfs or a copy of the image takes its place",
  },
  {
    since: "5.12",
    what: "recursive read-only mounts",
    without: "other file systems below a read-only mount stay writable",
  },
  { since: "5.13", what: "Landlock", without: "files are guarded by mounts alone" },
  { since: "6.6", what: "overlayfs with changes in memory", without: '"host" needs a store on a local disk' },
];

/** `6.1.0-13-amd64` → [6, 1]; undefined for what is no version. */
function version(release: string): [number, number] | undefined {
  const found = /^(\d+)\.(\d+)/.exec(release);
  return found ? [Number(found[1]), Number(found[2])] : undefined;
}

export function isOlder(release: string, than: string): boolean {
  const [have, want] = [version(release), version(than)];
  if (!have || !want) return false;
  return have[0] !== want[0] ? have[0] < want[0] : have[1] < want[1];
}

/** What a kernel is too old for, a sentence each; none for one of these years. */
export function kernelShortcomings(release: string): string[] {
  return NEEDS.filter(({ since }) => isOlder(release, since)).map(
    ({ since, what, without }) =>
      `${what} ${without === undefined ? "need" : "came with"} Linux ${since}, this is ${release}${without === undefined ? "" : `: ${without}`}`,
  );
}

/** For a hint: "needs Linux 5.11 or later", and whether that is the reason here. */
export function needsKernel(since: string, release: string): string {
  if (isOlder(release, since)) return `needs Linux ${since} or later, this is ${release}`;
  return `needs Linux ${since} or later, which this is (${release}): it was left out of this kernel, or a filter refuses it`;
}
