/**
 * What the HTTP client is asked to send, and how it looks on the wire.
 *
 * @module
 */

import { SOFTWARE } from "../../core/version.ts";
import type { Target } from "../../net/target.ts";

/** A body that is produced while it is sent. */
export interface StreamBody {
  /** Length in bytes; -1 when unknown, then it is sent chunked. */
  readonly length: number;
  /** Whether {@link chunks} may be called again, for a redirect or after a challenge. */
  readonly replayable: boolean;
  /** The bytes. */
  chunks(): AsyncIterable<Uint8Array>;
}

/** One request, complete but for what the connection adds. */
export interface HttpRequest {
  /** Method in upper case. */
  readonly method: string;
  /** Absolute URL. */
  readonly url: string;
  /** Header names in lower case and values in turn. */
  readonly headers: readonly string[];
  /** Body; `null` for none at all, an empty array for one of length 0. */
  readonly body: Uint8Array | StreamBody | null;
  /** User and password, used when the server asks; or a bearer token alone, sent at once. */
  readonly auth?: readonly [string, string?];
  /** Connections with the same key are shared. Default: scheme, host and port of the URL. */
  readonly poolKey?: string;
  /** What results and messages call the peer. Default: host and port. */
  readonly node?: string;
  /** Certificates to trust besides the system's, PEM. */
  readonly caCerts?: readonly string[];
  /** Largest response body in bytes, before and after decompression. Default 64 MiB. */
  readonly maxBytes?: number;
  /** Most redirects to follow. Default 5; 0 for none. */
  readonly maxRedirects?: number;
  /** Hand the body over as a stream as soon as the header has arrived. Default false. */
  readonly stream?: boolean;
}

/** Whether sending it twice has the effect of sending it once (RFC 9110, 9.2.2). */
export function isIdempotent(method: string): boolean {
  return method === "GET" || method === "HEAD" || method === "OPTIONS" || method === "PUT" ||
    method === "DELETE";
}

/** True for a body that can be sent a second time. */
export function isReplayable(body: HttpRequest["body"]): boolean {
  return body === null || body instanceof Uint8Array || body.replayable;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const BAD_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const OURS = new Set([
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "upgrade",
  "te",
  "trailer",
  "expect",
]);

/** Makes sure that a value cannot end its header. @throws {TypeError} that does not show it. */
export function checkHeaderValue(name: string, value: string): void {
  if (!BAD_VALUE.test(value)) return;
  throw new TypeError(`Cannot send header ${name}: its value has forbidden characters`);
}

/**
 * Headers in the form of {@link HttpRequest}.
 *
 * @throws {TypeError} for names and values that would break the framing, and for headers the client
 * sets itself.
 */
export function flattenHeaders(
  init: HeadersInit | Readonly<Record<string, string>> | undefined,
): string[] {
  if (init === undefined) return [];
  if (typeof init !== "object" || init === null) {
    throw new TypeError(`Cannot send headers: expected pairs or a record, not a ${typeof init}`);
  }
  const pairs = Array.isArray(init) || init instanceof Headers ? init : Object.entries(init);
  const flat: string[] = [];
  for (const pair of pairs as Iterable<unknown>) {
    if (!Array.isArray(pair) || pair.length !== 2) {
      throw new TypeError("Cannot send headers: one of them is no pair of name and value");
    }
    const [given, raw] = pair;
    const name = String(given).toLowerCase();
    if (!TOKEN.test(name)) {
      throw new TypeError(`Cannot send a header named ${JSON.stringify(given)}`);
    }
    if (raw === undefined || raw === null) {
      throw new TypeError(`Cannot send header ${name}: it has no value`);
    }
    const value = String(raw).trim();
    checkHeaderValue(name, value);
    if (OURS.has(name)) {
      throw new TypeError(`Cannot send header ${name}: the client sets it itself`);
    }
    flat.push(name, value);
  }
  return flat;
}

/** Request line and headers, up to and with the empty line. */
export function serializeHead(
  request: HttpRequest,
  target: Target,
  authorization: string | undefined,
): string {
  let head = `${request.method} ${target.path} HTTP/1.1\r\n`;
  let host = false;
  let agent = false;
  let encoding = false;
  let fields = "";
  const { headers } = request;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (name === "host") host = true;
    else if (name === "user-agent") agent = true;
    else if (name === "accept-encoding") encoding = true;
    else if (name === "authorization" && authorization !== undefined) continue;
    fields += `${name}: ${headers[i + 1]}\r\n`;
  }
  if (!host) head += `host: ${target.authority}\r\n`;
  head += fields;
  if (!agent) head += `user-agent: ${SOFTWARE}\r\n`;
  if (!encoding && !request.stream) head += "accept-encoding: gzip, deflate, br\r\n";
  if (authorization !== undefined) head += `authorization: ${authorization}\r\n`;
  const { body } = request;
  if (body !== null) {
    head += body.length === -1
      ? "transfer-encoding: chunked\r\n"
      : `content-length: ${body.length}\r\n`;
  }
  return `${head}\r\n`;
}

const ENCODER = new TextEncoder();

/** The bytes of a stream body as they go on the wire, with the promised length enforced. */
export async function* framed(body: StreamBody): AsyncIterable<Uint8Array> {
  let sent = 0;
  for await (const part of body.chunks()) {
    if (!(part instanceof Uint8Array)) {
      throw new TypeError(`a part of it is a ${typeof part}, expected bytes`);
    }
    if (part.length === 0) continue;
    sent += part.length;
    if (body.length === -1) {
      yield ENCODER.encode(`${part.length.toString(16)}\r\n`);
      yield part;
      yield ENCODER.encode("\r\n");
    } else if (sent > body.length) {
      throw new TypeError(`The request body is longer than the ${body.length} bytes announced`);
    } else yield part;
  }
  if (body.length === -1) yield ENCODER.encode("0\r\n\r\n");
  else if (sent < body.length) {
    throw new TypeError(`The request body has ${sent} bytes, ${body.length} were announced`);
  }
}
