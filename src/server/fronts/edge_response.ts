/**
 * Sends a `Response` on the `edge` front: over HTTP/1 with a head that is put together once, over HTTP/2
 * through its stream.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { type IncomingMessage, ServerResponse } from "node:http";
import type { OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Writable } from "node:stream";
import { splitChallenges } from "../../core/challenges.ts";
import { httpDate } from "../../core/http_date.ts";
import { isBodyless, reasonOf } from "../../core/status.ts";
import { EmptyChunks, isEmpty } from "../../core/empty_chunks.ts";
import { isNativeStream, peekBody, type PeekedBody } from "./body_peek.ts";
import type { EdgeContext } from "./edge_context.ts";

/** What `ServerResponse` keeps about the message, which its own `writeHead` sets from the headers. */
interface MessageState {
  _header: string | null;
  _contentLength: number | null;
  _last: boolean;
  chunkedEncoding: boolean;
}

/** How the end of a body is marked. */
type Framing = "none" | "length" | "stream";

/** A response over HTTP/1. Its head is composed from headers that `Headers` has checked already. */
export class EdgeResponse extends ServerResponse<IncomingMessage> {
  /** The exchange it belongs to. */
  exchange: EdgeContext | undefined;
  /** Close the connection after it. */
  isLast = false;
  #head = "";
  #framing: Framing = "none";
  #length: number | undefined;

  /** Status line and headers for a body of that framing; `length` where it is known from elsewhere. */
  prepare(res: Response, framing: Framing, length: number | undefined): void {
    const { status, statusText } = res;
    this.statusCode = status;
    this.#framing = framing;
    this.#length = length;
    let head = `HTTP/1.1 ${status} ${statusText === "" ? reasonOf(status) : statusText}\r\n`;
    let isDated = false;
    for (const [name, value] of res.headers) {
      switch (name) {
        case "connection":
          if (CLOSE.test(value)) this.isLast = true;
          continue;
        // Framing is this class's business.
        case "keep-alive":
        case "transfer-encoding":
        case "content-length":
          continue;
        case "www-authenticate":
          for (const challenge of splitChallenges(value)) head += `${name}: ${challenge}\r\n`;
          continue;
        case "date":
          isDated = true;
      }
      head += `${name}: ${value}\r\n`;
    }
    this.#head = isDated ? head : `${head}date: ${currentDate()}\r\n`;
  }

  /** Names the fields that will follow the body. To be called after {@link prepare}. */
  announce(fields: readonly (readonly [name: string, value: string])[]): void {
    this.#head += `trailer: ${[...new Set(fields.map(([name]) => name))].join(", ")}\r\n`;
  }

  /** Called by Node when the head is needed: with the first bytes of the body. */
  _implicitHeader(): void {
    const state = this as unknown as MessageState;
    const { httpVersionMinor } = this.req;
    let head = this.#head;
    let isLast = this.isLast || state._last || !this.shouldKeepAlive;
    const length = this.#framing === "length" ? state._contentLength : this.#length;
    if (length !== undefined && length !== null) {
      head += `content-length: ${length}\r\n`;
    } else if (this.#framing === "stream") {
      if (httpVersionMinor === 0) {
        isLast = true;
      } else {
        head += "transfer-encoding: chunked\r\n";
        state.chunkedEncoding = true;
      }
    }
    if (isLast) {
      head += "connection: close\r\n";
      state._last = true;
    } else if (httpVersionMinor === 0) {
      head += "connection: keep-alive\r\n";
    }
    state._header = `${head}\r\n`;
  }

