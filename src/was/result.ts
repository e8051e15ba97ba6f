/**
 * What a backend answered, or why it did not.
 *
 * @module
 */

import { BackendError, ProtocolError } from "../core/errors.ts";
import type { Outcome, RequestStatus } from "../clients/contract.ts";
import { checkCaching, isKeepable, keep, KeptView, resultCache } from "./kept_outcome.ts";

/** What is known about a request before it is answered. */
export interface RequestFacts {
  /** Method, or for databases the operation. */
  readonly method: string;
  /** URL without credentials; for databases the alias. */
  readonly url: string;
  /** Whatever the caller gave as `meta`. */
  readonly meta?: Readonly<Record<string, unknown>>;
  /** Database server. */
  readonly server?: string;
  /** Database name. */
  readonly dbname?: string;
  /** Parameters of a statement. */
  readonly params?: unknown;
}

/** What a result needs to know to be kept. A future is one. */
export interface ResultOrigin {
  /** What the same request has in common; `undefined` when its result cannot be kept. */
  readonly cacheKey: string | undefined;
  /** Milliseconds since 1970 when the request was made. */
  readonly requestedAt: number;
}

const NO_META: Readonly<Record<string, unknown>> = Object.freeze({});
const ONLY_OK: readonly number[] = [200];
const UTF8 = new TextDecoder();

/**
 * The result of one request. Everything is decoded when it is first asked for.
 *
 * `status` tells whether there was an answer at all, `statusCode` what it was.
 */
export class Result<T = unknown> {
  readonly #outcome: Outcome;
  readonly #facts: RequestFacts;
  readonly #origin: ResultOrigin | undefined;
  #text: string | undefined;
  #data: { readonly value: T } | undefined;

  /** Wraps the outcome of a request. Without an origin it cannot be kept. */
  constructor(outcome: Outcome, facts: RequestFacts, origin?: ResultOrigin) {
    this.#outcome = outcome;
    this.#facts = facts;
    this.#origin = origin;
  }

