/**
 * The body of a `Response` as it was given: its size for the log, its bytes for compression and for
 * the edge front, without reading it as a stream.
 *
 * The platform offers no such thing, and reading every body through a stream costs about half of
 * the throughput. So a server process replaces the global `Response` once by a constructor that
 * remembers what it was called with. Everything else about the class stays: prototype, statics,
 * subclassing, `instanceof` in both directions.
 *
 * @module
 */

import { nodeBuffer } from "./node_builtins.ts";
import { easyJson, jsonText } from "./json_text.ts";

/**
 * Content that many responses share, such as a small file kept in memory. It never changes, so what
 * is derived from it (compressed forms) may be kept as long as the object lives.
 */
export class SharedBody {
  /** The content. Pure ASCII is best given as text, which the runtime sends faster than bytes. */
  readonly content: string | Uint8Array;
  /** Its size in bytes. */
  readonly size: number;
  /** True for content that gains nothing by compression, which then need not look at the response. */
  readonly isIncompressible: boolean;

  /** Wraps content that must not be changed from now on. */
  constructor(content: string | Uint8Array, isIncompressible = false) {
    this.content = content;
    this.isIncompressible = isIncompressible;
    this.size = typeof content === "string" ? nodeBuffer().byteLength(content) : content.byteLength;
  }
}

/** Text or bytes where the body is static and known, otherwise only its size in bytes. */
type KnownBody = string | Uint8Array | number | SharedBody;

/**
 * Where a response keeps its known body. A property, not a `WeakMap`: filling one for every
 * response makes the collector of young objects several times as busy, which costs a third of the
 * throughput.
 */
const BODY: unique symbol = Symbol("body");

interface Known {
  [BODY]?: KnownBody;
}

/**
 * Byte bodies above this are remembered by their size only, so that no large copy is made for
 * nothing.
 */
const MAX_COPIED_BYTES = 1024 * 1024;

const JSON_INIT: ResponseInit = { headers: { "content-type": "application/json" } };

const Native = globalThis.Response;

/** Where the runtime keeps a text body of which no stream has been made yet. */
const LAZY = Object.getOwnPropertySymbols(new Native("x"))
  .find(({ description }) => description === "lazy static body");
let installed = false;

/**
 * Replaces `globalThis.Response` in this isolate by one that remembers string, byte and Blob
 * bodies. Meant for server processes, before any app is loaded; a second call does nothing.
 * Responses that were made by a class captured earlier, or by `fetch`, simply stay unknown.
 */
export function installBodyMeter(): void {
  if (installed) return;
  installed = true;

  function Response(body?: BodyInit | null, init?: ResponseInit): globalThis.Response {
    if (new.target === undefined) {
      throw new TypeError("Class constructor Response cannot be invoked without 'new'");
    }
    const res: globalThis.Response = (new.target as unknown) === Metered
      ? new Native(body, init)
      : Reflect.construct(Native, [body, init], new.target);
    if (typeof body === "string") (res as Known)[BODY] = body;
    else if (typeof body === "object" && body !== null) remember(res, body);
    return res;
  }
  const Metered = Response as unknown as typeof globalThis.Response;

  // A real class is not enumerable in its prototype and reports no parameters.
  Object.defineProperty(Response, "length", { value: Native.length, configurable: true });
  Object.defineProperty(Response, "prototype", { value: Native.prototype, writable: false });
  Object.defineProperty(Response, "json", {
    value: json,
    writable: true,
    enumerable: true,
    configurable: true,
  });
  Object.setPrototypeOf(Response, Native);
  Native.prototype.constructor = Metered;
  Object.defineProperty(globalThis, "Response", {
    value: Metered,
    writable: true,
    enumerable: false,
    configurable: true,
  });
}

/**
 * Makes a JSON response of status 200. The runtime's own `Response.json` is the way it sends fastest; where
 * the text cannot be taken from what it made, the response is made of the text.
 *
 * @throws {TypeError} for data that is not serialisable.
 */
export function jsonResponse(data: unknown): Response {
  if (LAZY !== undefined) {
    const res = Native.json(easyJson(data));
    const text = (res as unknown as Record<symbol, unknown>)[LAZY];
    if (typeof text === "string") {
      (res as Known)[BODY] = text;
      return res;
    }
  }
  const text = jsonText(data);
  if (text === undefined) throw new TypeError("Value is not JSON serializable");
  return knownResponse(text, JSON_INIT);
}

