import { TsboxError } from "../../base/error.ts";

/** Gives a variable's value; undefined when it is not set. */
export type Lookup = (name: string) => string | undefined;

/** The word cannot be expanded; the caller knows where it stands. */
export class ExpansionError extends TsboxError {}

/**
 * Expands variables in one word by the shell's rules that Dockerfiles know, and takes quotes and escapes off:
 * `$A`, `${A}`, `${A:-word}`, `:+`, `:?` (and the three without colon), `#`, `##`, `%`, `%%`, `/`, `//`.
 */
export function expandWord(text: string, lookup: Lookup, escapeChar = "\\"): string {
  return new Expansion(text, lookup, escapeChar, false).whole();
}

/** The same for a heredoc's text: quotes are part of it. */
export function expandText(text: string, lookup: Lookup, escapeChar = "\\"): string {
  return new Expansion(text, lookup, escapeChar, true).whole();
}

class Expansion {
  #at = 0;
  readonly #text: string;
  readonly #lookup: Lookup;
  readonly #escapeChar: string;
  readonly #raw: boolean;

  constructor(text: string, lookup: Lookup, escapeChar: string, raw: boolean) {
    this.#text = text;
    this.#lookup = lookup;
    this.#escapeChar = escapeChar;
    this.#raw = raw;
  }

  whole(): string {
    return this.#until("");
  }

  /** Up to the closing character, which is taken too; "" is the end of the text. */
  #until(stop: string): string {
    let result = "";
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] as string;
      if (char === stop) {
        this.#at++;
        return result;
      }
      if (char === "$") result += this.#dollar();
      else if (char === this.#escapeChar) result += this.#escaped(this.#raw);
      else if (char === "'" && !this.#raw) result += this.#single();
      else if (char === '"' && !this.#raw) result += this.#double();
      else {
        result += char;
        this.#at++;
      }
    }
    if (stop !== "") throw new ExpansionError(`"${stop}" is missing at the end`);
    return result;
  }

  #escaped(keep: boolean): string {
    const next = this.#text[this.#at + 1];
    this.#at += 2;
    if (next === undefined) return keep ? this.#escapeChar : "";
    // between double quotes and in a heredoc only these lose their meaning by it
    return keep && next !== "$" && next !== this.#escapeChar && (this.#raw || next !== '"')
      ? this.#escapeChar + next
      : next;
  }

  #single(): string {
    const end = this.#text.indexOf("'", this.#at + 1);
    if (end < 0) throw new ExpansionError("a single quote is not closed");
    const content = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return content;
  }

  #double(): string {
    this.#at++;
    let result = "";
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] as string;
      if (char === '"') {
        this.#at++;
        return result;
      }
      if (char === "$") result += this.#dollar();
      else if (char === this.#escapeChar) result += this.#escaped(true);
      else {
        result += char;
        this.#at++;
      }
    }
    throw new ExpansionError("a double quote is not closed");
  }

  #dollar(): string {
    this.#at++;
    if (this.#text[this.#at] !== "{") {
      const name = this.#name();
      return name === "" ? "$" : (this.#lookup(name) ?? "");
    }
    this.#at++;
    const name = this.#name();
    if (name === "") throw new ExpansionError("${…} names no variable");
    const value = this.#lookup(name);
    const char = this.#text[this.#at];
    this.#at++;
    switch (char) {
      case "}":
        return value ?? "";
      case ":": {
        const kind = this.#text[this.#at] ?? "";
        this.#at++;
        return this.#conditional(name, kind, value !== undefined && value !== "", value);
      }
      case "+":
      case "-":
      case "?":
        return this.#conditional(name, char, value !== undefined, value);
      case "#":
      case "%": {
        const longest = this.#text[this.#at] === char;
        if (longest) this.#at++;
        return trim(value ?? "", this.#pattern("}"), char, longest);
      }
      case "/": {
        const all = this.#text[this.#at] === "/";
        if (all) this.#at++;
        const pattern = this.#pattern("/");
        const replacement = this.#until("}");
        const regex = new RegExp(pattern, all ? "gsu" : "su");
        return pattern === "" ? (value ?? "") : (value ?? "").replace(regex, () => replacement);
      }
      case undefined:
        throw new ExpansionError(`"}" is missing behind "\${${name}"`);
      default:
        throw new ExpansionError(`"\${${name}${char}…}" has no modifier that is known`);
    }
  }

  #conditional(name: string, kind: string, has: boolean, value: string | undefined): string {
    if (!["+", "-", "?"].includes(kind))
      throw new ExpansionError(`"\${${name}:${kind}…}" has no modifier that is known`);
    const word = this.#until("}");
    if (kind === "+") return has ? word : "";
    if (has) return value ?? "";
    if (kind === "-") return word;
    throw new ExpansionError(`${name}: ${word || "it is not set"}`);
  }

  #name(): string {
    const rest = this.#text.slice(this.#at);
    const found = /^([A-Za-z_][A-Za-z0-9_]*|\d|[@*#?!])/.exec(rest)?.[0] ?? "";
    // "${#…}" has no name, but "$#" has: as the shell's, it is never set here
    this.#at += found.length;
    return found;
  }

  /** A glob of the shell up to `stop`, as the source of a regular expression; `*` takes as much as it can. */
  #pattern(stop: string): string {
    let regex = "";
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] as string;
      if (char === stop) {
        this.#at++;
        return regex;
      }
      if (char === "*") regex += ".*";
      else if (char === "?") regex += ".";
      else if (char === "$") {
        regex += literal(this.#dollar());
        continue;
      } else if (char === this.#escapeChar && this.#at + 1 < this.#text.length) {
        this.#at++;
        regex += literal(this.#text[this.#at] as string);
      } else regex += literal(char);
      this.#at++;
    }
    throw new ExpansionError(`"${stop}" is missing at the end`);
  }
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

/** Takes the shortest or longest fitting start (#) or end (%) off. */
function trim(value: string, pattern: string, side: string, longest: boolean): string {
  const whole = new RegExp(`^(?:${pattern})$`, "su");
  const lengths = Array.from({ length: value.length + 1 }, (_, length) => length);
  if (longest) lengths.reverse();
  for (const length of lengths) {
    const part = side === "#" ? value.slice(0, length) : value.slice(value.length - length);
    if (whole.test(part)) return side === "#" ? value.slice(length) : value.slice(0, value.length - length);
  }
  return value;
}
