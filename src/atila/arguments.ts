/**
 * Arguments of handlers: parsed from path, query and body, checked against what the route declares.
 *
 * @module
 */

import { HttpError } from "../core/errors.ts";
import { isPlainObject } from "../core/plain_object.ts";
import type { Flat, Rule, RuleArguments } from "./rule.ts";
import { CSRF_KEY } from "./session.ts";
import { UploadedFile } from "./uploaded_file.ts";

/** Marks a declared argument that must be given. */
export const REQUIRED: unique symbol = Symbol("required");

/** Marks a declared argument that must be an uploaded file. */
export const FILE: unique symbol = Symbol("file");

/** Marks a declared argument that is a list of uploaded files, empty when there is none. */
export const FILES: unique symbol = Symbol("files");

/** Where an argument came from, for error messages. */
export type ArgumentSource = "path" | "query" | "body";

/** Values by name; without a prototype, so that no name means anything but itself. */
export type Values = Record<string, unknown>;

/**
 * Makes empty {@link Values}. Objects of one constructor share their shape, which `Object.create(null)`
 * does not, and are several times as fast to fill and read.
 */
export const newValues: () => Values = (() => {
  function Bare(): void {}
  Bare.prototype = Object.freeze(Object.create(null));
  const Constructor = Bare as unknown as new () => Values;
  return () => new Constructor();
})();

/** Declared arguments: a default for each, or {@link REQUIRED}, {@link FILE} or {@link FILES}. */
export type ArgumentDefaults = Record<string, unknown>;

