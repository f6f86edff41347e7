import { type LayerRecord, RecordKind } from "../layers/abi.ts";

/** What --chmod makes of an entry's mode. */
export type ModeChange = (record: Pick<LayerRecord, "kind" | "mode">) => number;

const WHO: Record<string, number> = { u: 0o700, g: 0o070, o: 0o007, a: 0o777 };
const CLAUSE = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/;

/** Octal, or chmod's words (`u=rwX,go-w`); undefined: neither. */
export function parseMode(text: string): ModeChange | undefined {
  if (/^[0-7]{1,4}$/.test(text)) {
    const mode = Number.parseInt(text, 8);
    return () => mode;
  }
  const clauses = text.split(",").map((clause) => CLAUSE.exec(clause));
  if (!clauses.every((found) => found !== null)) return undefined;
  return (record) =>
    clauses.reduce((mode, [, who = "", changes = ""]) => {
      const mask = who === "" ? 0o777 : [...who].reduce((bits, one) => bits | (WHO[one] as number), 0);
      return changes
        .split(/(?=[-+=])/)
        .reduce((now, change) => applied(now, mask, change, record.kind === RecordKind.DIRECTORY), mode);
    }, record.mode);
}

function applied(mode: number, mask: number, change: string, isFolder: boolean): number {
  const [sign = "", ...letters] = change;
  let bits = 0;
  for (const letter of letters) bits |= bitsOf(letter, mode, mask, isFolder);
  if (sign === "+") return mode | bits;
  if (sign === "-") return mode & ~bits;
  const special = (mask & 0o700 ? 0o4000 : 0) | (mask & 0o070 ? 0o2000 : 0);
  // a folder keeps these unless they are named, as with chmod
  const cleared = mask | (isFolder ? 0 : special);
  return (mode & ~cleared) | bits;
}

function bitsOf(letter: string, mode: number, mask: number, isFolder: boolean): number {
  switch (letter) {
    case "r":
      return 0o444 & mask;
    case "w":
      return 0o222 & mask;
    case "x":
      return 0o111 & mask;
    case "X":
      return isFolder || (mode & 0o111) !== 0 ? 0o111 & mask : 0;
    case "s":
      return (mask & 0o700 ? 0o4000 : 0) | (mask & 0o070 ? 0o2000 : 0);
    case "t":
      return 0o1000;
    default: {
      // those that another class has
      const shift = letter === "u" ? 6 : letter === "g" ? 3 : 0;
      const own = (mode >> shift) & 7;
      return (own | (own << 3) | (own << 6)) & mask;
    }
  }
}
