/**
 * Reads XML-RPC documents.
 *
 * @module
 */

import { nodeBuffer } from "../core/node_builtins.ts";

/** Options of {@link decodeXmlRpc}. */
export interface XmlRpcDecodeOptions {
  /** Make `Date` objects of dates; otherwise they stay text. Default false. */
  readonly useDatetime?: boolean;
}

/** An XML-RPC document: a call, an answer, or a fault. */
export interface XmlRpcDocument {
  /** Name of the method, of a call. */
  readonly method?: string;
  /** Values, in order. */
  readonly params: unknown[];
  /** What went wrong, of an answer that is a fault. */
  readonly fault?: { readonly faultCode: number; readonly faultString: string };
}

/** A tag that opens or closes, or the text between two. */
type Token = { readonly tag: string; readonly closes: boolean } | { readonly text: string };

const TOKEN =
  /<!\[CDATA\[([\s\S]*?)\]\]>|<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<(\/?)([A-Za-z.0-9_]+)\s*(\/?)>|([^<]+)|(<)/g;
const ENTITY = /&(?:#(\d+)|#x([0-9A-Fa-f]+)|(amp|lt|gt|quot|apos));/g;
const NAMED: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};
const MAX_DEPTH = 100;

/**
 * Reads a document: a call, an answer, a fault, or a bare value.
 *
 * @throws {SyntaxError} for what is not XML-RPC; document types and entities of its own are refused.
 */
export function decodeXmlRpc(text: string, options: XmlRpcDecodeOptions = {}): XmlRpcDocument {
  return new Reader(tokens(text), options).document();
}

function tokens(text: string): Token[] {
  const found: Token[] = [];
  for (const [all, cdata, slash, name, empty, plain, stray] of text.matchAll(TOKEN)) {
    if (stray !== undefined) throw new SyntaxError(`Cannot read XML-RPC: ${stray} out of place`);
    if (cdata !== undefined) found.push({ text: cdata });
    else if (plain !== undefined) found.push({ text: plain.replace(ENTITY, entity) });
    else if (name !== undefined) {
      found.push({ tag: name, closes: slash === "/" });
      if (empty === "/") found.push({ tag: name, closes: true });
    } else if (all.startsWith("<!") && !all.startsWith("<!--")) {
      throw new SyntaxError("Cannot read XML-RPC: a document type is not allowed");
    }
  }
  return found;
}

function entity(
  _all: string,
  decimal: string | undefined,
  hex: string | undefined,
  name: string | undefined,
): string {
  if (name !== undefined) return NAMED[name]!;
  const code = decimal === undefined ? Number.parseInt(hex!, 16) : Number(decimal);
  if (code > 0x10ffff) throw new SyntaxError(`Cannot read XML-RPC: no character ${code}`);
  return String.fromCodePoint(code);
}