/** `Response.json` that makes the size of the text known. */
function json(data: unknown, init?: ResponseInit): Response {
  if (init === undefined || init === null) return jsonResponse(data);
  const text = jsonText(data);
  if (text === undefined) throw new TypeError("Value is not JSON serializable");
  let headers = init.headers;
  if (headers === undefined) {
    headers = JSON_INIT.headers;
  } else {
    const copy = new Headers(headers);
    if (!copy.has("content-type")) copy.set("content-type", "application/json");
    headers = copy;
  }
  // Not a spread: the init may be an object with getters, such as another Response.
  return knownResponse(text, { status: init.status, statusText: init.statusText, headers });
}

function remember(res: Response, body: object): void {
  if (body instanceof Uint8Array) rememberBytes(res, body);
  else if (body instanceof Blob) (res as Known)[BODY] = body.size;
  else if (body instanceof URLSearchParams) (res as Known)[BODY] = body.toString();
  else if (body instanceof ArrayBuffer) rememberBytes(res, new Uint8Array(body));
  else if (ArrayBuffer.isView(body)) {
    rememberBytes(res, new Uint8Array(body.buffer, body.byteOffset, body.byteLength));
  }
}

/**
 * The response holds a copy of its own, and the caller may reuse the buffer: so ours is a copy too.
 */
function rememberBytes(res: Response, bytes: Uint8Array): void {
  (res as Known)[BODY] = bytes.byteLength <= MAX_COPIED_BYTES ? bytes.slice() : bytes.byteLength;
}

/**
 * Makes a response whose body is known whether or not the meter is installed, without copying bytes
 * for the record: they must never change afterwards.
 */
export function knownResponse(body: string | Uint8Array, init: ResponseInit): Response {
  const res = new Native(body as BodyInit, init);
  (res as Known)[BODY] = body;
  return res;
}

/** Makes a response with shared content; nothing is copied for the record. */
export function sharedResponse(body: SharedBody, init: ResponseInit): Response {
  const res = new Native(body.content as BodyInit, init);
  (res as Known)[BODY] = body;
  return res;
}

/** Texts up to this length are looked through here, which takes less than calling the runtime. */
const SHORT = 64;

/** The text that was measured last: several layers ask for the size of the same body. */
let lastText = "";
let lastBytes = 0;

function byteLength(text: string): number {
  const { length } = text;
  if (length > SHORT) {
    if (text !== lastText) {
      lastBytes = nodeBuffer().byteLength(text);
      lastText = text;
    }
    return lastBytes;
  }
  for (let at = 0; at < length; at++) {
    if (text.charCodeAt(at) > 0x7f) return nodeBuffer().byteLength(text);
  }
  return length;
}

/** Records how many bytes the stream in a response will give. */
export function declareBodySize(res: Response, bytes: number): Response {
  (res as Known)[BODY] = bytes;
  return res;
}

/**
 * Whether somebody has read the body. The runtime's own `bodyUsed` makes a stream of a text body first,
 * which costs a third of the throughput; where its symbol is not found, that is what answers.
 */
function isRead(res: Response): boolean {
  if (LAZY !== undefined) {
    const text = (res as unknown as Record<symbol, unknown>)[LAZY];
    if (typeof text === "string") return false;
  }
  return res.bodyUsed;
}

/** The shared content a response was made with, when nobody has read it. */
export function sharedBodyOf(res: Response): SharedBody | undefined {
  const known = (res as Known)[BODY];
  return known instanceof SharedBody && !isRead(res) ? known : undefined;
}

/** Whether the content of a response is known to gain nothing by compression. */
export function isIncompressible(res: Response): boolean {
  const known = (res as Known)[BODY];
  return known instanceof SharedBody && known.isIncompressible;
}

/** True for a response that is known to have been made of text. */
export function hasTextBody(res: Response): boolean {
  return typeof (res as Known)[BODY] === "string";
}

/**
 * Text or bytes of the body, when it was given as such and nobody has read it. The bytes must not
 * be changed. `undefined` for streams, Blobs, forms, and byte bodies above 1 MiB.
 */
export function staticBodyOf(res: Response): string | Uint8Array | undefined {
  const known = (res as Known)[BODY];
  if (known === undefined || typeof known === "number" || isRead(res)) return undefined;
  return known instanceof SharedBody ? known.content : known;
}

/**
 * Size of the body in bytes as it will be sent: of the body given, else what `Content-Length` says,
 * 0 without a body, `undefined` for streams of unknown length.
 */
export function bodySizeOf(res: Response): number | undefined {
  const known = (res as Known)[BODY];
  if (known !== undefined) {
    if (typeof known === "string") return byteLength(known);
    if (typeof known === "number") return known;
    return known instanceof SharedBody ? known.size : known.byteLength;
  }
  const length = res.headers.get("content-length");
  if (length !== null && /^\d+$/.test(length)) return Number(length);
  return res.body === null ? 0 : undefined;
}
