/**
 * Other delimiters for Jinja templates, line statements and line comments.
 *
 * A template is rewritten to delimiters that no text contains before the engine sees it. Lines stay
 * lines, so errors name the right one.
 *
 * @module
 */

import { TemplateError } from "./template_error.ts";

/** Delimiters; those not given are as in Jinja, with `%` and `%%` for lines. */
export interface JinjaOverlay {
  /** Begins a value. Default `{{`. */
  variableStart?: string;
  /** Ends a value. Default `}}`; when only the start is given, the same text. */
  variableEnd?: string;
  /** Begins a statement. Default `{%`. */
  blockStart?: string;
  /** Ends a statement. Default `%}`; when only the start is given, the same text. */
  blockEnd?: string;
  /** Begins a comment. Default `{#`. */
  commentStart?: string;
  /** Ends a comment. Default `#}`; when only the start is given, the same text. */
  commentEnd?: string;
  /** Makes a line that starts with it a statement; `""` for none. Default `%`. */
  lineStatement?: string;
  /** Makes a line that starts with it a comment; `""` for none. Default `%%`. */
  lineComment?: string;
}

/** What the engine is told to look for: characters for private use, one for each delimiter. */
export const INNER_TAGS = {
  variableStart: "\uE0F0",
  variableEnd: "\uE0F1",
  blockStart: "\uE0F2",
  blockEnd: "\uE0F3",
  commentStart: "\uE0F4",
  commentEnd: "\uE0F5",
} as const;

const INNER = /[\uE0F0-\uE0F5]/;

/**
 * Fills in the defaults. @throws {TypeError} for unknown names, blank delimiters, and starts that
 * cannot be told apart.
 */
