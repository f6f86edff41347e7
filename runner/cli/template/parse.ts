/** Tokens → a tree of nodes, by the grammar of Go's text/template. */

import { nearest } from "../suggest.ts";
import { unreadable } from "./error.ts";
import { lex, type Token, type TokenKind } from "./lex.ts";

export type Node =
  | { type: "text"; text: string }
  | { type: "output"; pipe: Pipe }
  | { type: "if" | "with" | "range"; pipe: Pipe; body: Node[]; otherwise: Node[] }
  | { type: "break" | "continue" }
  | { type: "template"; name: string; pipe: Pipe | undefined; at: number };

export interface Pipe {
  /** Variables that take the result, as in `$key, $value := …`. */
  variables: string[];
  /** `=` gives an existing variable a value, `:=` makes a new one. */
  assigns: boolean;
  commands: Command[];
}

/** The first operand is the function, or the value if it stands alone. */
export interface Command {
  operands: Operand[];
  at: number;
}

export type Operand = { path: string[]; at: number; source: string } & (
  | { type: "dot" }
  | { type: "variable"; name: string }
  | { type: "literal"; value: string | number | boolean | null }
  | { type: "function"; name: string }
  | { type: "pipe"; pipe: Pipe }
);

export interface Template {
  body: Node[];
  defined: Map<string, Node[]>;
}

export function parse(source: string, functions: ReadonlySet<string>): Template {
  return new Parser(source, functions).template();
}

/** Where a list of nodes ended, and by which word. */
interface NodeList {
  nodes: Node[];
  end: "end" | "else" | "eof";
}

class Parser {
  private readonly tokens: Token[];
  private readonly defined = new Map<string, Node[]>();
  private position = 0;
  private loops = 0;
  /** Variables in scope, checked while parsing as Go does. */
  private variables = ["$"];

  constructor(
    private readonly source: string,
    private readonly functions: ReadonlySet<string>,
  ) {
    this.tokens = lex(source);
  }

  template(): Template {
    const { nodes, end } = this.list();
    if (end !== "eof") throw this.unexpected(`{{${end}}}`);
    return { body: nodes, defined: this.defined };
  }

  private list(): NodeList {
    const nodes: Node[] = [];
    for (let token = this.next(); token !== undefined; token = this.next()) {
      if (token.kind === "text") {
        nodes.push({ type: "text", text: token.text });
        continue;
      }
      const word = this.peek()?.kind === "word" ? this.peek()?.text : undefined;
      if (word === "end" || word === "else") {
        this.next();
        if (word === "end") this.expect("close", "{{end}}");
        return { nodes, end: word };
      }
      const node = this.action(word);
      if (node !== undefined) nodes.push(node);
    }
    return { nodes, end: "eof" };
  }

  private action(word: string | undefined): Node | undefined {
    switch (word) {
      case "if":
      case "with":
      case "range":
        this.next();
        return this.control(word);
      case "break":
      case "continue":
        this.next();
        if (this.loops === 0) throw this.unexpected(`{{${word}}} outside {{range}}`);
        this.expect("close", `{{${word}}}`);
        return { type: word };
      case "define":
        this.next();
        this.define();
        return undefined;
      case "template":
        this.next();
        return this.invocation();
      case "block": {
        this.next();
        const call = this.invocation();
        this.defined.set(call.name, this.isolated());
        return call;
      }
      default: {
        const pipe = this.pipe("close");
        this.expect("close", "action");
        return { type: "output", pipe };
      }
    }
  }

  private control(type: "if" | "with" | "range"): Node {
    const outer = this.variables.length;
    const pipe = this.pipe("close", type === "range");
    this.expect("close", `{{${type}}}`);
    if (type === "range") this.loops++;
    const body = this.list();
    if (type === "range") this.loops--;
    let otherwise: Node[] = [];
    if (body.end === "eof") throw this.unclosed(type);
    if (body.end === "else") otherwise = this.elseBranch(type);
    this.variables.length = outer;
    return { type, pipe, body: body.nodes, otherwise };
  }

  /** `{{else}}` or `{{else if …}}`, which shares the `{{end}}` of the outer one. */
  private elseBranch(type: "if" | "with" | "range"): Node[] {
    const word = this.peek();
    if (word?.kind === "word" && word.text === type && type !== "range") {
      this.next();
      return [this.control(type)];
    }
    this.expect("close", "{{else}}");
    const { nodes, end } = this.list();
    if (end !== "end") throw end === "eof" ? this.unclosed(type) : this.unexpected("second {{else}}");
    return nodes;
  }

  private define(): void {
    const name = this.expect("string", "{{define}}").text;
    this.expect("close", "{{define}}");
    this.defined.set(name, this.isolated());
  }

  /** The body of a named template sees no variable and no loop of the place it stands at. */
  private isolated(): Node[] {
    const { variables, loops } = this;
    this.variables = ["$"];
    this.loops = 0;
    const { nodes, end } = this.list();
    if (end !== "end") throw this.unclosed("define");
    this.variables = variables;
    this.loops = loops;
    return nodes;
  }

  private invocation(): Node & { type: "template" } {
    const name = this.expect("string", "{{template}}");
    const pipe = this.peek()?.kind === "close" ? undefined : this.pipe("close");
    this.expect("close", "{{template}}");
    return { type: "template", name: name.text, pipe, at: name.at };
  }

