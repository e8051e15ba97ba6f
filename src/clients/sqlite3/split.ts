/**
 * Cuts a text of SQL into statements, the way SQLite itself finds their ends. SQLite's own
 * interface runs the first statement of a text and drops the rest in silence, so it has to be known
 * how many there are.
 *
 * @module
 */

/** One statement of a text. */
export interface Piece {
  /** Its text, without the final semicolon; never blank or only a comment. */
  readonly sql: string;
  /**
   * What it does: the first of its words that is a verb, in lower case (`select`, `insert`,
   * `create` …).
   */
  readonly verb: string;
  /** How many values it takes in order: the highest number among its placeholders. */
  readonly positional: number;
  /** Names of its named placeholders, with their first character. */
  readonly names: readonly string[];
}

/** Blanks as SQLite sees them; a byte order mark is one. */
function isBlank(code: number): boolean {
  return code === 32 || code >= 9 && code <= 13 && code !== 11 || code === 0xfeff;
}

/** Letters of words: ASCII letters, digits, `_`, `$`, and everything beyond ASCII. NaN is none. */
function isWord(code: number): boolean {
  return code >= 97 && code <= 122 || code >= 65 && code <= 90 || code >= 48 && code <= 57 ||
    code === 95 || code === 36 || code > 127 && code !== 0xfeff;
}

/** Position behind the word that starts at `from`. */
function wordEnd(text: string, from: number): number {
  let end = from;
  while (isWord(text.charCodeAt(end))) end++;
  return end;
}

/** Verbs that decide what a statement with a `with` clause does. */
const AFTER_WITH = new Set(["select", "values", "insert", "replace", "update", "delete"]);

/** How far a `create trigger`, whose body holds semicolons, has been read. */
type TriggerState = "no" | "create" | "body" | "semicolon" | "end";

/**
 * Cuts a text into its statements.
 *
 * @throws {TypeError} for a text with a NUL character, which SQLite takes for the end.
 */
export function splitSql(text: string): Piece[] {
  if (text.includes("\0")) throw new TypeError("Cannot execute SQL that holds a NUL character");
  const pieces: Piece[] = [];
  let start = -1;
  let verb = "";
  let depth = 0;
  let trigger: TriggerState = "no";
  let positional = 0;
  let dollars: number[] = [];
  let names: string[] = [];

  const finish = (end: number) => {
    if (start !== -1) {
      let sql = text.slice(start, end);
      // `$1` is a name to SQLite, numbered by first appearance; PostgreSQL means the first value by
      // it.
      const numbered = names.length > 0 && names.every((name) => /^\$[1-9]\d*$/.test(name));
      if (numbered) {
        for (const at of dollars.reverse()) {
          sql = sql.slice(0, at - start) + "?" + sql.slice(at - start + 1);
        }
        positional = Math.max(positional, ...names.map((name) => Number(name.slice(1))));
        names = [];
      } else if (names.length > 0) positional += new Set(names).size;
      pieces.push({ sql: sql.trimEnd(), verb, positional, names: [...new Set(names)] });
    }
    start = -1;
    verb = "";
    depth = 0;
    trigger = "no";
    positional = 0;
    dollars = [];
    names = [];
  };

  for (let i = 0; i < text.length;) {
    const c = text[i]!;
    if (isBlank(text.charCodeAt(i))) {
      i++;
      continue;
    }
    if (c === "-" && text[i + 1] === "-") {
      i = until(text, "\n", i + 2);
      continue;
    }
    if (c === "/" && text[i + 1] === "*") {
      i = until(text, "*/", i + 2);
      continue;
    }
    if (c === ";") {
      if (trigger === "body" || trigger === "semicolon") trigger = "semicolon";
      else finish(i);
      i++;
      continue;
    }
    if (start === -1) start = i;
    if (c === "'" || c === '"' || c === "`") {
      i = closing(text, c, i);
      if (trigger === "semicolon") trigger = "body";
      continue;
    }
    if (c === "[") {
      i = until(text, "]", i + 1);
      if (trigger === "semicolon") trigger = "body";
      continue;
    }
    if (c === "?") {
      const digits = /^\d*/.exec(text.slice(i + 1, i + 12))![0];
      positional = digits ? Math.max(positional, Number(digits)) : positional + 1;
      i += 1 + digits.length;
      continue;
    }
    if ((c === ":" || c === "@" || c === "$") && isWord(text.charCodeAt(i + 1))) {
      const end = wordEnd(text, i + 1);
      const name = text.slice(i, end);
      names.push(name);
      if (c === "$") dollars.push(i);
      i = end;
      continue;
    }
    if (isWord(text.charCodeAt(i))) {
      const end = wordEnd(text, i + 1);
      const word = text.slice(i, end).toLowerCase();
      if (verb === "") verb = word;
      else if (verb === "with" && depth === 0 && AFTER_WITH.has(word)) verb = word;
      trigger = nextTrigger(trigger, word, verb);
      i = end;
      continue;
    }
    if (c === "(") depth++;
    else if (c === ")") depth--;
    if (trigger === "semicolon") trigger = "body";
    i++;
  }
  finish(text.length);
  return pieces;
}

/** Follows the words of a statement that may create a trigger. */
function nextTrigger(state: TriggerState, word: string, verb: string): TriggerState {
  switch (state) {
    case "no":
      return word === "create" && (verb === "create" || verb === "explain") ? "create" : "no";
    case "create":
      if (word === "trigger") return "body";
      return word === "temp" || word === "temporary" ? "create" : "no";
    case "semicolon":
      return word === "end" ? "end" : "body";
    case "end":
      return "body";
    default:
      return state;
  }
}

/** Position behind the next occurrence of a text, or the end of the whole. */
function until(text: string, what: string, from: number): number {
  const at = text.indexOf(what, from);
  return at === -1 ? text.length : at + what.length;
}

/** Position behind a quoted part; the quote stands doubled for itself. */
function closing(text: string, quote: string, from: number): number {
  for (let i = from + 1; i < text.length; i++) {
    if (text[i] !== quote) continue;
    if (text[i + 1] !== quote) return i + 1;
    i++;
  }
  return text.length;
}