  /**
   * Keeps the result in this worker: the same request gets it from there for that time, without asking
   * the backend. Nothing happens when the request failed, when its code is not listed, or when it came
   * from the cache itself. Streams, uploads and answers above 10 MB are not kept.
   *
   * @param seconds Default 60; 0 or less forgets what is kept.
   * @param cacheIf Status codes to keep. Default only 200.
   * @throws {RangeError} when `seconds` is not a number. @throws {TypeError} unless the codes are a
   * list.
   */
  cache(seconds = 60, cacheIf: readonly number[] = ONLY_OK): this {
    checkCaching(seconds, cacheIf);
    if (seconds <= 0) return this.expire();
    const outcome = this.#outcome;
    if (!cacheIf.includes(outcome.statusCode) || !isKeepable(outcome)) return this;
    const key = this.#origin?.cacheKey;
    if (key === undefined) return this;
    if (!(outcome instanceof KeptView)) {
      resultCache.put(key, keep(outcome), this.#origin!.requestedAt, seconds);
    } else if (outcome.sharedSince !== undefined) {
      // whoever asked first may have given up, or may not want it kept
      resultCache.put(key, outcome.kept, outcome.sharedSince, seconds);
    }
    return this;
  }

  /** Forgets what is kept of this request. */
  expire(): this {
    const key = this.#origin?.cacheKey;
    if (key !== undefined) resultCache.delete(key);
    return this;
  }

  /** True when it came out of the result cache. */
  get cached(): boolean {
    return this.#outcome instanceof KeptView;
  }

  /** -1 could not be sent, 1 timed out, 2 network or database failure, 3 answered. */
  get status(): RequestStatus {
    return this.#outcome.status;
  }

  /** HTTP code, 200 or 500 for databases, 700 and above for network failures. */
  get statusCode(): number {
    return this.#outcome.statusCode;
  }

  /** Same as {@link statusCode}. @deprecated Use `statusCode`. */
  get code(): number {
    return this.#outcome.statusCode;
  }

  /** Same as {@link statusCode}, for templates. */
  get status_code(): number {
    return this.#outcome.statusCode;
  }

  /** Reason phrase. */
  get reason(): string {
    return this.#outcome.reason;
  }

  /** Response headers; empty for databases and failures. */
  get headers(): Headers {
    return this.#outcome.headers;
  }

  /** Body bytes with any compression undone; `null` when the request failed. */
  get content(): Uint8Array | null {
    this.#assertBuffered();
    return this.#outcome.content;
  }

  /** Body as text in the charset of its type, UTF-8 by default; `""` when there is none. */
  get text(): string {
    return this.#text ??= this.#decodeText();
  }

  /**
   * Body as its type suggests: the parsed value for JSON and for databases, text for `text/*`, XML and
   * forms, bytes for anything else; the empty text or no bytes for an empty body; `null` when the
   * request failed.
   *
   * @throws {ProtocolError} 701 when the answer calls itself JSON and is not.
   */
  get data(): T {
    return (this.#data ??= { value: this.#decodeData() as T }).value;
  }

  /**
   * Body parsed as JSON whatever its type.
   *
   * @throws {ProtocolError} 701 when it is not JSON. @throws the stored error when the request failed.
   */
  json<J = T>(): J {
    const { status, error } = this.#outcome;
    if (status !== 3 && error !== undefined) throw error;
    if (this.#outcome.data !== undefined) return this.#outcome.data as J;
    try {
      return JSON.parse(this.text) as J;
    } catch (cause) {
      throw new ProtocolError(`The answer of ${this.#label()} is not JSON`, 701, { cause });
    }
  }

  /**
   * Body as a stream. With the option `stream` it is the body as it arrives and can be read once;
   * otherwise each call streams the bytes at hand.
   */
  get raw(): ReadableStream<Uint8Array> {
    const { body, content } = this.#outcome;
    return body ?? ReadableStream.from(content?.length ? [content] : []);
  }

  /** Final URL, without credentials. */
  get url(): string {
    const { url } = this.#outcome;
    return url === undefined ? this.#facts.url : withoutUser(url);
  }

  /** Method. */
  get method(): string {
    return this.#facts.method;
  }

  /** HTTP version of the answer; `""` when there was none. */
  get version(): string {
    return this.#outcome.version ?? "";
  }

  /** What the caller gave as `meta`. */
  get meta(): Readonly<Record<string, unknown>> {
    return this.#facts.meta ?? NO_META;
  }

  /** Earlier answers of a redirect chain, oldest first. */
  get history(): readonly Result[] {
    return (this.#outcome.history ?? []).map((outcome) => new Result(outcome, this.#facts));
  }

  /** Charset the text is decoded with. */
  get encoding(): string {
    return charsetOf(headerIn(this.#outcome, "content-type")) ?? "utf-8";
  }

  /** Member that answered or failed; `""` when none was asked. */
  get node(): string {
    return this.#outcome.node ?? "";
  }

  /** Database server. */
  get server(): string | undefined {
    return this.#facts.server ?? this.#outcome.node;
  }

  /** Database name. */
  get dbname(): string | undefined {
    return this.#facts.dbname;
  }

  /** Parameters of the statement. */
  get params(): unknown {
    return this.#facts.params;
  }

  /** Why it failed, when `status` is not 3. */
  get error(): Error | undefined {
    return this.#outcome.error;
  }

  /** True for status 3 with a code below 300. */
  get succeeded(): boolean {
    return this.status === 3 && this.statusCode < 300;
  }

  /** One header, several of the same name joined by commas; the default when it is missing. */
  getHeader(name: string): string | undefined;
  /** As above, with a default. */
  getHeader<D>(name: string, fallback: D): string | D;
  getHeader(name: string, fallback?: unknown): unknown {
    return this.#outcome.headers.get(name) ?? fallback;
  }

  /** Values of a header that may be repeated, in the order sent. */
  getHeaderList(name: string): string[] {
    const wanted = name.toLowerCase();
    const raw = this.#outcome.rawHeaders;
    if (raw === undefined) {
      const value = this.#outcome.headers.get(wanted);
      return value === null ? [] : [value];
    }
    const values: string[] = [];
    for (let i = 0; i < raw.length; i += 2) if (raw[i] === wanted) values.push(raw[i + 1]!);
    return values;
  }

  /** A header split into its value and parameters: `["text/html", { charset: "utf-8" }]`. */
  getHeaderWithAttr(name: string): [value: string, attributes: Record<string, string>] {
    return splitParameters(this.#outcome.headers.get(name) ?? "");
  }

  /**
   * Returns itself when it succeeded.
   *
   * @throws the stored error when the request failed, a `BackendError` with the code when the answer
   * is 300 or above.
   */
  reraise(): this {
    if (this.succeeded) return this;
    throw this.error ??
      new BackendError(
        `${this.#label()} answered ${this.statusCode} ${this.reason}`,
        this.statusCode,
        {
          code: `HTTP_${this.statusCode}`,
          member: this.#outcome.node,
        },
      );
  }

  /** Same as {@link reraise}. */
  raiseForStatus(): this {
    return this.reraise();
  }

  /** Same as {@link reraise}, for templates. */
  raise_for_status(): this {
    return this.reraise();
  }

  /** Same as {@link getHeader}, for templates. */
  get_header(name: string, fallback?: unknown): unknown {
    return this.#outcome.headers.get(name) ?? fallback;
  }

  #label(): string {
    return `${this.#facts.method} ${this.url}`;
  }

  #assertBuffered(): void {
    if (this.#outcome.body !== undefined) {
      throw new TypeError(
        `Cannot read the body of ${this.#label()} at once: it was requested as a stream, read raw`,
      );
    }
  }

  #decodeText(): string {
    const { content } = this;
    if (content === null || content.length === 0) return "";
    const { encoding } = this;
    return encoding === "utf-8" ? UTF8.decode(content) : new TextDecoder(encoding).decode(content);
  }

  #decodeData(): unknown {
    const outcome = this.#outcome;
    if (outcome.data !== undefined) return outcome.data;
    if (outcome.status !== 3) return null;
    const { content } = this;
    if (content === null) return null;
    const type = mediaTypeOf(headerIn(outcome, "content-type"));
    const json = type === "application/json" || type.endsWith("+json");
    const text = type.startsWith("text/") || type === "application/xml" || type.endsWith("+xml") ||
      type === "application/x-www-form-urlencoded" || type === "application/javascript";
    if (content.length === 0) return json || text ? "" : content;
    return json ? this.json() : text ? this.text : content;
  }
}

/** A header, several of the same name joined, out of the list where there is one: a `Headers` costs more. */
function headerIn({ headers, rawHeaders }: Outcome, name: string): string | null {
  if (rawHeaders === undefined) return headers.get(name);
  let value: string | null = null;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i] === name) {
      value = value === null ? rawHeaders[i + 1]! : `${value}, ${rawHeaders[i + 1]}`;
    }
  }
  return value;
}