  private pipe(end: TokenKind, range = false): Pipe {
    const { variables, assigns } = this.declaration(range);
    const commands: Command[] = [];
    for (;;) {
      commands.push(this.command(end));
      if (this.peek()?.kind !== "|") break;
      this.next();
    }
    commands.slice(1).forEach((command) => {
      if (command.operands[0]?.type === "literal") {
        throw unreadable(command.at, "a value cannot take the pipeline's result");
      }
    });
    if (!assigns) this.variables.push(...variables);
    return { variables, assigns, commands };
  }

  private declaration(range: boolean): { variables: string[]; assigns: boolean } {
    const start = this.position;
    const variables: string[] = [];
    while (this.peek()?.kind === "variable") {
      const variable = this.next();
      variables.push(`$${variable?.text}`);
      const after = this.peek();
      if (after?.kind === "," && range && variables.length === 1) {
        this.next();
        continue;
      }
      if (after?.kind === ":=" || after?.kind === "=") {
        this.next();
        const assigns = after.kind === "=";
        for (const name of variables) if (assigns) this.needVariable(name, after.at);
        return { variables, assigns };
      }
      break;
    }
    this.position = start;
    return { variables: [], assigns: false };
  }

  private command(end: TokenKind): Command {
    const at = this.peek()?.at ?? this.source.length;
    const operands: Operand[] = [];
    for (;;) {
      const token = this.peek();
      if (token === undefined || token.kind === end || token.kind === "|" || token.kind === "close") break;
      operands.push(this.operand());
    }
    if (operands.length === 0) throw unreadable(at, "missing value for command");
    return { operands, at };
  }

  private operand(): Operand {
    const token = this.next();
    if (token === undefined) throw unreadable(this.source.length, "unclosed action");
    const start = token.at;
    const operand = this.term(token);
    while (this.peek()?.kind === "field" && this.peek()?.glued) {
      if (operand.type === "literal") throw this.unexpected("field of a constant");
      operand.path.push(this.next()?.text ?? "");
    }
    const after = this.peek();
    const separates = after === undefined || !after.glued || [")", "close", "|"].includes(after.kind);
    if (!separates) throw unreadable(after.at, `unexpected ${JSON.stringify(after.text)} without a blank before it`);
    operand.source = this.source.slice(start, this.endOfLast()).trim();
    return operand;
  }

  private endOfLast(): number {
    return this.peek()?.at ?? this.source.length;
  }

  private term(token: Token): Operand {
    const base = { path: [], at: token.at, source: "" };
    switch (token.kind) {
      case "dot":
        return { ...base, type: "dot" };
      case "field":
        return { ...base, type: "dot", path: [token.text] };
      case "variable": {
        const name = `$${token.text}`;
        this.needVariable(name, token.at);
        return { ...base, type: "variable", name };
      }
      case "string":
        return { ...base, type: "literal", value: token.text };
      case "number":
        return { ...base, type: "literal", value: readNumber(token) };
      case "word":
        return this.wordTerm(token);
      case "(": {
        const pipe = this.pipe(")");
        this.expect(")", "parenthesis");
        return { ...base, type: "pipe", pipe };
      }
      default:
        throw unreadable(token.at, `unexpected ${JSON.stringify(token.text)}`);
    }
  }

  private wordTerm(token: Token): Operand {
    const base = { path: [], at: token.at, source: "" };
    if (token.text === "true" || token.text === "false") {
      return { ...base, type: "literal", value: token.text === "true" };
    }
    if (token.text === "nil") return { ...base, type: "literal", value: null };
    if (!this.functions.has(token.text)) {
      const near = nearest(token.text, this.functions);
      throw unreadable(
        token.at,
        `function "${token.text}" not defined`,
        near === undefined ? `a field is written with a dot: ".${token.text}"` : `did you mean "${near}"?`,
      );
    }
    return { ...base, type: "function", name: token.text };
  }

  private needVariable(name: string, at: number): void {
    if (!this.variables.includes(name)) throw unreadable(at, `undefined variable "${name}"`);
  }

  private peek(): Token | undefined {
    return this.tokens[this.position];
  }

  private next(): Token | undefined {
    return this.tokens[this.position++];
  }

  private expect(kind: TokenKind, inside: string): Token {
    const token = this.next();
    if (token?.kind === kind) return token;
    const found = token === undefined ? "the end" : JSON.stringify(token.text);
    throw unreadable(token?.at ?? this.source.length, `unexpected ${found} in ${inside}`);
  }

  private unexpected(what: string): Error {
    return unreadable(this.tokens[this.position - 1]?.at ?? 0, `unexpected ${what}`);
  }

  private unclosed(what: string): Error {
    return unreadable(this.source.length, `missing {{end}} of {{${what}}}`);
  }
}

function readNumber(token: Token): number {
  const text = token.text.replaceAll("_", "");
  const sign = text.startsWith("-") ? -1 : 1;
  const digits = text.replace(/^[+-]/, "");
  // Go reads a leading 0 as octal.
  const number = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
  if (Number.isNaN(number)) throw unreadable(token.at, `bad number "${token.text}"`);
  return sign * number;
}
