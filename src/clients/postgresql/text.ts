/**
 * What has to be known about an SQL text before it goes to PostgreSQL: its placeholders, and
 * whether it only reads, opens transactions or changes the session.
 *
 * @module
 */

import type { SqlParams } from "../statement.ts";

/** A text and what it is. */
export interface PgText {
  /** The text with PostgreSQL's own placeholders. */
  readonly sql: string;
  /** Names of the values in the order of the placeholders, when they were named. */
  readonly names: readonly string[] | undefined;
  /** One statement that reads only. */
  readonly read: boolean;
  /** It has statements that begin or end transactions. */
  readonly control: boolean;
  /** It changes settings of the connection, which others must not find. */
  readonly session: boolean;
  /** How often it was run. */
  runs: number;
  /** How long the server took for the longest of the latest runs, in milliseconds. */
  slowest: number;
  /** How long the server takes as a rule, in milliseconds. */
  usual: number;
}

/**
 * Pieces that matter and those in which nothing does: strings, quoted names, comments and words are
 * skipped, so that a question mark in a string is no placeholder.
 */
const PIECE =
  /[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|\$\d+|::|[:@$][A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|\?|;/g;

interface Found {
  readonly text: string;
  readonly at: number;
}

/**
 * Reads a text for the values that come with it. @throws {TypeError} for values that do not fit.
 */
export function readText(sql: string, params: SqlParams): PgText {
  /** The words of each statement. */
  const statements: string[][] = [];
  const marks: Found[] = [];
  const named: Found[] = [];
  let numbered = false;
  let words: string[] | undefined;
  PIECE.lastIndex = 0;
  for (let match = PIECE.exec(sql); match !== null; match = PIECE.exec(sql)) {
    const [text] = match;
    const first = text[0]!;
    if (text === "/*") {
      PIECE.lastIndex = endOfComment(sql, match.index);
      continue;
    }
    if (first === "-" && text[1] === "-") continue;
    if (text === ";") {
      words = undefined;
      continue;
    }
    if (words === undefined) statements.push(words = []);
    if (text === "?") marks.push({ text, at: match.index });
    else if (first === "$" && isDigit(text[1])) numbered = true;
    else if (
      (first === ":" && text !== "::") || first === "@" || (first === "$" && !text.endsWith("$"))
    ) {
      named.push({ text, at: match.index });
    } else if (/[A-Za-z_]/.test(first) && !text.endsWith("'")) words.push(text.toLowerCase());
  }
  const { converted, names } = Array.isArray(params)
    ? byPosition(sql, params, numbered ? [] : marks)
    : byName(sql, params as Readonly<Record<string, unknown>>, named);
  const [only = []] = statements;
  return {
    sql: converted,
    names,
    read: statements.length === 1 && READS.has(only[0] ?? "") &&
      !only.some((word) => WRITES.has(word)),
    control: statements.some(([verb = ""]) => CONTROLS.has(verb)),
    session: statements.some(changesSession),
    runs: 0,
    slowest: 0,
    usual: 0,
  };
}

const READS = new Set(["select", "values", "table", "with", "show"]);
const WRITES = new Set([
  "insert",
  "update",
  "delete",
  "merge",
  "into",
  "nextval",
  "setval",
  "share",
]);
const CONTROLS = new Set(["begin", "start", "commit", "rollback", "abort", "savepoint", "prepare"]);
const SESSIONS = new Set(["set", "reset", "listen", "prepare", "declare", "load", "discard"]);
/** What follows `set` where it ends with the transaction. */
const PASSING = new Set(["local", "transaction", "constraints"]);
/** What the connection keeps until it is closed. */
const LOCKS = /^pg_(try_)?advisory_lock(_shared)?$/;
const TEMPORARY = /^temp(orary)?$/;
const BEFORE_TEMPORARY = new Set(["create", "replace", "local", "global", "into"]);

/** Whether a statement leaves something on its connection. */
function changesSession(words: readonly string[]): boolean {
  const [verb = "", second = ""] = words;
  if (SESSIONS.has(verb)) return verb !== "set" || !PASSING.has(second);
  return words.some((word, i) => {
    if (LOCKS.test(word)) return true;
    // `insert into temp` has a table of that name
    if (TEMPORARY.test(word)) return verb !== "insert" && BEFORE_TEMPORARY.has(words[i - 1] ?? "");
    if (word !== "set_config") return false;
    return words.slice(i).find((one) => one === "true" || one === "false") !== "true";
  });
}

/** The values of a text in the order of its placeholders. */
export function valuesOf(text: PgText, params: SqlParams): readonly unknown[] {
  if (text.names === undefined) return params as readonly unknown[];
  return text.names.map((name) => (params as Readonly<Record<string, unknown>>)[name]);
}

/** `?` becomes `$1`, `$2` …, if there are as many as values; it is an operator of JSON, too. */
function byPosition(sql: string, params: readonly unknown[], marks: readonly Found[]) {
  if (marks.length === 0 || marks.length !== params.length) {
    return { converted: sql, names: undefined };
  }
  return { converted: replaced(sql, marks, (_text, i) => `$${i + 1}`), names: undefined };
}

/** `:name`, `@name` and `$name` become `$1`, `$2` …, the same name the same number. */
function byName(sql: string, params: Readonly<Record<string, unknown>>, named: readonly Found[]) {
  const names: string[] = [];
  const used = named.filter(({ text }) => Object.hasOwn(params, text.slice(1)));
  const missing = named.find(({ text }) =>
    text[0] === ":" && !used.some((one) => one.text === text)
  );
  if (missing !== undefined) {
    throw new TypeError(`Cannot execute: no value is given for ${missing.text}`);
  }
  const converted = replaced(sql, used, (text) => {
    const name = text.slice(1);
    let i = names.indexOf(name);
    if (i === -1) i = names.push(name) - 1;
    return `$${i + 1}`;
  });
  for (const key of Object.keys(params)) {
    if (names.includes(key)) continue;
    throw new TypeError(
      `Cannot bind ${JSON.stringify(key)}: the statement takes ${names.join(", ") || "no values"}`,
    );
  }
  return { converted, names };
}

function replaced(
  sql: string,
  found: readonly Found[],
  by: (text: string, i: number) => string,
): string {
  let out = "";
  let from = 0;
  found.forEach(({ text, at }, i) => {
    out += sql.slice(from, at) + by(text, i);
    from = at + text.length;
  });
  return out + sql.slice(from);
}

function isDigit(char: string | undefined): boolean {
  return char !== undefined && char >= "0" && char <= "9";
}

/** Comments may hold comments. */
function endOfComment(sql: string, start: number): number {
  let depth = 0;
  for (let i = start; i < sql.length; i++) {
    if (sql[i] === "/" && sql[i + 1] === "*") {
      depth++;
      i++;
    } else if (sql[i] === "*" && sql[i + 1] === "/") {
      depth--;
      i++;
      if (depth === 0) return i + 1;
    }
  }
  return sql.length;
}
