/** Columns as docker prints them: as wide as the widest cell and a gap, never narrower than ten, the last one unpadded. */

const GAP = 3;
const NARROWEST = 10;

export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, displayWidth(cell));
    });
  }
  return rows
    .map((row) => {
      const cells = row.map((cell, i) => {
        if (i === row.length - 1) return cell;
        return cell + " ".repeat(Math.max(NARROWEST, (widths[i] ?? 0) + GAP) - displayWidth(cell));
      });
      return `${cells.join("")}\n`;
    })
    .join("");
}

/** Code points, not UTF-16 units, so that accented names and emoji do not shift a column by their encoding. */
function displayWidth(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += /\p{Mark}/u.test(character) ? 0 : 1;
  return width;
}

/** Cuts to `length` characters, the last being an ellipsis, as docker does with commands. */
export function ellipsis(text: string, length: number): string {
  const characters = [...text];
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join("")}…`;
}

/** The twelve digits by which people know an id. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, "").slice(0, 12);
}