export function checkOverlay(overlay: JinjaOverlay): Required<JinjaOverlay> {
  const known = {
    variableStart: "{{",
    variableEnd: pairOf(overlay.variableStart, "}}"),
    blockStart: "{%",
    blockEnd: pairOf(overlay.blockStart, "%}"),
    commentStart: "{#",
    commentEnd: pairOf(overlay.commentStart, "#}"),
    lineStatement: "%",
    lineComment: "%%",
  };
  for (const [name, value] of Object.entries(overlay)) {
    if (!(name in known)) {
      throw new TypeError(
        `jinjaOverlay: unknown delimiter "${name}"; known are ${Object.keys(known).join(", ")}`,
      );
    }
    const blank = value === "" && !name.startsWith("line");
    // A hyphen beside a value or a statement cuts blanks; comments have no use for it.
    const unclear = name.startsWith("comment") ? /[\s"'\\]/ : /[\s"'\\]|^-|-$/;
    if (typeof value !== "string" || blank || unclear.test(value) || INNER.test(value)) {
      throw new TypeError(`jinjaOverlay: ${JSON.stringify(value)} cannot be ${name}`);
    }
  }
  const full: Required<JinjaOverlay> = { ...known, ...overlay };
  const lines = [full.lineStatement, full.lineComment].filter((line) => line !== "");
  const starts = [full.variableStart, full.blockStart, full.commentStart, ...lines];
  if (new Set(starts).size < starts.length) {
    throw new TypeError(`jinjaOverlay: ${starts.join(" ")} cannot be told apart`);
  }
  return full;
}

/** The end that goes with a start: a start of the user's own is its own end unless one is given. */
function pairOf(start: string | undefined, usual: string): string {
  const common: Record<string, string> = {
    "{{": "}}",
    "{%": "%}",
    "{#": "#}",
    "[[": "]]",
    "[%": "%]",
    "[#": "#]",
    "<%": "%>",
    "<%=": "%>",
    "<#": "#>",
    "<!--": "-->",
    "((": "))",
    "<<": ">>",
    "/*": "*/",
    "${": "}",
    "#{": "}",
    "{": "}",
  };
  return start === undefined ? usual : common[start] ?? start;
}

/** Rewrites one template. @throws {TemplateError} where a delimiter is not closed. */
export function rewrite(text: string, name: string, overlay: Required<JinjaOverlay>): string {
  return new Rewriter(text, name, overlay).run();
}

type Kind = "variable" | "block" | "comment";

class Rewriter {
  readonly #text: string;
  readonly #name: string;
  readonly #starts: readonly { kind: Kind; start: string; end: string }[];
  readonly #line: string;
  readonly #comment: string;
  #at = 0;
  #out = "";

  constructor(text: string, name: string, overlay: Required<JinjaOverlay>) {
    this.#text = text;
    this.#name = name;
    this.#line = overlay.lineStatement;
    this.#comment = overlay.lineComment;
    // Of two starts that fit, the longer one is meant: `<%` and `<%=`.
    const starts: { kind: Kind; start: string; end: string }[] = [
      { kind: "variable", start: overlay.variableStart, end: overlay.variableEnd },
      { kind: "block", start: overlay.blockStart, end: overlay.blockEnd },
      { kind: "comment", start: overlay.commentStart, end: overlay.commentEnd },
    ];
    this.#starts = starts.sort((a, b) => b.start.length - a.start.length);
    const inner = INNER.exec(text);
    if (inner !== null) throw this.#error("a character that templates cannot contain", inner.index);
  }

  run(): string {
    let lineStart = true;
    while (this.#at < this.#text.length) {
      if (lineStart && this.#takeLine()) continue;
      lineStart = false;
      const tag = this.#starts.find(({ start }) => this.#text.startsWith(start, this.#at));
      if (tag === undefined) {
        const character = this.#text[this.#at++]!;
        this.#out += character;
        lineStart = character === "\n";
      } else if (tag.start === tag.end && this.#isDoubled(tag.start)) {
        this.#out += tag.start;
        this.#at += 2 * tag.start.length;
      } else {
        this.#takeTag(tag);
        lineStart = this.#out.endsWith("\n");
      }
    }
    return this.#out;
  }

  /** A delimiter that begins and ends is written twice to stand for itself. */
  #isDoubled(start: string): boolean {
    return this.#text.startsWith(start + start, this.#at);
  }

  /** A line that is a comment or a statement as a whole. */
  #takeLine(): boolean {
    const end = this.#text.indexOf("\n", this.#at);
    const stop = end === -1 ? this.#text.length : end + 1;
    const line = this.#text.slice(this.#at, stop);
    const content = line.trimStart();
    if (this.#comment !== "" && content.startsWith(this.#comment)) {
      this.#emitTag("comment", line.endsWith("\n") ? "\n" : "");
      this.#at = stop;
      return true;
    }
    if (this.#line === "" || !content.startsWith(this.#line)) return false;
    const statement = content.slice(this.#line.length);
    // `%}` and the like at the start of a line end something; they are no statement.
    if (!/^\s*[A-Za-z_]/.test(statement)) return false;
    const code = this.#withoutComment(statement).replace(/:?\s*$/, "");
    const from = this.#at;
    this.#at = stop;
    this.#emitTag("block", ` ${code.trim()} `, from);
    if (line.endsWith("\n")) this.#emitTag("comment", "\n");
    return true;
  }

  /** Cuts a comment off the end of a line statement. */
  #withoutComment(statement: string): string {
    if (this.#comment === "") return statement;
    const parts = new RegExp(
      `"(?:\\\\.|[^"\\\\])*"|'(?:\\\\.|[^'\\\\])*'|(\\s${escapeRegExp(this.#comment)})`,
      "g",
    );
    for (const { 1: comment, index } of statement.matchAll(parts)) {
      if (comment !== undefined) return statement.slice(0, index);
    }
    return statement;
  }

  #takeTag({ kind, start, end }: { kind: Kind; start: string; end: string }): void {
    const from = this.#at;
    const inside = from + start.length;
    const close = kind === "comment" ? this.#text.indexOf(end, inside) : this.#close(inside, end);
    if (close === -1) throw this.#error(`${start} is not closed by ${end}`, from);
    this.#at = close + end.length;
    this.#emitTag(kind, this.#text.slice(inside, close), from);
  }

  /** Where a tag ends: outside of quotes, and of brackets as far as they are closed. */
  #close(from: number, end: string): number {
    let quote = "";
    let depth = 0;
    let first = -1;
    for (let i = from; i < this.#text.length; i++) {
      const character = this.#text[i]!;
      if (quote !== "") {
        if (character === "\\") i++;
        else if (character === quote) quote = "";
      } else if (this.#text.startsWith(end, i) && (depth === 0 || !"}])".includes(end[0]!))) {
        return i;
      } else {
        if (first === -1 && this.#text.startsWith(end, i)) first = i;
        if (character === '"' || character === "'") quote = character;
        else if ("{[(".includes(character)) depth++;
        else if ("}])".includes(character)) depth--;
      }
    }
    return first;
  }

  #emitTag(kind: Kind, content: string, from = this.#at): void {
    if (kind === "comment") {
      // Its line breaks are kept, which print nothing, and hyphens, which cut the blanks beside it.
      const before = content.startsWith("-") ? "-" : "";
      const after = content.length > 1 && content.endsWith("-") ? "-" : "";
      // The blank keeps a hyphen on one side from being one on the other.
      const inside = `${before} ${content.replace(/[^\n]/g, "")}${after}`;
      this.#out += INNER_TAGS.commentStart + inside + INNER_TAGS.commentEnd;
      return;
    }
    const raw = kind === "block" ? /^-?\s*(raw|verbatim)\s*-?$/.exec(content)?.[1] : undefined;
    if (raw !== undefined) {
      this.#takeRaw(raw, from);
      return;
    }
    const [start, end] = kind === "block"
      ? [INNER_TAGS.blockStart, INNER_TAGS.blockEnd]
      : [INNER_TAGS.variableStart, INNER_TAGS.variableEnd];
    // The engine ends a name at a blank or a mark of its own, which these ends are not.
    this.#out += `${start}${content.replace(/(-?)$/, " $1")}${end}`;
  }

  /** Text up to the end of a raw block, as it stands. */
  #takeRaw(word: string, from: number): void {
    const { start, end } = this.#starts.find(({ kind }) => kind === "block")!;
    const closing = new RegExp(
      `${escapeRegExp(start)}-?\\s*end${word}\\s*-?${escapeRegExp(end)}` +
        (this.#line === ""
          ? ""
          : `|(?<=^|\\n)[ \\t]*${escapeRegExp(this.#line)}\\s*end${word}[ \\t]*(?:\\n|$)`),
      "g",
    );
    closing.lastIndex = this.#at;
    const match = closing.exec(this.#text);
    if (match === null) throw this.#error(`${word} is not closed by end${word}`, from);
    this.#out += this.#text.slice(this.#at, match.index);
    this.#at = match.index + match[0].length;
  }

  #error(problem: string, at: number): TemplateError {
    const line = this.#text.slice(0, at).split("\n").length;
    return new TemplateError(problem, { template: this.#name, line });
  }
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
