/**
 * The protocol of Redis, version 2: commands into bytes, bytes into replies.
 *
 * @module
 */

import { ProtocolError } from "../core/errors.ts";

/** What a server answers. Integers that a number cannot hold are bigints; what is no text is bytes. */
export type RespReply = string | Uint8Array | number | bigint | null | RespError | RespReply[];

/** An answer that says what was wrong with a command. */
export class RespError extends Error {
  override readonly name = "ReplyError";
}

/** Parts of a command: text, or bytes as they are. */
export type RespPart = string | Uint8Array;

const ENCODER = new TextEncoder();
// deno-lint-ignore no-control-regex -- exactly the characters that are one byte each
const WIDE = /[^\x00-\x7f]/;

/**
 * Writes a command. Text comes in one piece, bytes in pieces of their own, which are copies: when they
 * are sent the caller may have changed or moved what he gave.
 *
 * @example
 * ```ts
 * import { encodeCommand } from "./resp.ts";
 * console.assert(encodeCommand(["get", "a"])[0] === "*2\r\n$3\r\nget\r\n$1\r\na\r\n");
 * ```
 */
export function encodeCommand(parts: readonly RespPart[]): RespPart[] {
  const pieces: RespPart[] = [];
  let text = `*${parts.length}\r\n`;
  for (const part of parts) {
    if (typeof part === "string") {
      const bytes = WIDE.test(part) ? ENCODER.encode(part).length : part.length;
      text += `$${bytes}\r\n${part}\r\n`;
    } else {
      const copy = new Uint8Array(part);
      pieces.push(`${text}$${copy.length}\r\n`, copy);
      text = "\r\n";
    }
  }
  pieces.push(text);
  return pieces;
}

const CR = 13;
const LF = 10;
const MINUS = 45;
/** Longest line: a status, an error or a number. */
const MAX_LINE = 64 * 1024;
/** Largest value, in bytes; the server's own limit. */
const MAX_BULK = 512 * 1024 * 1024;
const MAX_DEPTH = 64;
const NOTHING = new Uint8Array(0);
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });
const STRICT = new TextDecoder("utf-8", { fatal: true });

/** A list that is not complete. */
interface Open {
  readonly items: RespReply[];
  left: number;
}

/** Reads the replies of one connection out of chunks of bytes. */
export class RespParser {
  /** Bytes that are not read yet. */
  #bytes: Uint8Array = NOTHING;
  #from = 0;
  #to = 0;
  /** Length of the value being read; -1 while none is. */
  #bulk = -1;
  readonly #open: Open[] = [];

  /** True between two replies. */
  get idle(): boolean {
    return this.#from === this.#to && this.#bulk === -1 && this.#open.length === 0;
  }

  /**
   * Reads a chunk, which may be used again afterwards.
   *
   * @param reply Called with each reply that is complete.
   * @throws {ProtocolError} 715 for bytes that are none of the protocol; there is no way on from there.
   */
  push(chunk: Uint8Array, reply: (reply: RespReply) => void): void {
    this.#append(chunk);
    for (;;) {
      const value = this.#bulk === -1 ? this.#element() : this.#value();
      if (value === undefined) break;
      const done = this.#place(value);
      if (done !== undefined) reply(done);
    }
    if (this.#from === this.#to) {
      this.#bytes = NOTHING;
      this.#from = this.#to = 0;
    } else if (this.#bytes === chunk) {
      this.#bytes = chunk.slice(this.#from, this.#to);
      this.#to -= this.#from;
      this.#from = 0;
    }
  }

