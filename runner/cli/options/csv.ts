import { UsageError } from "../usage-error.ts";

/** One line of comma-separated fields; a field in double quotes may hold commas, and `""` is a quote in it. */
export function splitCsv(text: string): string[] {
  const fields: string[] = [];
  let rest = text;
  for (;;) {
    const match = /^"((?:[^"]|"")*)"(?=,|$)|^[^",]*(?=,|$)/.exec(rest);
    if (match === null) throw new UsageError("a quoted field must be quoted as a whole", { hint: `write "a=b,c",d=e` });
    fields.push(match[1] === undefined ? match[0] : match[1].replaceAll('""', '"'));
    rest = rest.slice(match[0].length);
    if (rest === "") return fields;
    rest = rest.slice(1);
  }
}
