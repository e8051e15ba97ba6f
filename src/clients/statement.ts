/**
 * What may be given to `execute` of any SQL database, brought to one form.
 *
 * @module
 */

import { isPlainObject } from "../core/plain_object.ts";
import { type Placeholder, SqlTemplate } from "./sql/template.ts";

/** Values bound to the placeholders of a statement: in order, or by name. */
export type SqlParams = readonly unknown[] | SqlRecord;

/** Values by name. An object of any type will do, also one of an interface. */
// deno-lint-ignore no-explicit-any -- with unknown an interface would have no index signature
export type SqlRecord = Readonly<Record<string, any>>;

/** A statement, or a text of several, with its values. */
export interface Statement {
  /** The SQL text; neither empty nor blank. */
  readonly sql: string;
  /** Its values; an empty array when it has none. */
  readonly params: SqlParams;
}

/** Something that Kysely builds. */
export interface Compilable {
  /** Builds the statement. */
  compile(): { readonly sql: string; readonly parameters: readonly unknown[] };
}

/** Something that Drizzle or Knex builds. */
export interface SqlConvertible {
  /** Builds the statement; Drizzle calls its values `params`, Knex `bindings`. */
  toSQL(): unknown;
}

/** Something that holds its statement, as text or in another accepted form. */
export interface QueryHolder {
  /** The statement. */
  readonly query: unknown;
}

/** One statement in any accepted form. */
export type StatementLike =
  | string
  | SqlTemplate
  | Compilable
  | SqlConvertible
  | QueryHolder
  | { readonly text: string; readonly values?: readonly unknown[] }
  | { readonly sql: string; readonly params?: SqlParams };

/**
 * What `execute` takes: one statement, or a list that is run together. As the tag of a template it
 * takes the text with its values in place.
 */
export type StatementInput = StatementLike | readonly StatementLike[] | TemplateStringsArray;

/**
 * Brings what was given to `execute` to a list of statements.
 *
 * `params` are the further arguments of `execute`: one array is the list of values, one plain
 * object holds values by name, anything else is a value each. They go with a lone statement that
 * brings none of its own.
 *
 * @param placeholder What templates have in place of their values. Default `?`.
 * @throws {TypeError} for SQL that is empty or no text, and for values that belong to no statement.
 */
export function toStatements(
  input: unknown,
  params: readonly unknown[] = [],
  placeholder: Placeholder = () => "?",
): Statement[] {
  if (Array.isArray(input) && "raw" in input) {
    return toOwn(new SqlTemplate(input as string[], params), placeholder);
  }
  const statements = Array.isArray(input)
    ? input.flatMap((member) => toOwn(member, placeholder))
    : toOwn(input, placeholder);
  if (statements.length === 0) throw new TypeError("Cannot execute an empty list of statements");
  const given = givenParams(params);
  if (given === undefined) return statements;
  const [first] = statements;
  if (statements.length > 1) {
    throw new TypeError(
      `Cannot bind values to a list of ${statements.length} statements: ` +
        "give each its own with { sql, params }",
    );
  }
  if (!isEmpty(first!.params)) {
    throw new TypeError(
      "Cannot bind further values to a statement that brings its own: give them in one place",
    );
  }
  return [{ sql: first!.sql, params: given }];
}

/** The further arguments of `execute` as values; `undefined` when there are none. */
function givenParams(params: readonly unknown[]): SqlParams | undefined {
  if (params.length === 0 || params.length === 1 && params[0] === undefined) return undefined;
  const [only] = params;
  if (params.length > 1) return params;
  if (Array.isArray(only)) return only.length === 0 ? undefined : only;
  return isPlainObject(only) ? only : params;
}

/** One member of the input; Knex may build several statements of it. */
function toOwn(input: unknown, placeholder: Placeholder): Statement[] {
  if (typeof input === "string") return [checked(input, [])];
  if (input === null || typeof input !== "object" && typeof input !== "function") {
    throw unusable(input);
  }
  if (input instanceof SqlTemplate) return [fromParts(input.render(placeholder))];
  const { compile, toSQL, query, sql, text } = input as Record<string, unknown>;
  if (typeof compile === "function") return [fromParts(compile.call(input))];
  if (typeof toSQL === "function") {
    const built: unknown = toSQL.call(input);
    return Array.isArray(built) ? built.map(native) : [native(built)];
  }
  if (sql !== undefined || text !== undefined) return [fromParts(input)];
  if (query !== undefined && typeof query !== "function") return held(input, query, placeholder);
  return [fromParts(input)];
}

/** Knex builds a form with question marks, and makes that of its dialect when asked. */
function native(built: unknown): Statement {
  const { toNative } = (built ?? {}) as Record<string, unknown>;
  return fromParts(typeof toNative === "function" ? toNative.call(built) : built);
}

/** A statement in the property `query`: a text with the values beside it, or any other form. */
function held(holder: object, query: unknown, placeholder: Placeholder): Statement[] {
  if (typeof query === "string") return [fromParts({ ...holder, sql: query })];
  if (typeof query === "object" && query !== null && isPrinted(query)) {
    return [fromParts({ ...holder, sql: String(query) })];
  }
  return toOwn(query, placeholder);
}

/** True for an object that is nothing but its text. */
function isPrinted(query: object): boolean {
  const { toString, compile, toSQL, sql, text } = query as Record<string, unknown>;
  return toString !== Object.prototype.toString && compile === undefined && toSQL === undefined &&
    sql === undefined && text === undefined;
}

/** Reads a built statement; the libraries disagree on the name of the values. */
function fromParts(built: unknown): Statement {
  if (typeof built !== "object" || built === null) throw unusable(built);
  const { text, params, parameters, bindings, values: listed, sql = text } = built as Record<
    string,
    unknown
  >;
  // lists and sets have something named values, too
  if (typeof sql !== "string") throw unusable(built);
  const values = params ?? parameters ?? bindings ?? listed ?? [];
  if (!Array.isArray(values) && !isPlainObject(values)) {
    throw new TypeError(
      `Cannot bind ${describe(values)}: expected a list of values or a record of them`,
    );
  }
  return checked(sql, values);
}

function checked(sql: unknown, params: SqlParams): Statement {
  if (typeof sql !== "string") throw unusable(sql);
  if (sql.trim() === "") throw new TypeError("Cannot execute empty SQL");
  return { sql, params };
}

function unusable(input: unknown): TypeError {
  return new TypeError(
    `Cannot execute ${
      describe(input)
    }: expected SQL text, { sql, params }, or what a query builder makes`,
  );
}

function describe(value: unknown): string {
  if (value === null) return "null";
  return typeof value === "object" ? value.constructor?.name ?? "an object" : typeof value;
}

function isEmpty(params: SqlParams): boolean {
  return Array.isArray(params) ? params.length === 0 : Object.keys(params).length === 0;
}