  #append(chunk: Uint8Array): void {
    const rest = this.#to - this.#from;
    if (rest === 0) {
      this.#bytes = chunk;
      this.#from = 0;
      this.#to = chunk.length;
      return;
    }
    const size = rest + chunk.length;
    if (this.#to + chunk.length > this.#bytes.length) {
      // doubling keeps the copying of a large value in proportion to its size
      const room = new Uint8Array(Math.max(size, Math.min(this.#bulk + 2, size * 2)));
      room.set(this.#bytes.subarray(this.#from, this.#to));
      this.#bytes = room;
      this.#from = 0;
      this.#to = rest;
    }
    this.#bytes.set(chunk, this.#to);
    this.#to += chunk.length;
  }

  /** A reply as such, or as the last member of a list; `undefined` while the list is not complete. */
  #place(value: RespReply | Open): RespReply | undefined {
    let whole: RespReply;
    if (isOpen(value)) {
      if (value.left > 0) {
        if (this.#open.length >= MAX_DEPTH) throw broken("its lists are nested too deeply");
        this.#open.push(value);
        return undefined;
      }
      whole = value.items;
    } else whole = value;
    for (let list = this.#open.at(-1); list !== undefined; list = this.#open.at(-1)) {
      list.items.push(whole);
      if (--list.left > 0) return undefined;
      this.#open.pop();
      whole = list.items;
    }
    return whole;
  }

  /** What a line begins; `undefined` while it is not complete, or when a value follows. */
  #element(): RespReply | Open | undefined {
    const bytes = this.#bytes;
    const start = this.#from;
    if (start === this.#to) return undefined;
    const end = bytes.indexOf(CR, start);
    const line = end === -1 || end >= this.#to ? this.#to - start : end - start;
    if (line > MAX_LINE) throw broken("a line does not end");
    if (end === -1 || end + 1 >= this.#to) {
      if (!TYPES.includes(bytes[start]!)) throw broken("it begins with no type");
      return undefined;
    }
    if (bytes[end + 1] !== LF) throw broken("a line ends in the middle");
    this.#from = end + 2;
    switch (bytes[start]) {
      case 43: // +
        return text(bytes, start + 1, end);
      case 45: // -
        return new RespError(text(bytes, start + 1, end));
      case 58: // :
        return integer(bytes, start + 1, end);
      case 36: { // $
        const length = count(bytes, start + 1, end, MAX_BULK);
        if (length === -1) return null;
        this.#bulk = length;
        return this.#value();
      }
      case 42: { // *
        const length = count(bytes, start + 1, end, 2 ** 32);
        return length === -1 ? null : { items: [], left: length };
      }
      default:
        throw broken("it begins with no type");
    }
  }

  /** The value announced by the line before; `undefined` while it is not complete. */
  #value(): string | Uint8Array | undefined {
    const end = this.#from + this.#bulk;
    if (end + 2 > this.#to) return undefined;
    if (this.#bytes[end] !== CR || this.#bytes[end + 1] !== LF) {
      throw broken("a value is longer than announced");
    }
    const bytes = this.#bytes.subarray(this.#from, end);
    this.#from = end + 2;
    this.#bulk = -1;
    const value = DECODER.decode(bytes);
    // the mark of what could not be decoded; it may stand in a text itself
    return value.includes("\ufffd") && !isUtf8(bytes) ? bytes.slice() : value;
  }
}

const TYPES = [..."+-:$*"].map((type) => type.charCodeAt(0));

function isOpen(value: RespReply | Open): value is Open {
  return typeof value === "object" && value !== null && "left" in value;
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    STRICT.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function text(bytes: Uint8Array, from: number, to: number): string {
  return DECODER.decode(bytes.subarray(from, to));
}

function integer(bytes: Uint8Array, from: number, to: number): number | bigint {
  const negative = bytes[from] === MINUS;
  const first = negative ? from + 1 : from;
  if (first === to || to - first > 20) throw broken("a number is none");
  let value = 0;
  for (let at = first; at < to; at++) {
    const digit = bytes[at]! - 48;
    if (digit < 0 || digit > 9) throw broken("a number is none");
    value = value * 10 + digit;
  }
  if (value <= Number.MAX_SAFE_INTEGER) return negative ? -value : value;
  return BigInt(text(bytes, from, to));
}

function count(bytes: Uint8Array, from: number, to: number, most: number): number {
  const value = integer(bytes, from, to);
  if (typeof value === "number" && value >= -1 && value <= most) return value;
  throw broken(`it announces a length of ${value}`);
}

function broken(why: string): ProtocolError {
  return new ProtocolError(`The answer is not one of Redis: ${why}`, 715);
}