/** The part of the Standard Schema interface that is used; Zod, Valibot, ArkType and others have it. */
export interface StandardSchema<Output = unknown> {
  /** The interface itself. */
  readonly "~standard": {
    /** Version of the interface. */
    readonly version: 1;
    /** Library that made the schema. */
    readonly vendor: string;
    /** Checks a value. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    /** Types only. */
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

/** What a schema says of a value. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** One complaint of a schema. */
export interface SchemaIssue {
  /** What is wrong. */
  readonly message: string;
  /** Where, from the outside in. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Type of a declared argument, from its default. */
export type Widened<T> = T extends typeof REQUIRED ? string
  : T extends typeof FILE ? UploadedFile
  : T extends typeof FILES ? UploadedFile[]
  : T extends string ? string
  : T extends number ? number
  : T extends boolean ? boolean
  : T extends null | undefined ? unknown
  : T extends readonly (infer Item)[] ? (string | Widened<Item>)[]
  : T;

/** Arguments a handler gets, from the rule and what the route declares. */
export type ArgumentsOf<R extends string, A, Rest = false> = A extends StandardSchema<infer Output>
  ? Flat<Omit<RuleArguments<R>, keyof Output> & Output>
  : [A] extends [undefined] ? RuleArguments<R> & Record<string, unknown>
  : Rest extends true ?
      & Flat<Omit<{ [K in keyof A]: Widened<A[K]> }, keyof RuleArguments<R>> & RuleArguments<R>>
      & Record<string, unknown>
  : Flat<Omit<{ [K in keyof A]: Widened<A[K]> }, keyof RuleArguments<R>> & RuleArguments<R>>;

/** True for a validator. */
export function isSchema(value: unknown): value is StandardSchema {
  return (typeof value === "object" || typeof value === "function") && value !== null &&
    typeof (value as Partial<StandardSchema>)["~standard"]?.validate === "function";
}

/** Decodes one name or value of a query or form. Text that is not properly encoded is kept as it is. */
function decode(text: string): string {
  const spaced = text.includes("+") ? text.replaceAll("+", " ") : text;
  if (!spaced.includes("%")) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    // A lone % is common in hand-written links; the URL standard leaves it as it stands.
    return new URLSearchParams(`v=${text}`).get("v") ?? spaced;
  }
}

/** Adds a value; a name that is there already becomes a list. */
export function addValue(values: Values, name: string, value: unknown): void {
  const present = values[name];
  if (present === undefined) values[name] = value;
  else if (Array.isArray(present)) present.push(value);
  else values[name] = [present, value];
}

/** Parses `a=1&b=2`: repeated names become lists, blank values are kept. */
export function parseQuery(query: string, into: Values = newValues()): Values {
  let start = 0;
  while (start < query.length) {
    let end = query.indexOf("&", start);
    if (end === -1) end = query.length;
    if (end > start) {
      const equals = query.indexOf("=", start);
      const named = equals !== -1 && equals < end;
      addValue(
        into,
        decode(query.slice(start, named ? equals : end)),
        named ? decode(query.slice(equals + 1, end)) : "",
      );
    }
    start = end + 1;
  }
  return into;
}

/** The arguments of one request, by where they came from. */
export interface Given {
  /** Values of the rule's parameters. */
  readonly path: Values | undefined;
  /** Query string, as sent. */
  readonly query: string;
  /** Members of the form or JSON object. */
  readonly body: Values | undefined;
  /** The body is JSON, where a list is a value and not a repeated name. Default false. */
  readonly isJson?: boolean;
}

/** Turns what a request gives into the arguments of a handler. */
export type Binder = (given: Given) => Values | Promise<Values>;

function bad(name: string, source: ArgumentSource, problem: string, status: number): HttpError {
  return new HttpError(status, `Argument "${name}" (${source}): ${problem}`);
}

/** Merges everything: path first, then query, then body. */
export function mergeAll(given: Given): Values {
  const values = newValues();
  if (given.path !== undefined) Object.assign(values, given.path);
  if (given.query !== "") parseQuery(given.query, values);
  if (given.body !== undefined) {
    for (const name in given.body) {
      const value = given.body[name];
      if (values[name] === undefined) values[name] = value;
      else for (const one of Array.isArray(value) ? value : [value]) addValue(values, name, one);
    }
  }
  return values;
}

const TRUE = ["true", "1", "yes", "on"];
const FALSE = ["false", "0", "no", "off", ""];

/** Reads a given value as the type its default shows. */
function convert(
  name: string,
  source: ArgumentSource,
  value: unknown,
  like: unknown,
  status: number,
  isJson: boolean,
): unknown {
  if (like === null || like === undefined) return value;
  if (like === FILES) {
    const all = Array.isArray(value) ? value : [value];
    if (all.every((one) => one instanceof UploadedFile)) return all;
    throw bad(name, source, "expected files", status);
  }
  if (Array.isArray(like)) return Array.isArray(value) ? value : [value];
  if (Array.isArray(value)) {
    if (!isJson) throw bad(name, source, "given more than once", status);
    if (like === REQUIRED) return value;
    throw bad(name, source, `expected one value, got ${quote(value)}`, status);
  }
  if (like === FILE) {
    if (value instanceof UploadedFile) return value;
    throw bad(name, source, "expected a file", status);
  }
  switch (like === REQUIRED ? "string" : typeof like) {
    case "string":
      if (typeof value === "string") return value;
      // A form or JSON body may carry files, numbers and objects for a required argument.
      if (like === REQUIRED) return value;
      throw bad(name, source, "expected text", status);
    case "number": {
      const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
      if (typeof number === "number" && Number.isFinite(number)) return number;
      throw bad(name, source, `expected a number, got ${quote(value)}`, status);
    }
    case "boolean": {
      if (typeof value === "boolean") return value;
      const text = String(value).toLowerCase();
      if (TRUE.includes(text)) return true;
      if (FALSE.includes(text)) return false;
      throw bad(name, source, `expected true or false, got ${quote(value)}`, status);
    }
    default:
      if (typeof value === "object" && value !== null) return value;
      throw bad(name, source, "expected an object", status);
  }
}

function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** What a route declares of its arguments. */
export interface Declaration {
  /** Its rule. */
  readonly rule: Rule;
  /** Defaults or a validator; `undefined` passes everything. */
  readonly args: ArgumentDefaults | StandardSchema | undefined;
  /** Pass what is not declared, too. */
  readonly rest: boolean;
  /** Status for bad or missing arguments, read when it is needed. */
  readonly status: () => number;
}

/** Prepares the binding of a route once, so that a request only runs it. */
export function createBinder({ rule, args, rest, status }: Declaration): Binder {
  if (args === undefined) return mergeAll;
  if (isSchema(args)) {
    return async (given) => withPath(await validate(args, mergeAll(given), status()), given.path);
  }

  const inPath = rule.parameters.map(({ name }) => name);
  const names = Object.keys(args).filter((name) => !inPath.includes(name));
  const known = new Set([...names, ...inPath]);
  const defaults: Values = Object.assign(newValues(), args);

  return ({ path, query, body, isJson = false }) => {
    const values = newValues();
    for (const name of inPath) {
      const value = path?.[name];
      values[name] = value === undefined ? defaults[name] : value;
    }
    const picked = query === "" ? undefined : pickDeclared(query, names);
    const queried = query === "" || picked !== undefined ? undefined : parseQuery(query);
    for (let at = 0; at < names.length; at++) {
      const name = names[at]!;
      const inQuery = picked === undefined ? queried?.[name] : picked[at];
      const inBody = body?.[name];
      if (inQuery === undefined && inBody === undefined) {
        if (defaults[name] === REQUIRED || defaults[name] === FILE) {
          throw new HttpError(status(), `Argument "${name}" is required`);
        }
        values[name] = defaults[name] === FILES ? [] : freshCopy(defaults[name]);
      } else if (inQuery !== undefined && inBody !== undefined) {
        const both = [inQuery, inBody].flat();
        values[name] = convert(name, "query", both, defaults[name], status(), false);
      } else if (inBody === undefined) {
        values[name] = convert(name, "query", inQuery, defaults[name], status(), false);
      } else {
        values[name] = convert(name, "body", inBody, defaults[name], status(), isJson);
      }
    }
    if (queried !== undefined) collect(values, queried, "query", known, rest, status);
    if (body !== undefined) collect(values, body, "body", known, rest, status);
    return values;
  };
}

/**
 * The values of a query by declared name, where each is declared and given once, as in most requests:
 * that takes no object of all names. `undefined` for any other query.
 */
function pickDeclared(
  query: string,
  names: readonly string[],
): (string | undefined)[] | undefined {
  const picked: (string | undefined)[] = [];
  for (let at = 0; at < names.length; at++) picked.push(undefined);
  let start = 0;
  while (start < query.length) {
    let end = query.indexOf("&", start);
    if (end === -1) end = query.length;
    if (end > start) {
      let at = names.length - 1;
      while (at >= 0 && !isNamed(query, start, end, names[at]!)) at--;
      if (at === -1 || picked[at] !== undefined) return undefined;
      const value = start + names[at]!.length + 1;
      picked[at] = value > end ? "" : decode(query.slice(value, end));
    }
    start = end + 1;
  }
  return picked;
}

/** Whether `name` or `name=` is what stands between `start` and `end`, or begins there. */
function isNamed(query: string, start: number, end: number, name: string): boolean {
  const after = start + name.length;
  return (after === end || after < end && query.charCodeAt(after) === 61) &&
    query.startsWith(name, start);
}

/** Passes on what is not declared, or refuses it. */
function collect(
  values: Values,
  from: Values,
  source: ArgumentSource,
  known: ReadonlySet<string>,
  rest: boolean,
  status: () => number,
): void {
  for (const name in from) {
    if (known.has(name)) continue;
    if (rest) addValue(values, name, from[name]);
    // The hidden field of forms is for `was.csrfVerify`, not for the handler.
    else if (source !== "body" || name !== CSRF_KEY) {
      throw bad(name, source, "not known here", status());
    }
  }
}

/**
 * A default as one request may change it: lists and plain objects are copied, or the next request would
 * find what this one did to them.
 */
export function freshCopy(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(freshCopy);
  if (!isPlainObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, freshCopy(one)]));
}

/** What a validator gave, and the parameters of the rule that it does not know and left out. */
function withPath(given: Values, path: Values | undefined): Values {
  if (path === undefined || typeof given !== "object" || given === null) return given;
  const missing = Object.keys(path).filter((name) => !(name in given));
  if (missing.length === 0) return given;
  return { ...Object.fromEntries(missing.map((name) => [name, path[name]])), ...given };
}

async function validate(schema: StandardSchema, given: Values, status: number): Promise<Values> {
  // Libraries expect an ordinary object; its own keys shadow whatever the prototype has.
  const plain: Values = {};
  for (const name of Object.keys(given)) {
    Object.defineProperty(plain, name, {
      value: given[name],
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  const result = await schema["~standard"].validate(plain);
  if (result.issues === undefined) return result.value as Values;
  const complaints = result.issues.map(({ message, path }) => {
    const name = (path ?? []).map((key) => String(typeof key === "object" ? key.key : key)).join(
      ".",
    );
    return name === "" ? message : `Argument "${name}": ${message}`;
  });
  throw new HttpError(status, complaints.join("; "));
}
