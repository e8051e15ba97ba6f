/**
 * Filters of the SQL generator: `{ name__like: "x" }` becomes a condition with its values bound.
 *
 * @module
 */

import type { SqlRecord } from "../statement.ts";
import { quoteName } from "./quote.ts";
import { sql, type SqlName, SqlTemplate } from "./template.ts";

/** Databases the generator writes for. */
export type SqlDialect = "postgresql" | "sqlite3";

/**
 * A condition: columns with what they are compared with, all of which have to hold, or a piece of
 * SQL.
 *
 * A column may end in `__` and an operator: `eq`, `neq`, `lt`, `lte`, `gt`, `gte`, `between`, `in`,
 * `notin`, `like`, `ilike`, `contains`, `icontains`, `startswith`, `istartswith`, `endswith`,
 * `iendswith`, each of the latter eight with an `n` before it for the contrary, and `isnull`.
 */
export type SqlCondition = SqlTemplate | Combined | SqlRecord;

/** Conditions of which all, one or none has to hold. */
export class Combined {
  /** How they go together. */
  readonly how: "and" | "or" | "not";
  /** The conditions. */
  readonly parts: readonly SqlCondition[];

  /** Takes the conditions. */
  constructor(how: "and" | "or" | "not", parts: readonly SqlCondition[]) {
    if (parts.length === 0) throw new TypeError(`Cannot combine no conditions with "${how}"`);
    this.how = how;
    this.parts = parts;
  }
}

/** Text that is written by this program, never by its users. */
export function raw(text: string): SqlTemplate {
  return new SqlTemplate([text], []);
}

/**
 * A condition as SQL. @throws {TypeError} for operators nobody knows and values that do not fit.
 */
export function conditionSql(dialect: SqlDialect, condition: SqlCondition): SqlTemplate {
  if (condition instanceof SqlTemplate) return sql`(${condition})`;
  if (condition instanceof Combined) {
    const parts = condition.parts.map((part) => conditionSql(dialect, part));
    if (condition.how === "not") return sql`not (${sql.join(parts, " and ")})`;
    return sql`(${sql.join(parts, ` ${condition.how} `)})`;
  }
  if (typeof condition !== "object" || condition === null || Array.isArray(condition)) {
    throw new TypeError(`Cannot filter by ${String(condition)}: expected an object of columns`);
  }
  const parts = Object.entries(condition).map(([key, value]) => comparison(dialect, key, value));
  if (parts.length === 0) throw new TypeError("Cannot filter by an empty object");
  return sql.join(parts, " and ");
}

/** The condition all of several make. */
export function allOf(dialect: SqlDialect, conditions: readonly SqlCondition[]): SqlTemplate {
  return sql.join(conditions.map((one) => conditionSql(dialect, one)), " and ");
}

const COMPARE: Readonly<Record<string, string>> = {
  eq: "=",
  exact: "=",
  neq: "<>",
  lt: "<",
  lte: "<=",
  gt: ">",
  gte: ">=",
};

const TEXT = /^(n?)(i?)(like|contains|startswith|endswith)$/;

const OPERATORS = [
  ...Object.keys(COMPARE),
  ...["between", "in", "notin", "isnull", "like", "contains", "startswith", "endswith"],
];

function comparison(dialect: SqlDialect, key: string, value: unknown): SqlTemplate {
  const cut = key.lastIndexOf("__");
  const operator = cut > 0 ? key.slice(cut + 2) : "eq";
  const column = raw(quoteName(cut > 0 ? key.slice(0, cut) : key));
  if (value === undefined || Array.isArray(value) && value.includes(undefined)) {
    throw new TypeError(`Cannot filter by ${key}: the value is undefined`);
  }
  if (Object.hasOwn(COMPARE, operator)) {
    if (value === null) {
      if (operator === "neq") return sql`${column} is not null`;
      if (operator === "eq" || operator === "exact") return sql`${column} is null`;
      throw new TypeError(`Cannot filter by ${key}: nothing is ${operator} null`);
    }
    return sql`${column} ${raw(COMPARE[operator]!)} ${operand(value)}`;
  }
  if (operator === "isnull") {
    if (typeof value !== "boolean") {
      throw new TypeError(`Cannot filter by ${key}: expected a boolean`);
    }
    return value ? sql`${column} is null` : sql`${column} is not null`;
  }
  if (operator === "between") {
    if (!Array.isArray(value) || value.length !== 2) {
      throw new TypeError(`Cannot filter by ${key}: expected a list of two values`);
    }
    return sql`${column} between ${operand(value[0])} and ${operand(value[1])}`;
  }
  if (operator === "in" || operator === "notin") {
    const not = raw(operator === "in" ? "" : "not ");
    if (value instanceof SqlTemplate) return sql`${column} ${not}in (${value})`;
    if (!Array.isArray(value)) throw new TypeError(`Cannot filter by ${key}: expected a list`);
    // no database takes an empty list
    if (value.length === 0) return raw(operator === "in" ? "1 = 0" : "1 = 1");
    return sql`${column} ${not}in (${sql.join(value.map(operand))})`;
  }
  const text = TEXT.exec(operator);
  if (text === null) {
    throw new TypeError(
      `Cannot filter by ${key}: unknown operator "${operator}"; known are ` +
        `${OPERATORS.join(", ")}, the last four also with i, n or ni in front`,
    );
  }
  if (typeof value !== "string") throw new TypeError(`Cannot filter by ${key}: expected a text`);
  return textMatch(dialect, column, text[1] !== "", text[2] !== "", text[3]!, value);
}