  /** True when the head has bytes that UTF-8 would write in another way than headers are written. */
  get hasHighBytes(): boolean {
    // deno-lint-ignore no-control-regex -- everything but ASCII
    return /[^\x00-\x7f]/.test(this.#head);
  }

  /** Called by Node when everything was handed to the system. */
  override detachSocket(socket: Socket): void {
    super.detachSocket(socket);
    if (this.exchange !== undefined && (this as unknown as MessageState)._last) {
      this.exchange.connection.hasEnded = true;
    }
    this.exchange?.finish(true);
  }
}

const CLOSE = /(?:^|[\s,])close(?:$|[\s,])/i;

/**
 * Bodies above this are sent in pieces of it. Progress shows when a piece is out: a client is taken for
 * stalled that takes less than one in the request timeout.
 */
const PIECE_BYTES = 64 * 1024;

/** Sends a response over HTTP/1. Resolves when the last byte was handed to Node, or the client is gone. */
export function sendHttp1(
  out: EdgeResponse,
  res: Response,
  ctx: EdgeContext,
  isHead: boolean,
): Promise<void> | undefined {
  const content = peekBody(res);
  ctx.isSending = true;
  ctx.moved();
  if (ctx.trailers !== undefined && !isHead && !isBodyless(res.status) && ctx.sendsTrailers) {
    return sendWithTrailers(out, res, ctx, content);
  }
  if (isHead || content === null || isBodyless(res.status)) {
    // 205 has no body and yet needs a length: clients would wait for the end of the connection
    const isUnframed = isBodyless(res.status) && res.status !== 205;
    const framing = isHead || isUnframed ? "none" : "length";
    out.prepare(res, framing, isHead ? sizeForHead(res, content) : undefined);
    out.end();
    return content === undefined ? discard(res) : undefined;
  }
  if (typeof content === "string" && content.length <= PIECE_BYTES) {
    out.prepare(res, "length", undefined);
    out.end(out.hasHighBytes ? Buffer.from(content) : content);
    return undefined;
  }
  if (content instanceof Uint8Array && content.byteLength <= PIECE_BYTES) {
    out.prepare(res, "length", undefined);
    out.end(bufferOver(content));
    return undefined;
  }
  if (content !== undefined) {
    const bytes = typeof content === "string" ? Buffer.from(content) : bufferOver(content);
    out.prepare(res, "stream", bytes.byteLength);
    return writePieces(out, bytes, ctx);
  }
  const length = declaredLength(res.headers);
  out.prepare(res, "stream", length);
  return pump(out, () => out.flushHeaders(), res, ctx, length);
}

/** As {@link sendHttp1}, with fields after the body: they need a body in chunks, whatever is known of it. */
function sendWithTrailers(
  out: EdgeResponse,
  res: Response,
  ctx: EdgeContext,
  content: PeekedBody,
): Promise<void> {
  out.prepare(res, "stream", undefined);
  out.announce(ctx.trailers!);
  if (content === undefined) {
    return pump(out, () => out.flushHeaders(), res, ctx, declaredLength(res.headers));
  }
  return writePieces(out, bufferOf(content), ctx);
}

/** Sends a response over HTTP/2. As {@link sendHttp1}. */
export function sendHttp2(
  out: ServerHttp2Stream,
  res: Response,
  ctx: EdgeContext,
  isHead: boolean,
): Promise<void> | undefined {
  const content = peekBody(res);
  const headers = headersForHttp2(res);
  ctx.isSending = true;
  ctx.moved();
  const trailing = ctx.trailers !== undefined && !isHead && !isBodyless(res.status);
  const options = trailing ? TRAILING : undefined;
  if (trailing) {
    // Node's own listener would send the trailers of its response object, which has none.
    out.removeAllListeners("wantTrailers");
    out.once("wantTrailers", () => out.sendTrailers(trailersOf(ctx)));
  }
  if (!trailing && (isHead || content === null || isBodyless(res.status))) {
    if (isHead) setLength(headers, sizeForHead(res, content));
    else if (!isBodyless(res.status)) setLength(headers, 0);
    ctx.isGiven = true;
    out.respond(headers, { endStream: true });
    return content === undefined ? discard(res) : undefined;
  }
  if (content !== undefined) {
    const bytes = bufferOf(content);
    setLength(headers, bytes.byteLength);
    out.respond(headers, options);
    if (bytes.byteLength > PIECE_BYTES) return writePieces(out, bytes, ctx);
    ctx.isGiven = true;
    out.end(bytes);
    return undefined;
  }
  const length = declaredLength(res.headers);
  setLength(headers, length);
  return pump(out, () => out.respond(headers, options), res, ctx, length);
}

/** A response whose stream and whose declared length disagree. */
class LengthError extends Error {
  override readonly name = "LengthError";
}

/** Writes a stream as fast as the client takes it. Throws what the stream throws. */
async function pump(
  out: Writable,
  begin: () => void,
  res: Response,
  ctx: EdgeContext,
  length: number | undefined,
): Promise<void> {
  const source = res.body;
  if (source === null) throw new TypeError("The response has no body although it was a stream");
  const reader = source.getReader();
  ctx.source = reader;
  // Such a response may be made of the body that its client has not sent yet.
  if (ctx.body?.isTaken) ctx.askForBody();
  begin();
  const empties = new EmptyChunks();
  let sent = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (ctx.isOver) return;
    if (done) break;
    if (!((value as unknown) instanceof Uint8Array)) {
      throw new TypeError("A response stream gave something that is not a Uint8Array");
    }
    if (isEmpty(value)) {
      await empties.next();
      if (ctx.isOver) return;
      continue;
    }
    const left = length === undefined ? Infinity : length - sent;
    const isTooMuch = value.byteLength > left;
    // A file may grow while it is sent: what was announced is then still a whole answer.
    if (isTooMuch && !isNativeStream(source)) {
      throw new LengthError(`A response of ${length} bytes was given ${sent + value.byteLength}`);
    }
    const bytes = isTooMuch ? value.subarray(0, left) : value;
    sent += bytes.byteLength;
    for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) {
      await write(out, bufferOver(bytes.subarray(at, at + PIECE_BYTES)), ctx);
      if (ctx.isOver) return;
    }
    if (!isTooMuch) continue;
    await reader.cancel();
    break;
  }
  if (length !== undefined && sent < length) {
    throw new LengthError(`A response of ${length} bytes was given ${sent}`);
  }
  ctx.source = undefined;
  end(out, ctx);
}

