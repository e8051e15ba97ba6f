/**
 * Reads HTTP/1.0 and HTTP/1.1 responses from chunks of bytes, strictly: a client that guesses at a
 * malformed answer mistakes the rest of it for the answer to another request.
 *
 * @module
 */

import { concatBytes } from "../core/concat_bytes.ts";
import { ProtocolError } from "../core/errors.ts";

/** Limits of a parser. */
export interface Http1ParserLimits {
  /** Largest header block, interim responses and trailers included, in bytes. Default 64 KiB. */
  readonly maxHeaderBytes?: number;
}

/** Status line and headers of a final response. */
export interface Http1ResponseHead {
  /** Version of the answer. */
  readonly version: "1.0" | "1.1";
  /** Status code, 200 to 999. */
  readonly statusCode: number;
  /** Reason phrase, possibly empty. */
  readonly reason: string;
  /** Header names in lower case and values in turn, as sent. */
  readonly rawHeaders: readonly string[];
  /** Length of the body in bytes; -1 when only its end will tell. */
  readonly contentLength: number;
  /** Whether the server lets the connection be used again. */
  readonly keepAlive: boolean;
  /** Seconds the server says it keeps an idle connection; -1 when it does not say. */
  readonly keepAliveTimeout: number;
}

/** Takes body bytes. The view is only valid during the call. */
export type BodySink = (bytes: Uint8Array) => void;

type State =
  | "head"
  | "length"
  | "untilClose"
  | "chunkSize"
  | "chunkData"
  | "chunkEnd"
  | "trailer"
  | "done";

const CR = 13;
const LF = 10;
const MAX_CHUNK_LINE = 1024;
/** Most header fields; the time to make a `Headers` object of them grows with their square. */
const MAX_FIELDS = 2000;
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: (.*))?$/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// deno-lint-ignore no-control-regex -- exactly the bytes no header may hold
const FORBIDDEN = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/;
const CHUNK_LINE = /^([0-9a-fA-F]{1,12})[ \t]*(?:;.*)?$/;
const NOTHING = new Uint8Array(0);

/**
 * Parser of the responses of one connection, one after the other.
 *
 * Feed it with {@link push}; it takes bytes up to the end of the header block first, then of the body,
 * and tells how many it took. Every violation throws a `ProtocolError` with code 715 (700 for a body
 * that breaks off), after which the connection must be closed.
 *
 * @example
 * ```ts
 * import { Http1ResponseParser } from "./http1_response_parser.ts";
 * const parser = new Http1ResponseParser();
 * parser.start("GET");
 * const bytes = new TextEncoder().encode("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
 * const used = parser.push(bytes, () => {});
 * console.assert(parser.head?.statusCode === 200 && !parser.done);
 * parser.push(bytes.subarray(used), (body) => console.assert(body.length === 2));
 * console.assert(parser.done);
 * ```
 */
export class Http1ResponseParser {
  readonly #maxHeaderBytes: number;
  #state: State = "done";
  #method = "GET";
  #head: Http1ResponseHead | undefined;
  #partial: Uint8Array = NOTHING;
  #headerBytes = 0;
  #left = 0;
  #started = false;

  /** Makes a parser; call {@link start} before each response. */
  constructor(limits: Http1ParserLimits = {}) {
    this.#maxHeaderBytes = limits.maxHeaderBytes ?? 64 * 1024;
  }

  /** Gets ready for the response to a request of that method. */
  start(method: string): void {
    this.#state = "head";
    this.#method = method;
    this.#head = undefined;
    this.#partial = NOTHING;
    this.#headerBytes = 0;
    this.#started = false;
  }

  /** Head of the final response, once complete. */
  get head(): Http1ResponseHead | undefined {
    return this.#head;
  }

  /** True when the whole response has been taken. */
  get done(): boolean {
    return this.#state === "done";
  }

  /** True when at least one byte of a response has been taken since {@link start}. */
  get started(): boolean {
    return this.#started;
  }

