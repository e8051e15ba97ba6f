/**
 * TAL, the attribute language of Zope and Chameleon, as an engine to register. What is not TAL itself
 * (expressions, filters, waiting for futures) is as in Jinja templates: a file is translated to one.
 *
 * @example
 * ```ts
 * import { Atila } from "@skitai/skitai/atila";
 * import { tal } from "@skitai/skitai/tal";
 *
 * const app = new Atila(import.meta.url);
 * app.registerEngine([".pt", ".ptal"], tal);
 * ```
 *
 * @module
 */

import type { EngineSettings, TemplateEngine } from "./engine.ts";
import { INNER_TAGS } from "./overlay.ts";
import { TemplateError } from "./template_error.ts";

export type { EngineSettings, TemplateEngine };

/** The engine, for `app.registerEngine([".pt", ".ptal"], tal)`. */
export async function tal(settings: EngineSettings): Promise<TemplateEngine> {
  const { createNunjucks } = await import("./nunjucks.ts");
  return createNunjucks({ ...settings, overlay: undefined, translate: translateTal });
}

const { variableStart: V, variableEnd: W, blockStart: B, blockEnd: C } = INNER_TAGS;

const VOID = /^(?:area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)$/i;

/** Elements whose content is text, whatever it looks like. */
const RAW = /^(?:script|style|textarea|title)$/i;

/** Statements, as attributes of any element or of `tal:` elements. */
const STATEMENTS: readonly string[] = [
  "define",
  "condition",
  "repeat",
  "content",
  "replace",
  "omit-tag",
  "attributes",
];

interface Attribute {
  readonly name: string;
  /** As it stands in the file; `undefined` for an attribute without value. */
  readonly value: string | undefined;
}

/** An element with statements, until its end is met. */
interface Open {
  readonly name: string;
  /** Elements of the same name inside. */
  depth: number;
  /** What its end tag becomes. */
  readonly end: string;
  /** Where its content goes: into the page, or nowhere. */
  readonly skips: boolean;
  /** Where it begins, for errors. */
  readonly at: number;
}

