/** What a system error says of the disk, in words, and what can be done. */
export interface DiskFault {
  state: string;
  hint: string;
}

const ROOM = '"df" and "quota" show what is left; "tsbox system prune" and "tsbox rmi" make room in the store';

const FAULTS: Record<string, DiskFault> = {
  ENOSPC: { state: "the disk is full", hint: ROOM },
  EDQUOT: { state: "the quota is used up", hint: ROOM },
  EROFS: { state: "the file system is read-only", hint: '"tsbox --root DIR" names another place for the store' },
};

export function diskFault(error: unknown): DiskFault | undefined {
  return FAULTS[(error as NodeJS.ErrnoException | undefined)?.code ?? ""];
}

/** There is no room: less can still be written where something is removed first. */
export function isFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOSPC" || code === "EDQUOT";
}