class Reader {
  readonly #tokens: readonly Token[];
  readonly #options: XmlRpcDecodeOptions;
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[], options: XmlRpcDecodeOptions) {
    this.#tokens = tokens;
    this.#options = options;
  }

  document(): XmlRpcDocument {
    this.#blank();
    let made: XmlRpcDocument;
    if (this.#opens("value")) made = { params: [this.#value()] };
    else if (this.#opens("params")) made = { params: this.#params() };
    else if (this.#opens("methodCall")) {
      this.#open("methodCall");
      this.#open("methodName");
      const method = this.#text("methodName").trim();
      this.#blank();
      made = { method, params: this.#opens("params") ? this.#params() : [] };
      this.#close("methodCall");
    } else {
      this.#open("methodResponse");
      this.#blank();
      if (this.#opens("fault")) {
        this.#open("fault");
        const fault = this.#value() as { faultCode: number; faultString: string };
        this.#close("fault");
        made = { params: [], fault };
      } else made = { params: this.#params() };
      this.#close("methodResponse");
    }
    this.#blank();
    if (this.#at < this.#tokens.length) throw this.#bad("more after the end");
    return made;
  }

  #params(): unknown[] {
    const params: unknown[] = [];
    this.#open("params");
    for (this.#blank(); this.#opens("param"); this.#blank()) {
      this.#open("param");
      params.push(this.#value());
      this.#close("param");
    }
    this.#close("params");
    return params;
  }

  #value(): unknown {
    if (++this.#depth > MAX_DEPTH) throw this.#bad(`nested more than ${MAX_DEPTH} times`);
    this.#open("value", false);
    let text = "";
    for (let token = this.#peek(); "text" in token; token = this.#peek()) {
      text += token.text;
      this.#at++;
    }
    const token = this.#peek() as { tag: string; closes: boolean };
    // text without a type is a string
    const value = token.closes ? text : this.#typed(token.tag);
    this.#close("value");
    this.#depth--;
    return value;
  }

  #typed(tag: string): unknown {
    this.#open(tag, false);
    switch (tag) {
      case "string":
        return this.#text(tag);
      case "int":
      case "i4":
      case "i8":
      case "double":
        return this.#number(tag);
      case "boolean":
        return this.#text(tag).trim() === "1";
      case "nil":
        this.#close(tag);
        return null;
      case "base64":
        return new Uint8Array(nodeBuffer().from(this.#text(tag), "base64"));
      case "dateTime.iso8601": {
        const text = this.#text(tag).trim();
        return this.#options.useDatetime ? toDate(text) : text;
      }
      case "array":
        return this.#array();
      case "struct":
        return this.#struct();
      default:
        throw this.#bad(`no type ${tag}`);
    }
  }

  #number(tag: string): number {
    const text = this.#text(tag).trim();
    const value = Number(text);
    if (text === "" || Number.isNaN(value)) throw this.#bad(`${JSON.stringify(text)} as ${tag}`);
    return value;
  }

  #array(): unknown[] {
    const values: unknown[] = [];
    this.#open("data");
    for (this.#blank(); this.#opens("value"); this.#blank()) values.push(this.#value());
    this.#close("data");
    this.#close("array");
    return values;
  }

  #struct(): Record<string, unknown> {
    const members: [string, unknown][] = [];
    for (this.#blank(); this.#opens("member"); this.#blank()) {
      this.#open("member");
      this.#open("name", false);
      const name = this.#text("name");
      this.#blank();
      members.push([name, this.#value()]);
      this.#close("member");
    }
    this.#close("struct");
    return Object.fromEntries(members);
  }

  /** Text up to the end of a tag. */
  #text(tag: string): string {
    let text = "";
    for (let token = this.#peek(); "text" in token; token = this.#peek()) {
      text += token.text;
      this.#at++;
    }
    this.#close(tag);
    return text;
  }

  #peek(): Token {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw this.#bad("it ends too early");
    return token;
  }

  #blank(): void {
    for (;;) {
      const token = this.#tokens[this.#at];
      if (token === undefined || !("text" in token)) return;
      if (token.text.trim() !== "") throw this.#bad(`${JSON.stringify(token.text.trim())}`);
      this.#at++;
    }
  }

  #opens(tag: string): boolean {
    const token = this.#tokens[this.#at];
    return token !== undefined && "tag" in token && token.tag === tag && !token.closes;
  }

  #open(tag: string, blank = true): void {
    if (blank || !this.#opens(tag)) this.#blank();
    if (!this.#opens(tag)) throw this.#bad(`expected <${tag}>`);
    this.#at++;
  }

  #close(tag: string): void {
    this.#blank();
    const token = this.#peek();
    if (!("tag" in token) || token.tag !== tag || !token.closes) {
      throw this.#bad(`expected </${tag}>`);
    }
    this.#at++;
  }

  #bad(what: string): SyntaxError {
    return new SyntaxError(`Cannot read XML-RPC: ${what} at token ${this.#at + 1}`);
  }
}

/** Dates come as `20260131T12:00:00`, in the time of the server, which is taken for UTC. */
function toDate(text: string): Date {
  const compact = /^(\d{4})(\d\d)(\d\d)T(.*)$/.exec(text);
  const iso = compact === null ? text : `${compact[1]}-${compact[2]}-${compact[3]}T${compact[4]}`;
  const date = new Date(/(?:Z|[+-]\d\d:?\d\d)$/.test(iso) ? iso : `${iso}Z`);
  if (Number.isNaN(date.getTime())) throw new SyntaxError(`Cannot read XML-RPC: no date ${text}`);
  return date;
}