const TAG =
  /<(\/?)([A-Za-z][\w:.-]*)((?:\s+[^\s=>/"']+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]+))?|\s*\/(?!>))*)\s*(\/?)>/y;

/**
 * Translates a template to Jinja with private delimiters; lines stay lines.
 *
 * @throws {TemplateError} for elements that are not closed and statements that cannot be read.
 */
export function translateTal(text: string, name: string): string {
  return new Translator(text, name).run();
}

class Translator {
  readonly #text: string;
  readonly #name: string;
  readonly #open: Open[] = [];
  #at = 0;
  #out = "";
  #variables = 0;

  constructor(text: string, name: string) {
    this.#text = text;
    this.#name = name;
  }

  run(): string {
    const text = this.#text;
    while (this.#at < text.length) {
      const next = text.indexOf("<", this.#at);
      if (next !== this.#at) {
        const end = next === -1 ? text.length : next;
        this.#emit(this.#interpolated(text.slice(this.#at, end), this.#at));
        this.#at = end;
        continue;
      }
      if (text.startsWith("<!--", next)) this.#verbatim("-->");
      else if (text.startsWith("<![CDATA[", next)) this.#verbatim("]]>");
      else if (/^<[!?]/.test(text.slice(next, next + 2))) this.#verbatim(">");
      else this.#tag();
    }
    const unclosed = this.#open.at(-1);
    if (unclosed !== undefined) throw this.#error(`<${unclosed.name}> is not closed`, unclosed.at);
    return this.#out;
  }

  /** Text up to an end, as it stands; comments for the developer only (`<!--!`) are left out. */
  #verbatim(end: string): void {
    const close = this.#text.indexOf(end, this.#at);
    const stop = close === -1 ? this.#text.length : close + end.length;
    const part = this.#text.slice(this.#at, stop);
    if (part.startsWith("<!--!")) this.#lines(part);
    else this.#emit(part);
    this.#at = stop;
  }

  #tag(): void {
    const from = this.#at;
    TAG.lastIndex = from;
    const match = TAG.exec(this.#text);
    if (match === null) {
      this.#emit("<");
      this.#at++;
      return;
    }
    const [source, slash, name, inside, selfClosing] = match as unknown as [
      string,
      string,
      string,
      string,
      string,
    ];
    this.#at += source.length;
    const innermost = this.#open.at(-1);
    if (slash === "/") {
      if (innermost?.name !== name) return this.#emit(source);
      if (innermost.depth-- > 0) return this.#emit(source);
      this.#open.pop();
      // What comes from the statements is not part of what they skip.
      this.#emit(innermost.end);
      return;
    }
    const isClosed = selfClosing === "/" || VOID.test(name);
    const attributes = [...inside.matchAll(
      /([^\s=>/"']+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g,
    )].map(([, name, double, single, bare]): Attribute => ({
      name: name!,
      value: double ?? single ?? bare,
    }));
    const statements = new Map<string, string>();
    const kept: Attribute[] = [];
    const isOwn = name.startsWith("tal:");
    for (const attribute of attributes) {
      const statement = attribute.name.startsWith("tal:")
        ? attribute.name.slice(4)
        : isOwn
        ? attribute.name
        : undefined;
      if (/^xmlns:(?:tal|metal|i18n)$/.test(attribute.name)) continue;
      if (/^(?:metal|i18n):/.test(attribute.name)) {
        throw this.#error(`${attribute.name} is not supported`, from);
      }
      if (statement === undefined) kept.push(attribute);
      else if (!STATEMENTS.includes(statement)) {
        throw this.#error(
          `tal:${statement} is not known; known are ${STATEMENTS.join(", ")}`,
          from,
        );
      } else statements.set(statement, unescape(attribute.value ?? ""));
    }
    const written = this.#out.length;
    if (statements.size === 0 && !isOwn) {
      if (!isClosed && innermost?.name === name) innermost.depth++;
      this.#emit(this.#startTag(name, kept, undefined, isClosed, selfClosing, from));
    } else this.#element(name, kept, statements, { isClosed, selfClosing, isOwn, from });
    this.#lines(source, countLines(this.#out.slice(written)));
    if (!isClosed && RAW.test(name)) this.#rawContent(name);
  }

  /** An element with statements, in the order in which they take effect. */
  #element(
    name: string,
    kept: readonly Attribute[],
    statements: ReadonlyMap<string, string>,
    { isClosed, selfClosing, isOwn, from }: {
      isClosed: boolean;
      selfClosing: string;
      isOwn: boolean;
      from: number;
    },
  ): void {
    let before = "";
    let after = "";
    const around = (begin: string, end: string) => {
      before += begin;
      after = end + after;
    };
    for (const part of parts(statements.get("define"))) {
      const [, scope, variable, expression] =
        /^(?:(local|global)\s+)?([A-Za-z_]\w*)\s+([\s\S]+)$/.exec(part) ??
          this.#unreadable("define", part, from);
      const value = this.#value(expression!, from);
      if (scope === "global") before += `${B} set ${variable} = ${value} ${C}`;
      else around(`${B} for ${variable} in [${value}] ${C}`, `${B} endfor ${C}`);
    }
    const condition = statements.get("condition");
    if (condition !== undefined) {
      around(`${B} if ${this.#value(condition, from)} ${C}`, `${B} endif ${C}`);
    }
    const repeat = statements.get("repeat");
    if (repeat !== undefined) {
      const [, names, expression] =
        /^\(?\s*([A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)*)\s*\)?\s+([\s\S]+)$/.exec(repeat.trim()) ??
          this.#unreadable("repeat", repeat, from);
      const first = names!.split(",")[0]!.trim();
      around(
        `${B} for ${names} in ${this.#value(expression!, from)} ${C}` +
          `${B} for repeat__${first} in [loop] ${C}`,
        `${B} endfor ${C}${B} endfor ${C}`,
      );
    }
    const replace = statements.get("replace");
    const content = replace ?? statements.get("content");
    const omit = statements.get("omit-tag");
    const isBare = isOwn || replace !== undefined || omit?.trim() === "";
    const dynamic = statements.get("attributes");
    // `<p tal:content="x"/>` is a way to write an element that has content after all.
    const isEmpty = isClosed && (content === undefined || VOID.test(name));
    const start = isBare ? "" : this.#startTag(name, kept, dynamic, isEmpty, selfClosing, from);
    const end = isBare || isEmpty ? "" : `</${name}>`;
    const wrap = (tag: string) =>
      omit === undefined || tag === "" || omit.trim() === ""
        ? tag
        : `${B} if not (${this.#value(omit, from)}) ${C}${tag}${B} endif ${C}`;
    const inner = content === undefined ? "" : this.#print(content, from);
    this.#emit(before + wrap(start) + inner);
    if (isClosed) {
      this.#emit(wrap(end) + after);
      return;
    }
    this.#open.push({
      name,
      depth: 0,
      end: wrap(end) + after,
      skips: content !== undefined || this.#skips,
      at: from,
    });
  }

  get #skips(): boolean {
    return this.#open.at(-1)?.skips ?? false;
  }

  /** A start tag: what stands there, and what the statement `attributes` sets in its place. */
  #startTag(
    name: string,
    kept: readonly Attribute[],
    dynamic: string | undefined,
    isClosed: boolean,
    selfClosing: string,
    from: number,
  ): string {
    const set = new Map<string, string>();
    for (const part of parts(dynamic)) {
      const [, attribute, expression] = /^([^\s=]+)\s+([\s\S]+)$/.exec(part) ??
        this.#unreadable("attributes", part, from);
      set.set(attribute!, this.#value(expression!, from));
    }
    let tag = `<${name}`;
    for (const { name, value } of kept) {
      if (set.has(name)) continue;
      tag += value === undefined
        ? ` ${name}`
        : ` ${name}="${this.#interpolated(value.replaceAll('"', "&quot;"), from)}"`;
    }
    for (const [attribute, value] of set) {
      const variable = `tal__${this.#variables++}`;
      // Nothing and false leave an attribute out, true gives it its own name.
      tag += `${B} for ${variable} in [${value}] ${C}` +
        `${B} if ${variable} != none and ${variable} !== false ${C} ${attribute}="` +
        `${V} ${JSON.stringify(attribute)} if ${variable} === true else ${variable} ${W}"` +
        `${B} endif ${C}${B} endfor ${C}`;
    }
    return `${tag}${isClosed && selfClosing === "/" ? " /" : ""}>`;
  }

  /** The content of a script and the like, up to its end tag. */
  #rawContent(name: string): void {
    const close = new RegExp(`</${name}\\s*>`, "gi");
    close.lastIndex = this.#at;
    const end = close.exec(this.#text)?.index ?? this.#text.length;
    this.#emit(this.#interpolated(this.#text.slice(this.#at, end), this.#at));
    this.#at = end;
  }

  /** Text with `${…}`; `$${` stands for `${` itself. */
  #interpolated(text: string, at: number): string {
    let result = "";
    let from = 0;
    for (;;) {
      const start = text.indexOf("${", from);
      if (start === -1) return result + text.slice(from);
      if (text[start - 1] === "$") {
        result += text.slice(from, start - 1) + "${";
        from = start + 2;
        continue;
      }
      const end = closing(text, start + 2);
      if (end === -1) throw this.#error("${ is not closed by }", at + start);
      const expression = text.slice(start + 2, end);
      result += text.slice(from, start) + this.#print(unescape(expression), at + start);
      from = end + 1;
    }
  }

  /** An expression that is printed. */
  #print(expression: string, at: number): string {
    const match = /^\s*(structure|text)(?::|\s)\s*([\s\S]*)$/.exec(expression);
    if (match === null) return `${V} ${this.#value(expression, at)} ${W}`;
    const value = this.#value(match[2]!, at);
    return `${V} ${match[1] === "structure" ? `(${value}) | safe` : value} ${W}`;
  }

  /** An expression as Jinja writes it. */
  #value(expression: string, at: number): string {
    const trimmed = expression.trim();
    const [, type, rest] = /^(python|not|string|exists):([\s\S]*)$/.exec(trimmed) ??
      [undefined, "python", trimmed];
    switch (type) {
      case "not":
        return `not (${this.#value(rest!, at)})`;
      case "exists":
        return `(${this.#value(rest!, at)}) is defined`;
      case "string":
        return this.#string(rest!, at);
      default:
        if (rest!.trim() === "") throw this.#error("an expression is empty", at);
        if (rest!.trim() === "nothing") return "none";
        if (rest!.trim() === "default") {
          throw this.#error("default is not supported; write a condition", at);
        }
        return rest!.trim().replace(/\s+/g, " ")
          .replace(
            /\brepeat(?:\.|\[['"])([A-Za-z_]\w*)(?:['"]\])?\.(\w+)\b/g,
            (_, name, member) => `repeat__${name}.${this.#counter(name, member, at)}`,
          );
    }
  }

  /** A member of `repeat.item` as a member of Jinja's `loop`. */
  #counter(name: string, member: string, at: number): string {
    if (Object.hasOwn(LOOP, member)) return LOOP[member]!;
    if (LOOP_MEMBERS.includes(member)) return member;
    const known = [...new Set([...Object.keys(LOOP), ...LOOP_MEMBERS])].join(", ");
    throw this.#error(`repeat.${name}.${member} is not known; known are ${known}`, at);
  }

  /** `string:Hello ${name}` as one expression. */
  #string(text: string, at: number): string {
    const pieces: string[] = [];
    let from = 0;
    for (let start = text.indexOf("${"); start !== -1; start = text.indexOf("${", from)) {
      const end = closing(text, start + 2);
      if (end === -1) throw this.#error("${ is not closed by }", at);
      pieces.push(JSON.stringify(text.slice(from, start)));
      pieces.push(`(${this.#value(text.slice(start + 2, end), at)})`);
      from = end + 1;
    }
    pieces.push(JSON.stringify(text.slice(from)));
    return pieces.join(" ~ ");
  }

  #emit(text: string): void {
    if (this.#skips) this.#lines(text);
    else this.#out += text;
  }

  /** Line breaks that print nothing, so that what follows is on the line it is on in the file. */
  #lines(text: string, without = 0): void {
    const count = countLines(text) - without;
    if (count > 0) {
      this.#out += INNER_TAGS.commentStart + "\n".repeat(count) + INNER_TAGS.commentEnd;
    }
  }

  #unreadable(statement: string, part: string, at: number): never {
    throw this.#error(`tal:${statement}: cannot read ${JSON.stringify(part)}`, at);
  }

  #error(problem: string, at: number): TemplateError {
    const line = this.#text.slice(0, at).split("\n").length;
    return new TemplateError(problem, { template: this.#name, line });
  }
}

