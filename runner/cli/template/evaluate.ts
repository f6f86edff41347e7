/** A parsed template and a value → text. */

import { visible } from "../../base/error.ts";
import { nearest } from "../suggest.ts";
import { TemplateError } from "./error.ts";
import { type FunctionSpec, isTrue } from "./functions.ts";
import type { Command, Node, Operand, Pipe, Template } from "./parse.ts";
import { mapEntries, printValue, typeName } from "./print.ts";

/** Names of fields that hold free-form entries: a missing one is `<no value>`, where a missing field of a record is an error. */
const MAP_FIELDS: ReadonlySet<string> = new Set([
  "Labels",
  "Annotations",
  "ExposedPorts",
  "Volumes",
  "Ports",
  "Networks",
]);

interface Variable {
  name: string;
  value: unknown;
}

/** Thrown through the node lists by break and continue. */
class LoopJump {
  constructor(readonly kind: "break" | "continue") {}
}

const MAX_DEPTH = 1000;

export function evaluate(template: Template, data: unknown, functions: ReadonlyMap<string, FunctionSpec>): string {
  const run = new Run(template.defined, functions);
  run.nodes(template.body, data, [{ name: "$", value: data }]);
  return run.out.join("");
}

class Run {
  readonly out: string[] = [];
  /** Objects reached by a name of MAP_FIELDS. */
  private readonly maps = new WeakSet<object>();
  private depth = 0;

  constructor(
    private readonly defined: Map<string, Node[]>,
    private readonly functions: ReadonlyMap<string, FunctionSpec>,
  ) {}

  nodes(list: readonly Node[], dot: unknown, scope: Variable[]): void {
    for (const node of list) this.node(node, dot, scope);
  }

  private node(node: Node, dot: unknown, scope: Variable[]): void {
    switch (node.type) {
      case "text":
        this.out.push(node.text);
        return;
      case "output": {
        const value = this.pipe(node.pipe, dot, scope);
        if (node.pipe.variables.length === 0) this.out.push(shown(value));
        return;
      }
      case "if":
      case "with": {
        const inner = [...scope];
        const value = this.pipe(node.pipe, dot, inner);
        const inside = node.type === "with" && isTrue(value) ? value : dot;
        this.nodes(isTrue(value) ? node.body : node.otherwise, inside, inner);
        return;
      }
      case "range":
        this.range(node, dot, [...scope]);
        return;
      case "template":
        this.named(node, dot, scope);
        return;
      default:
        throw new LoopJump(node.type);
    }
  }

  private range(node: Node & { pipe: Pipe; body: Node[]; otherwise: Node[] }, dot: unknown, scope: Variable[]): void {
    const { variables, assigns } = node.pipe;
    const value = this.commands(node.pipe, dot, scope);
    const entries = rangeEntries(value);
    if (entries.length === 0) this.nodes(node.otherwise, dot, scope);
    for (const [key, item] of entries) {
      // With one variable it is the item, with two the first is the key.
      const values = variables.length === 2 ? [key, item] : [item];
      const inner = assigns ? scope : [...scope];
      variables.forEach((name, i) => {
        set(inner, name, values[i], assigns);
      });
      try {
        this.nodes(node.body, item, inner);
      } catch (jump) {
        if (!(jump instanceof LoopJump)) throw jump;
        if (jump.kind === "break") return;
      }
    }
  }

  private named(node: Node & { type: "template" }, dot: unknown, scope: Variable[]): void {
    const body = this.defined.get(node.name);
    if (body === undefined) throw new TemplateError(`Cannot evaluate template: no template "${node.name}" is defined`);
    if (this.depth++ > MAX_DEPTH)
      throw new TemplateError(`Cannot evaluate template: "${node.name}" calls itself for ever`);
    const value = node.pipe === undefined ? undefined : this.pipe(node.pipe, dot, scope);
    this.nodes(body, value, [{ name: "$", value }]);
    this.depth--;
  }

  private pipe(pipe: Pipe, dot: unknown, scope: Variable[]): unknown {
    const value = this.commands(pipe, dot, scope);
    for (const name of pipe.variables) set(scope, name, value, pipe.assigns);
    return value;
  }

  private commands(pipe: Pipe, dot: unknown, scope: Variable[]): unknown {
    let value: unknown;
    pipe.commands.forEach((command, i) => {
      value = this.command(command, dot, scope, i === 0 ? [] : [value]);
    });
    return value;
  }