function operand(value: unknown): unknown {
  return value instanceof SqlTemplate ? sql`(${value})` : value;
}

/** Matches a part of a text, where `%` and `_` of the text itself mean themselves. */
function textMatch(
  dialect: SqlDialect,
  column: SqlTemplate,
  negated: boolean,
  ignoreCase: boolean,
  kind: string,
  value: string,
): SqlTemplate {
  const not = raw(negated ? "not " : "");
  const around = (text: string, any: string) =>
    kind === "like"
      ? value
      : (kind === "startswith" ? "" : any) + text + (kind === "endswith" ? "" : any);
  if (kind === "like") {
    const operator = raw(ignoreCase && dialect === "postgresql" ? "ilike" : "like");
    return sql`${column} ${not}${operator} ${value}`;
  }
  if (dialect === "sqlite3" && !ignoreCase) {
    // LIKE of SQLite ignores case
    return sql`${column} ${not}glob ${around(value.replace(/[*?[]/g, "[$&]"), "*")}`;
  }
  const pattern = around(value.replace(/[\\%_]/g, "\\$&"), "%");
  const operator = raw(ignoreCase && dialect === "postgresql" ? "ilike" : "like");
  return sql`${column} ${not}${operator} ${pattern} escape '\\'`;
}

const NAME = String.raw`[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*`;
const PATH = String.raw`${NAME}(?:\.${NAME})*`;
const COLUMN = new RegExp(
  String
    .raw`^(?:(${NAME})\s*\(\s*(distinct\s+)?(\*|${PATH}(?:\s*,\s*${PATH})*)\s*\)|(\*|${PATH}(?:\.\*)?))` +
    String.raw`(?:\s+(?:as\s+)?(${NAME}))?$`,
  "iu",
);
const TABLE = new RegExp(String.raw`^(${PATH})(?:\s+(?:as\s+)?(${NAME}))?$`, "iu");

/**
 * Columns as SQL: names, `t.*`, calls such as `count(*)`, each with another name after it. Several
 * may stand in one text with commas between them.
 *
 * @throws {TypeError} for anything else; expressions are given as templates.
 */
export function columnsSql(columns: readonly (string | SqlTemplate | SqlName)[]): SqlTemplate {
  const parts = columns.flatMap((column) => {
    if (typeof column !== "string") return [column];
    return splitCommas(column).map((one) => raw(columnSql(one.trim())));
  });
  return sql.join(parts);
}

function columnSql(text: string): string {
  const [, call, distinct = "", args, name, label] = COLUMN.exec(text) ?? [];
  let out: string;
  if (call !== undefined) {
    const quoted = args === "*"
      ? "*"
      : args!.split(",").map((one) => quoteName(one.trim())).join(", ");
    out = `${call}(${distinct === "" ? "" : "distinct "}${quoted})`;
  } else if (name === undefined) {
    throw new TypeError(
      `Cannot use ${JSON.stringify(text)} as a column: give expressions as sql templates`,
    );
  } else if (name === "*") out = "*";
  else out = name.endsWith(".*") ? `${quoteName(name.slice(0, -2))}.*` : quoteName(name);
  return label === undefined ? out : `${out} as ${quoteName(label)}`;
}

/** Cuts at the commas that are not in brackets. */
function splitCommas(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "(") depth++;
    else if (text[i] === ")") depth--;
    else if (text[i] === "," && depth === 0) {
      parts.push(text.slice(from, i));
      from = i + 1;
    }
  }
  return [...parts, text.slice(from)];
}

/**
 * A table as SQL, with another name after it if there is one. @throws {TypeError} for anything
 * else.
 */
export function tableSql(table: string): SqlTemplate {
  const [, name, label] = (typeof table === "string" ? TABLE.exec(table.trim()) : null) ?? [];
  if (name === undefined) throw new TypeError(`Cannot use ${JSON.stringify(table)} as a table`);
  return raw(label === undefined ? quoteName(name) : `${quoteName(name)} as ${quoteName(label)}`);
}

/** Columns to order by; a minus before one is descending. */
export function orderSql(columns: readonly (string | SqlTemplate)[]): SqlTemplate {
  const parts = columns.flatMap((column) => {
    if (typeof column !== "string") return [column];
    return column.split(",").map((one) => {
      const name = one.trim();
      return raw(name.startsWith("-") ? `${quoteName(name.slice(1))} desc` : quoteName(name));
    });
  });
  return sql.join(parts);
}

/** A count of rows. @throws {RangeError} for anything but a whole number that is not negative. */
export function count(value: number, what: string): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new RangeError(`Cannot use ${String(value)} as ${what}: expected a whole number from 0`);
}