function countLines(text: string): number {
  return text.split("\n").length - 1;
}

/** Members of `repeat.item`, as Jinja's `loop` calls them. */
const LOOP: Readonly<Record<string, string>> = {
  index: "index0",
  number: "index",
  start: "first",
  end: "last",
};

/** Members of Jinja's `loop` that are called the same here. */
const LOOP_MEMBERS: readonly string[] = [
  "index0",
  "revindex",
  "revindex0",
  "first",
  "last",
  "length",
  "cycle",
];

/** Statements separated by semicolons; two of them stand for one. */
function parts(text: string | undefined): string[] {
  return (text ?? "").replaceAll(";;", "\0").split(";")
    .map((part) => part.replaceAll("\0", ";").trim()).filter((part) => part !== "");
}

/** Where the brace closes that was opened before `from`; -1 when it does not. */
function closing(text: string, from: number): number {
  let depth = 0;
  let quote = "";
  for (let i = from; i < text.length; i++) {
    const character = text[i]!;
    if (quote !== "") {
      if (character === "\\") i++;
      else if (character === quote) quote = "";
    } else if (character === '"' || character === "'") quote = character;
    else if (character === "{") depth++;
    else if (character === "}" && depth-- === 0) return i;
  }
  return -1;
}

const ENTITIES: Readonly<Record<string, string>> = {
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  amp: "&",
};

function unescape(text: string): string {
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name) => ENTITIES[name]!);
}