  /** `piped` is the result of the command before, which becomes the last argument. */
  private command(command: Command, dot: unknown, scope: Variable[], piped: unknown[]): unknown {
    const [first, ...rest] = command.operands;
    if (first === undefined) return undefined;
    const evaluated = () => [...rest.map((operand) => this.operand(operand, dot, scope)), ...piped];
    if (first.type === "function") return this.call(first, rest, dot, scope, piped);
    const value = this.operand(first, dot, scope, true);
    if (typeof value === "function") return value(...evaluated());
    if (rest.length + piped.length > 0) {
      throw new TemplateError(`Cannot evaluate template: ${first.source} is not a function and takes no arguments`);
    }
    return value;
  }

  private call(
    first: Operand & { type: "function" },
    rest: Operand[],
    dot: unknown,
    scope: Variable[],
    piped: unknown[],
  ): unknown {
    const spec = this.functions.get(first.name);
    if (spec === undefined) throw new TemplateError(`Cannot evaluate template: function "${first.name}" not defined`);
    const count = rest.length + piped.length;
    if (count < spec.min || count > spec.max) {
      const wanted = spec.min === spec.max ? `${spec.min}` : `at least ${spec.min}`;
      throw new TemplateError(`Cannot call ${first.name}: it takes ${wanted} values, got ${count}`);
    }
    if (first.name === "and" || first.name === "or") return this.shortCircuit(first.name, rest, dot, scope, piped);
    const value = spec.call(...rest.map((operand) => this.operand(operand, dot, scope)), ...piped);
    return this.walk(value, first.path, first.source);
  }

  /** Stops at the first operand that decides, so that `and .Health .Health.Status` is safe. */
  private shortCircuit(name: string, rest: Operand[], dot: unknown, scope: Variable[], piped: unknown[]): unknown {
    let value: unknown;
    for (const operand of rest) {
      value = this.operand(operand, dot, scope);
      if (isTrue(value) === (name === "or")) return value;
    }
    return piped.length > 0 ? piped[0] : value;
  }

  /** A method stands for its result, except where a command calls it with arguments. */
  private operand(operand: Operand, dot: unknown, scope: Variable[], keepFunction = false): unknown {
    const value = this.walk(this.start(operand, dot, scope), operand.path, operand.source);
    return typeof value === "function" && !keepFunction ? value() : value;
  }

  private start(operand: Operand, dot: unknown, scope: Variable[]): unknown {
    switch (operand.type) {
      case "dot":
        return dot;
      case "variable":
        return scope.findLast((variable) => variable.name === operand.name)?.value;
      case "literal":
        return operand.value;
      case "pipe":
        return this.pipe(operand.pipe, dot, scope);
      case "function":
        return this.call({ ...operand, path: [] }, [], dot, scope, []);
    }
  }

  private walk(start: unknown, path: readonly string[], source: string): unknown {
    let value = start;
    for (const name of path) value = this.field(value, name, source);
    return value;
  }

  private field(from: unknown, name: string, source: string): unknown {
    if (from === null || from === undefined) {
      throw new TemplateError(`Cannot evaluate template: no field "${name}" in <nil> at ${source}`);
    }
    if (typeof from !== "object" || Array.isArray(from)) {
      throw new TemplateError(`Cannot evaluate template: no field "${name}" in a ${typeName(from)} at ${source}`);
    }
    if (from instanceof Map) return from.get(name);
    // Own properties only: ".constructor" is no field.
    if (!Object.hasOwn(from, name)) {
      if (this.maps.has(from) || Object.getPrototypeOf(from) === null) return undefined;
      throw noField(from, name, source);
    }
    const value = (from as Record<string, unknown>)[name];
    if (MAP_FIELDS.has(name) && typeof value === "object" && value !== null) this.maps.add(value);
    return value;
  }
}

function noField(from: object, name: string, source: string): TemplateError {
  const fields = Object.keys(from);
  const near = nearest(name, fields);
  const known = fields.length === 0 ? "it has none" : `fields are ${fields.map(visible).join(", ")}`;
  return new TemplateError(
    `Cannot evaluate template: no field "${name}" at ${source}`,
    near === undefined ? known : `did you mean "${near}"? ${known}`,
  );
}

function rangeEntries(value: unknown): [unknown, unknown][] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return [...value.entries()];
  if (typeof value === "number") return Array.from({ length: value }, (_, i) => [i, i]);
  if (typeof value === "object") return mapEntries(value);
  throw new TemplateError(`Cannot evaluate template: range cannot go over a ${typeName(value)}`);
}

function set(scope: Variable[], name: string, value: unknown, assigns: boolean): void {
  const existing = assigns ? scope.findLast((variable) => variable.name === name) : undefined;
  if (existing !== undefined) existing.value = value;
  else scope.push({ name, value });
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return "<no value>";
  return typeof value === "function" ? shown(value()) : printValue(value);
}
