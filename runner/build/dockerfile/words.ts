/** A word as it stands, quotes and escapes included, and where in the text. */
export interface Word {
  text: string;
  start: number;
  end: number;
}

/** Cuts at blanks that stand neither in quotes nor behind the escape character. */
export function splitWords(text: string, escapeChar: string): Word[] {
  const words: Word[] = [];
  let start = -1;
  let quote = "";
  for (let at = 0; at <= text.length; at++) {
    const char = text[at];
    if (char === undefined || (quote === "" && /\s/.test(char))) {
      if (start >= 0) words.push({ text: text.slice(start, at), start, end: at });
      start = -1;
      continue;
    }
    if (start < 0) start = at;
    if (char === escapeChar && quote !== "'") at++;
    else if (quote === "" && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = "";
  }
  return words;
}

/** Cuts at blanks, whatever quotes there are. */
export function blankWords(text: string): Word[] {
  return [...text.matchAll(/\S+/g)].map((found) => ({
    text: found[0],
    start: found.index,
    end: found.index + found[0].length,
  }));
}