async function writePieces(out: Writable, bytes: Uint8Array, ctx: EdgeContext): Promise<void> {
  for (let at = 0; at < bytes.byteLength && !ctx.isOver; at += PIECE_BYTES) {
    await write(out, bufferOver(bytes.subarray(at, at + PIECE_BYTES)), ctx);
  }
  if (!ctx.isOver) end(out, ctx);
}

/** Ends a body, with the fields that follow it over HTTP/1; HTTP/2 asks for them by itself. */
function end(out: Writable, ctx: EdgeContext): void {
  ctx.isGiven = true;
  if (out instanceof EdgeResponse && ctx.trailers !== undefined && ctx.sendsTrailers) {
    out.addTrailers(trailersOf(ctx) as Record<string, string>);
  }
  out.end();
}

const TRAILING = { waitForTrailers: true };

/** The fields that follow a body; several of one name are joined, as they would be by a proxy. */
function trailersOf(ctx: EdgeContext): OutgoingHttpHeaders {
  const fields: Record<string, string> = {};
  for (const [name, value] of ctx.trailers ?? []) {
    fields[name] = name in fields ? `${fields[name]}, ${value}` : value;
  }
  return fields;
}

/** Writes, and waits where the client is slower than the writer. */
function write(out: Writable, piece: Buffer, ctx: EdgeContext): Promise<void> | undefined {
  if (out.write(piece)) {
    ctx.moved();
    return undefined;
  }
  return new Promise((resolve) => {
    const done = () => {
      out.removeListener("drain", done);
      ctx.wake = undefined;
      ctx.moved();
      resolve();
    };
    ctx.wake = done;
    out.on("drain", done);
  });
}

async function discard(res: Response): Promise<void> {
  await res.body?.cancel();
}

/** Length that a HEAD response announces: what GET would send. */
function sizeForHead(res: Response, content: PeekedBody): number | undefined {
  const declared = declaredLength(res.headers);
  if (declared !== undefined) return declared;
  if (typeof content === "string") return Buffer.byteLength(content);
  return content?.byteLength;
}

function declaredLength(headers: Headers): number | undefined {
  const value = headers.get("content-length");
  return value !== null && /^\d+$/.test(value) ? Number(value) : undefined;
}

function headersForHttp2(res: Response): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = { ":status": res.status };
  for (const [name, value] of res.headers) {
    switch (name) {
      // HTTP/2 has no headers about the connection, and we know the length better.
      case "connection":
      case "keep-alive":
      case "proxy-connection":
      case "transfer-encoding":
      case "upgrade":
      case "content-length":
      case "set-cookie":
        continue;
      case "www-authenticate":
        headers[name] = splitChallenges(value);
        continue;
    }
    headers[name] = value;
  }
  const cookies = res.headers.getSetCookie();
  if (cookies.length > 0) headers["set-cookie"] = cookies;
  return headers;
}

function setLength(headers: OutgoingHttpHeaders, length: number | undefined): void {
  if (length !== undefined) headers["content-length"] = length;
}

/** A Node buffer with a body that is known. */
function bufferOf(content: string | Uint8Array | null): Buffer {
  if (content === null) return Buffer.alloc(0);
  return typeof content === "string" ? Buffer.from(content) : bufferOver(content);
}

/** A Node buffer over the same memory. */
function bufferOver(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

let dateText = "";
let dateSecond = 0;

function currentDate(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = httpDate(second * 1000);
  }
  return dateText;
}