  /**
   * Takes bytes and returns how many. It stops after the header block of the final response, so that a
   * caller can look at it before the body, and at the end of the response.
   */
  push(bytes: Uint8Array, sink: BodySink): number {
    if (bytes.length > 0 && this.#state !== "done") this.#started = true;
    if (this.#state === "head") return this.#pushHead(bytes);
    let at = 0;
    while (at < bytes.length && this.#state !== "done") {
      switch (this.#state) {
        case "untilClose":
          sink(at === 0 ? bytes : bytes.subarray(at));
          return bytes.length;
        case "length":
        case "chunkData": {
          const take = Math.min(this.#left, bytes.length - at);
          sink(bytes.subarray(at, at + take));
          at += take;
          this.#left -= take;
          if (this.#left === 0) this.#state = this.#state === "length" ? "done" : "chunkEnd";
          break;
        }
        default:
          at = this.#pushLine(bytes, at);
      }
    }
    return at;
  }

  /** Tells that the peer has closed: the end of a body without a length, an error anywhere else. */
  end(): void {
    if (this.#state === "untilClose") this.#state = "done";
    if (this.#state === "done") return;
    if (this.#state === "head") {
      if (!this.#started) {
        throw new ProtocolError("The backend closed the connection without an answer", 708);
      }
      throw bad("the connection was closed in the middle of the header");
    }
    throw new ProtocolError("The backend closed the connection in the middle of the body", 700);
  }

  /** Looks for the end of the header block; keeps what is incomplete. */
  #pushHead(bytes: Uint8Array): number {
    const kept = this.#partial.length;
    const all = kept === 0 ? bytes : concatBytes([this.#partial, bytes]);
    const end = endOfHead(all, Math.max(0, kept - 3));
    if (end === -1) {
      checkStart(all);
      checkLines(all, kept);
      if (this.#headerBytes + all.length > this.#maxHeaderBytes) throw this.#tooLarge();
      this.#partial = kept === 0 ? bytes.slice() : all;
      return bytes.length;
    }
    this.#partial = NOTHING;
    this.#headerBytes += end;
    if (this.#headerBytes > this.#maxHeaderBytes) throw this.#tooLarge();
    this.#readHead(latin1(all.subarray(0, end - 4)));
    const used = end - kept;
    // an interim response was skipped: the final one may follow in the same bytes
    if (this.#state === "head" && used < bytes.length) {
      return used + this.#pushHead(bytes.subarray(used));
    }
    return used;
  }

  #tooLarge(): ProtocolError {
    return bad(`its header is larger than ${this.#maxHeaderBytes} bytes`);
  }

  #readHead(text: string): void {
    let end = text.indexOf("\r\n");
    const first = end === -1 ? text : text.slice(0, end);
    if (FORBIDDEN.test(text)) throw bad("its header has control characters");
    const line = STATUS_LINE.exec(first);
    if (line === null) throw bad(`it starts with ${JSON.stringify(first.slice(0, 60))}`);
    const minor = line[1] === "1";
    const statusCode = Number(line[2]);
    const rawHeaders: string[] = [];
    let contentLength = -1;
    let chunked = false;
    let keepAlive = minor;
    let keepAliveTimeout = -1;
    while (end !== -1) {
      const from = end + 2;
      end = text.indexOf("\r\n", from);
      const field = end === -1 ? text.slice(from) : text.slice(from, end);
      const colon = field.indexOf(":");
      const raw = colon === -1 ? field : field.slice(0, colon);
      if (colon === -1 || !TOKEN.test(raw)) {
        throw bad(`it has the header line ${JSON.stringify(field.slice(0, 60))}`);
      }
      const name = raw.toLowerCase();
      const value = trimBlanks(field, colon + 1);
      if (value.includes("\r") || value.includes("\n")) {
        throw bad(`its header ${name} has a bare line break`);
      }
      if (rawHeaders.length === 2 * MAX_FIELDS) {
        throw bad(`its header has more than ${MAX_FIELDS} fields`);
      }
      rawHeaders.push(name, value);
      switch (name) {
        case "content-length": {
          const length = contentLengthOf(value);
          if (contentLength !== -1 && contentLength !== length) {
            throw bad("it has several Content-Length headers");
          }
          contentLength = length;
          break;
        }
        case "transfer-encoding":
          if (chunked || value.toLowerCase() !== "chunked") {
            throw bad(`it has Transfer-Encoding ${JSON.stringify(value)}`);
          }
          chunked = true;
          break;
        case "connection": {
          const tokens = value.toLowerCase();
          if (/(?:^|,)\s*close\s*(?:,|$)/.test(tokens)) keepAlive = false;
          else if (!minor && /(?:^|,)\s*keep-alive\s*(?:,|$)/.test(tokens)) keepAlive = true;
          break;
        }
        case "keep-alive": {
          const seconds = /(?:^|[,\s])timeout\s*=\s*"?(\d{1,9})/i.exec(value);
          if (seconds) keepAliveTimeout = Number(seconds[1]);
          break;
        }
      }
    }
    if (statusCode < 200) {
      if (statusCode === 101) throw bad("it switches protocols without having been asked");
      return;
    }
    if (chunked && contentLength !== -1) {
      throw bad("it has both Content-Length and Transfer-Encoding");
    }
    if (chunked && !minor) throw bad("it has Transfer-Encoding in HTTP/1.0");
    // some servers give an answer 205, which has no content, no length either
    const bodyless = this.#method === "HEAD" || statusCode === 204 || statusCode === 304 ||
      (statusCode === 205 && contentLength === -1 && !chunked);
    if (bodyless) this.#state = "done";
    else if (chunked) this.#state = "chunkSize";
    else if (contentLength === -1) this.#state = "untilClose";
    else this.#state = contentLength === 0 ? "done" : "length";
    this.#left = contentLength;
    this.#head = {
      version: minor ? "1.1" : "1.0",
      statusCode,
      reason: line[3] ?? "",
      rawHeaders,
      contentLength: bodyless ? 0 : contentLength,
      keepAlive: keepAlive && this.#state !== "untilClose",
      keepAliveTimeout,
    };
  }

  /** Takes one line of the chunked framing, which may be spread over several chunks of input. */
  #pushLine(bytes: Uint8Array, at: number): number {
    const lf = bytes.indexOf(LF, at);
    const stop = lf === -1 ? bytes.length : lf + 1;
    const size = this.#partial.length + stop - at;
    const limit = this.#state === "trailer"
      ? this.#maxHeaderBytes - this.#headerBytes
      : MAX_CHUNK_LINE;
    if (size > limit) throw bad("a line of its chunked body is too long");
    const line = this.#partial.length === 0
      ? bytes.subarray(at, stop)
      : concatBytes([this.#partial, bytes.subarray(at, stop)]);
    if (lf === -1) {
      this.#partial = line.slice();
      return stop;
    }
    this.#partial = NOTHING;
    if (line[line.length - 2] !== CR) throw bad("its chunked body has a bare line feed");
    this.#readLine(latin1(line.subarray(0, line.length - 2)));
    return stop;
  }

  #readLine(line: string): void {
    switch (this.#state) {
      case "chunkSize": {
        const size = CHUNK_LINE.exec(line);
        if (size === null) throw bad(`it has the chunk size ${JSON.stringify(line.slice(0, 40))}`);
        this.#left = Number.parseInt(size[1]!, 16);
        this.#state = this.#left === 0 ? "trailer" : "chunkData";
        break;
      }
      case "chunkEnd":
        if (line !== "") throw bad("a chunk is longer than its size");
        this.#state = "chunkSize";
        break;
      default:
        this.#headerBytes += line.length + 2;
        if (line === "") this.#state = "done";
        else if (!line.includes(":")) throw bad("it has a malformed trailer");
    }
  }
}

/** Pairs of a raw header list as a `Headers` object. */
export function toHeaders(raw: readonly string[]): Headers {
  const headers = new Headers();
  for (let i = 0; i < raw.length; i += 2) headers.append(raw[i]!, raw[i + 1]!);
  return headers;
}

/** Value of the first header of that name (lower case), or `undefined`. */
export function rawHeader(raw: readonly string[], name: string): string | undefined {
  for (let i = 0; i < raw.length; i += 2) if (raw[i] === name) return raw[i + 1];
  return undefined;
}

function bad(what: string): ProtocolError {
  return new ProtocolError(`The backend's answer is not HTTP/1: ${what}`, 715);
}

/** Fails as soon as the first bytes cannot become an HTTP answer, instead of waiting for more. */
function checkStart(bytes: Uint8Array): void {
  const start = "HTTP/1.";
  for (let i = 0; i < start.length && i < bytes.length; i++) {
    if (bytes[i] !== start.charCodeAt(i)) {
      throw bad(`it starts with ${JSON.stringify(latin1(bytes.subarray(0, 60)))}`);
    }
  }
}

/** Fails at a line that ends without CR: the empty line that ends a header may never come then. */
function checkLines(bytes: Uint8Array, from: number): void {
  for (let lf = bytes.indexOf(LF, from); lf !== -1; lf = bytes.indexOf(LF, lf + 1)) {
    if (lf === 0 || bytes[lf - 1] !== CR) throw bad("its header has a bare line feed");
  }
}

/** Index after the empty line that ends the header, or -1. */
function endOfHead(bytes: Uint8Array, from: number): number {
  for (let lf = bytes.indexOf(LF, from); lf !== -1; lf = bytes.indexOf(LF, lf + 1)) {
    if (lf >= 3 && bytes[lf - 1] === CR && bytes[lf - 2] === LF && bytes[lf - 3] === CR) {
      return lf + 1;
    }
  }
  return -1;
}

/** Text of header bytes, each byte one character. */
function latin1(bytes: Uint8Array): string {
  if (bytes.length <= 4096) return String.fromCharCode.apply(null, bytes as unknown as number[]);
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) text += latin1(bytes.subarray(i, i + 4096));
  return text;
}

/** The rest of a field from an index, without blanks around it. */
function trimBlanks(field: string, from: number): string {
  let end = field.length;
  while (from < end && isBlank(field.charCodeAt(from))) from++;
  while (end > from && isBlank(field.charCodeAt(end - 1))) end--;
  return field.slice(from, end);
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

/** Length in a Content-Length value; a list is accepted when all its members agree (RFC 9112, 6.3). */
function contentLengthOf(value: string): number {
  const parts = value.split(",");
  const text = parts[0]!.trim();
  if (!/^\d{1,15}$/.test(text) || parts.some((part) => part.trim() !== text)) {
    throw bad(`it has Content-Length ${JSON.stringify(value)}`);
  }
  return Number(text);
}
