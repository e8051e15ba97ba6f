/**
 * Route rules such as `/episode/<int:id>`: their grammar, and the argument types TypeScript reads off
 * them.
 *
 * @module
 */

/** What a parameter accepts: digits, digits and a dot, one segment, or the rest of the path. */
export type ParameterType = "int" | "float" | "string" | "path";

/** One parameter of a rule. */
export interface Parameter {
  /** Name of the argument. */
  readonly name: string;
  /** What it accepts. */
  readonly type: ParameterType;
}

/** One piece of a rule, between two slashes. */
export type Segment = string | Parameter;

/** A rule, taken apart. */
export interface Rule {
  /** As written. */
  readonly text: string;
  /** Its segments; the empty last one of `/a/` counts. */
  readonly segments: readonly Segment[];
  /** Its parameters, in order. */
  readonly parameters: readonly Parameter[];
}

const TYPES: readonly string[] = ["int", "float", "string", "path"];

/**
 * Reads a rule. A parameter is a whole segment: `<name>`, `<int:name>`, `<float:name>`, `<path:name>`;
 * a bare `<path>` is path-typed too, and a path must come last.
 *
 * @throws {TypeError} for anything else.
 */
export function parseRule(text: string): Rule {
  if (typeof text !== "string" || !text.startsWith("/")) {
    throw new TypeError(`Cannot use ${JSON.stringify(text)} as a rule: a rule starts with /`);
  }
  const parts = text.slice(1).split("/");
  const parameters: Parameter[] = [];
  const segments = parts.map((part, i): Segment => {
    if (!part.includes("<") && !part.includes(">")) return part;
    const match = /^<(?:(\w+):)?([A-Za-z_]\w*)>$/.exec(part);
    if (match === null) {
      throw new TypeError(`Cannot read ${part} in rule ${text}: a parameter is a whole segment`);
    }
    const name = match[2]!;
    const type = match[1] ?? (name === "path" ? "path" : "string");
    if (!TYPES.includes(type)) {
      throw new TypeError(`Unknown type "${type}" in rule ${text}: known are ${TYPES.join(", ")}`);
    }
    if (type === "path" && i !== parts.length - 1) {
      throw new TypeError(`Cannot use rule ${text}: a path parameter comes last`);
    }
    if (parameters.some((other) => other.name === name)) {
      throw new TypeError(`Cannot use rule ${text}: parameter "${name}" stands there twice`);
    }
    const parameter: Parameter = { name, type: type as ParameterType };
    parameters.push(parameter);
    return parameter;
  });
  return { text, segments, parameters };
}

/** Type of the value of one parameter, from what stands between its angle brackets. */
export type ValueOf<Inner extends string> = Inner extends `${infer Type}:${infer Name}`
  ? { [K in Name]: Type extends "int" | "float" ? number : string }
  : { [K in Inner]: string };

/** Makes an intersection readable in an editor. */
export type Flat<T> = { [K in keyof T]: T[K] };

/** Arguments that a rule gives to its handler: `RuleArguments<"/a/<int:id>">` is `{ id: number }`. */
export type RuleArguments<R extends string> = R extends `${string}<${infer Inner}>${infer Rest}`
  ? Flat<ValueOf<Inner> & RuleArguments<Rest>>
  // deno-lint-ignore ban-types -- the empty object adds nothing to the intersection
  : {};