function mediaTypeOf(contentType: string | null): string {
  if (contentType === null) return "";
  const end = contentType.indexOf(";");
  return (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

/** Charset of a content type, if it names one that can be decoded. */
function charsetOf(contentType: string | null): string | undefined {
  if (contentType === null || !contentType.includes(";")) return undefined;
  const { charset } = splitParameters(contentType)[1];
  if (charset === undefined) return undefined;
  try {
    return new TextDecoder(charset).encoding;
  } catch (error) {
    // a label nobody knows: text is more useful in UTF-8 than not at all
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

const PARAMETER = /;\s*([^\s=;]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)/g;

function splitParameters(header: string): [string, Record<string, string>] {
  const end = header.indexOf(";");
  const attributes: Record<string, string> = Object.create(null);
  if (end === -1) return [header.trim(), attributes];
  for (const [, name, value] of header.slice(end).matchAll(PARAMETER)) {
    attributes[name!.toLowerCase()] = value!.startsWith('"')
      ? value!.slice(1, -1).replace(/\\(.)/g, "$1")
      : value!.trim();
  }
  return [header.slice(0, end).trim(), attributes];
}

/** A URL without user and password. */
export function withoutUser(url: string): string {
  return url.includes("@") ? url.replace(/^([a-z]+:\/\/)[^/?#]*@/i, "$1") : url;
}
