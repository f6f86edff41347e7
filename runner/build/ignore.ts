/** `.dockerignore`: patterns by moby's rules, later ones win, `!` takes back. */

interface Pattern {
  negated: boolean;
  regex: RegExp;
  /** The pattern's own components, for telling whether something below a folder could match. */
  parts: string[];
}

export interface Ignore {
  /** Whether this path of the context (no leading slash) is left out. */
  excludes(path: string): boolean;
  /** Whether all that lies below this excluded folder is left out too, so that nobody need look. */
  excludesAllBelow(path: string): boolean;
  /** False: nothing is ever left out. */
  any: boolean;
  /** The patterns, for comparing. */
  text: string;
}

export function parseIgnore(text: string): Ignore {
  return ignoreOf(
    text
      .replace(/^\ufeff/, "")
      .split(/\r?\n/)
      .filter((line) => !line.startsWith("#")),
  );
}

export function ignoreOf(lines: string[]): Ignore {
  const patterns = lines.flatMap((line) => toPattern(line.trim()) ?? []);
  const excludes = (path: string): boolean => {
    let excluded = false;
    const parts = path.split("/");
    for (const { negated, regex } of patterns) {
      if (negated !== excluded) continue;
      // what excludes a folder excludes what is in it
      const matches = parts.some((_, count) => regex.test(parts.slice(0, count + 1).join("/")));
      if (matches) excluded = !negated;
    }
    return excluded;
  };
  const exceptions = patterns.filter((pattern) => pattern.negated);
  return {
    any: patterns.length > 0,
    text: lines.join("\n"),
    excludes,
    excludesAllBelow: (path) => {
      const parts = path.split("/");
      return !exceptions.some((pattern) => couldMatchBelow(pattern.parts, parts));
    },
  };
}

function toPattern(line: string): Pattern | undefined {
  let text = line;
  if (text === "") return undefined;
  const negated = text.startsWith("!");
  if (negated) text = text.slice(1).trim();
  text = clean(text);
  if (text === "" || text === ".") return undefined;
  return { negated, regex: patternRegex(text), parts: text.split("/") };
}

/** As Go's filepath.Clean, without a slash at the start: a context has no other root. */
function clean(text: string): string {
  const parts: string[] = [];
  for (const part of text.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (part !== "..") parts.push(part);
  }
  return parts.join("/");
}

function couldMatchBelow(pattern: string[], folder: string[]): boolean {
  for (const [at, part] of folder.entries()) {
    const own = pattern[at];
    if (own === undefined || own.includes("**")) return true; // it matched above, or matches at any depth
    if (!patternRegex(own).test(part)) return false;
  }
  return true;
}

/** moby's patternmatcher: `*` and `?` stop at slashes, `**` does not, `[…]` is a set, `\` takes a meaning away. */
export function patternRegex(pattern: string): RegExp {
  let regex = "^";
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] as string;
    if (char === "*") {
      if (pattern[at + 1] !== "*") {
        regex += "[^/]*";
        continue;
      }
      at++;
      if (pattern[at + 1] === "/") at++;
      regex += at + 1 >= pattern.length ? ".*" : "(?:.*/)?";
    } else if (char === "?") regex += "[^/]";
    else if (char === "\\" && at + 1 < pattern.length) {
      at++;
      regex += escaped(pattern[at] as string);
    } else if (char === "[") {
      const end = pattern.indexOf("]", at + 2);
      if (end < 0) regex += "\\[";
      else {
        regex += set(pattern.slice(at + 1, end));
        at = end;
      }
    } else regex += escaped(char);
  }
  try {
    return new RegExp(`${regex}$`, "s");
  } catch {
    return /(?!)/; // a set such as [z-a] matches nothing
  }
}

function set(content: string): string {
  const negated = content.startsWith("^");
  const inner = (negated ? content.slice(1) : content).replace(/[[\]^\\]/g, "\\$&");
  return `(?!/)[${negated ? "^" : ""}${inner}]`;
}

function escaped(char: string): string {
  return /[\\^$.*+?()[\]{}|/]/.test(char) ? `\\${char}` : char;
}
