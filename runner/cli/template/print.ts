/** Values as Go's fmt shows them. */

/** `%v`: lists as `[a b]`, maps as `map[a:1 b:2]` in order of their keys, nothing as `<nil>`. */
export function printValue(value: unknown): string {
  if (value === null || value === undefined) return "<nil>";
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return `[${value.map(printValue).join(" ")}]`;
  if (typeof value === "object") {
    const entries = mapEntries(value).map(([key, item]) => `${key}:${printValue(item)}`);
    return `map[${entries.join(" ")}]`;
  }
  return String(value);
}

/** Sorted by key, methods left out. */
export function mapEntries(value: object): [string, unknown][] {
  const entries =
    value instanceof Map ? [...value].map(([k, v]): [string, unknown] => [String(k), v]) : Object.entries(value);
  return entries.filter(([, item]) => typeof item !== "function").sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

/** `printf` with Go's verbs, flags, width and precision. */
export function sprintf(format: string, values: readonly unknown[]): string {
  let used = 0;
  const text = format.replace(
    /%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d+)?)?([a-zA-Z%])/g,
    (whole, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
      if (verb === "%") return "%";
      const take = (text: string | undefined) => (text === "*" ? Number(values[used++]) : text && Number(text));
      const columns = take(width) || 0;
      const hasPoint = whole.includes(".");
      const places = hasPoint ? take(precision) || 0 : undefined;
      if (used >= values.length) return `%!${verb}(MISSING)`;
      return pad(formatVerb(verb, values[used++], flags, places), columns, flags, verb);
    },
  );
  const extra = values.slice(used).map((value) => `${typeName(value)}=${printValue(value)}`);
  return extra.length === 0 ? text : `${text}%!(EXTRA ${extra.join(", ")})`;
}

function pad(text: string, columns: number, flags: string, verb: string): string {
  const missing = columns - [...text].length;
  if (missing <= 0) return text;
  if (flags.includes("-")) return text + " ".repeat(missing);
  if (flags.includes("0") && "dxXobeEfFgG".includes(verb)) {
    const sign = /^[+-]/.exec(text)?.[0] ?? "";
    return sign + "0".repeat(missing) + text.slice(sign.length);
  }
  return " ".repeat(missing) + text;
}

function formatVerb(verb: string, value: unknown, flags: string, places: number | undefined): string {
  const wrong = `%!${verb}(${typeName(value)}=${printValue(value)})`;
  switch (verb) {
    case "v":
      return places === undefined || typeof value !== "string" ? printValue(value) : cut(value, places);
    case "s":
      if (value === null || value === undefined || typeof value === "number" || typeof value === "boolean")
        return wrong;
      return cut(printValue(value), places);
    case "q":
      return typeof value === "number" ? `'${String.fromCodePoint(value)}'` : JSON.stringify(printValue(value));
    case "t":
      return typeof value === "boolean" ? String(value) : wrong;
    case "T":
      return typeName(value);
    case "c":
      return typeof value === "number" ? String.fromCodePoint(value) : wrong;
    case "x":
    case "X": {
      const hex = toHex(value, flags);
      return hex === undefined ? wrong : verb === "X" ? hex.toUpperCase() : hex;
    }
    default:
      return formatNumber(verb, value, flags, places) ?? wrong;
  }
}

function formatNumber(verb: string, value: unknown, flags: string, places: number | undefined): string | undefined {
  if (typeof value !== "number" && typeof value !== "bigint") return undefined;
  const number = Number(value);
  const plus = flags.includes("+") && number >= 0 ? "+" : "";
  const whole = typeof value === "bigint" || Number.isInteger(value);
  switch (verb) {
    case "d":
      return whole ? plus + String(value) : undefined;
    case "o":
      return whole ? plus + value.toString(8) : undefined;
    case "b":
      return whole ? plus + value.toString(2) : undefined;
    case "f":
    case "F":
      return plus + number.toFixed(places ?? 6);
    case "e":
    case "E":
      return plus + number.toExponential(places ?? 6).replace(/e([+-])(\d)$/, "e$10$2");
    case "g":
    case "G":
      return plus + (places === undefined ? String(number) : String(Number(number.toPrecision(Math.max(1, places)))));
    default:
      return undefined;
  }
}

function toHex(value: unknown, flags: string): string | undefined {
  const prefix = flags.includes("#") ? "0x" : "";
  if (typeof value === "string") return prefix + Buffer.from(value).toString("hex");
  if (typeof value === "bigint" || (typeof value === "number" && Number.isInteger(value)))
    return prefix + value.toString(16);
  return undefined;
}

function cut(text: string, places: number | undefined): string {
  return places === undefined ? text : [...text].slice(0, places).join("");
}

export function typeName(value: unknown): string {
  if (value === null || value === undefined) return "<nil>";
  if (Array.isArray(value)) return "list";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float64";
  if (typeof value === "bigint") return "int";
  if (typeof value === "boolean") return "bool";
  return typeof value === "object" ? "map" : typeof value;
}
