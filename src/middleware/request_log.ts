/**
 * The request log: one line for each answered request.
 *
 * @module
 */

import { bodySizeOf, staticBodyOf } from "../core/body_size.ts";
import { headerOf, type RequestContext } from "../core/context.ts";
import { deriveRequest } from "../core/derive_request.ts";
import { ConfigError } from "../core/errors.ts";
import { type Handler, isThenable, type Layer } from "../core/handler.ts";
import { isBodyless } from "../core/status.ts";
import type { LineSink } from "../store/logs_batch.ts";
import { formatRequestLine, type RequestFacts } from "../wire/request_line.ts";

/** Options of {@link requestLog}. */
export interface RequestLogOptions {
  /** Where lines go. Default: nowhere. */
  readonly log?: LineSink;
  /**
   * Requests that are not logged: `"/static/"` those whose path starts with it (a trailing `*` changes
   * nothing), `"*.css"` those whose path ends with `.css`. The path `/` is always logged. Default: none.
   */
  readonly off?: readonly string[];
  /** Open connections of this worker, to clients and to backends; told `performance.now()`. */
  readonly connections: (now: number) => number;
  /** Counts the bytes of bodies, whether the request is logged or not. Default: nobody. */
  readonly counters?: ByteCounters;
}

/** Where the sizes of bodies are added up. */
export interface ByteCounters {
  /** Adds bytes of a request body. */
  received(bytes: number): void;
  /** Adds bytes of a response body. */
  sent(bytes: number): void;
}

/**
 * A static body up to this size goes to the socket whole and at once. Its line is written right away
 * with a sending time of 0: learning of the completion of every small answer would cost more than the
 * rest of the line.
 */
const SENT_AT_ONCE_BYTES = 64 * 1024;

/**
 * Layer that writes a line for each request, see `wire/request_line`. It belongs outside all others, so
 * that the line has the status and the size that the client gets.
 *
 * The line is written when the response has been sent: for small static bodies that is at once, for
 * streams when they end or the client goes away. The bytes of a stream of unknown size are counted; for
 * all other responses it is the size of the body, also when the client broke off.
 *
 * With neither a log nor counters the layer is not there at all.
 *
 * @throws {ConfigError} for a pattern that could never match.
 */
export function requestLog(options: RequestLogOptions): Layer {
  const { log, counters } = options;
  const recorder = new Recorder(options);
  if (log === undefined && counters === undefined) return (next) => next;
  return (next: Handler): Handler => {
    // Apart, so that those who answer at once do not carry what only these need.
    function settle(
      pending: Promise<Response>,
      req: Request,
      ctx: RequestContext,
      startedAt: number | undefined,
      body: BodyCount | undefined,
    ): Promise<Response> {
      return pending.then((res) => recorder.answered(req, ctx, res, startedAt, body), (error) => {
        recorder.failed(req, ctx, startedAt, body);
        throw error;
      });
    }
    return function requestLog(req, ctx) {
      const startedAt = recorder.isLogged(ctx) ? performance.now() : undefined;
      let request = req;
      let body: BodyCount | undefined;
      if (hasBodyOfUnknownSize(req, ctx)) {
        body = new BodyCount();
        request = countRequestBody(req, body);
      }
      let result: Response | Promise<Response>;
      try {
        result = next(request, ctx);
      } catch (error) {
        recorder.failed(req, ctx, startedAt, body);
        throw error;
      }
      return isThenable(result)
        ? settle(result, req, ctx, startedAt, body)
        : recorder.answered(req, ctx, result, startedAt, body);
    };
  };
}

/**
 * Makes the test for paths that are not logged.
 *
 * @throws {ConfigError} for a pattern that is neither a prefix nor a suffix.
 */
export function compileLogOff(patterns: readonly string[]): (path: string) => boolean {
  const prefixes: string[] = [];
  const suffixes: string[] = [];
  for (const pattern of patterns) {
    const isSuffix = pattern.startsWith("*");
    const text = isSuffix ? pattern.slice(1) : pattern.replace(/\*$/, "");
    if (text.includes("*") || (!isSuffix && !text.startsWith("/"))) {
      throw new ConfigError(
        `logOff(${JSON.stringify(pattern)})`,
        'expected the beginning of a path such as "/static/" or an ending such as "*.css"',
      );
    }
    (isSuffix ? suffixes : prefixes).push(text);
  }
  if (prefixes.length + suffixes.length === 0) return () => false;
  return (path) =>
    path !== "/" && (prefixes.some((prefix) => path.startsWith(prefix)) ||
      suffixes.some((suffix) => path.endsWith(suffix)));
}

/** Bytes of a body that is passed on, as far as it has been read. */
class BodyCount {
  bytes = 0;
}

class Recorder {
  #log: LineSink | undefined;
  #counters: ByteCounters | undefined;
  #connections: (now: number) => number;
  #isOff: (path: string) => boolean;

  constructor({ log, off = [], connections, counters }: RequestLogOptions) {
    this.#log = log;
    this.#counters = counters;
    this.#connections = connections;
    this.#isOff = compileLogOff(off);
  }

  /** Whether the request gets a line. */
  isLogged(ctx: RequestContext): boolean {
    return this.#log !== undefined && !this.#isOff(ctx.path);
  }

  /** A response is there. Returns it, or one that counts while it is read. */
  answered(
    req: Request,
    ctx: RequestContext,
    res: Response,
    startedAt: number | undefined,
    body: BodyCount | undefined,
  ): Response {
    const { status } = res;
    const size = isBodyless(status) || req.method === "HEAD" ? 0 : bodySizeOf(res);
    if (startedAt === undefined) {
      if (this.#counters === undefined) return res;
      const declared = declaredBytes(req, ctx);
      if (size !== undefined && body === undefined) {
        this.#count(declared, size);
        return res;
      }
      const count = (bytes: number) => this.#count(body?.bytes ?? declared, bytes);
      if (size === undefined) return countResponseBody(res, ctx, count);
      ctx.completion.then(() => count(size));
      return res;
    }
    const entry = new Entry(req, ctx, status, startedAt, body);
    if (size === undefined) {
      return countResponseBody(res, ctx, (bytes) => this.#finish(entry, bytes));
    }
    if (size === 0 || (size <= SENT_AT_ONCE_BYTES && staticBodyOf(res) !== undefined)) {
      this.#finish(entry, size, entry.answeredAt);
    } else {
      ctx.completion.then(() => this.#finish(entry, size));
    }
    return res;
  }

  /** The handler threw, so that the front answers for it. */
  failed(
    req: Request,
    ctx: RequestContext,
    startedAt: number | undefined,
    body: BodyCount | undefined,
  ): void {
    if (startedAt === undefined) {
      this.#count(body?.bytes ?? declaredBytes(req, ctx), 0);
      return;
    }
    const entry = new Entry(req, ctx, 500, startedAt, body);
    this.#finish(entry, 0, entry.answeredAt);
  }

  #count(received: number, sent: number): void {
    if (this.#counters === undefined) return;
    if (received > 0) this.#counters.received(received);
    if (sent > 0) this.#counters.sent(sent);
  }

  #finish(entry: Entry, responseBytes: number, sentAt: number = performance.now()): void {
    if (entry.body !== undefined) entry.requestBytes = entry.body.bytes;
    this.#count(entry.requestBytes, responseBytes);
    entry.time = wallTime(sentAt);
    entry.responseBytes = responseBytes;
    entry.connections = this.#connections(sentAt);
    entry.sendingMs = Math.floor(sentAt - entry.answeredAt);
    this.#log?.write(formatRequestLine(entry));
  }
}

/**
 * The line in the making. Everything is read while the request is there: once the response has been
 * sent, the runtime may have let go of its headers.
 */
class Entry implements RequestFacts {
  readonly body: BodyCount | undefined;
  readonly answeredAt: number;
  requestBytes: number;
  time = 0;
  responseBytes = 0;
  connections = 0;
  sendingMs = 0;
  readonly clientAddress: string;
  readonly host: string;
  readonly method: string;
  readonly uri: string;
  readonly version: string;
  readonly status: number;
  readonly gtxnid: string;
  readonly ltxnid: number;
  readonly user: string;
  readonly token: string;
  readonly referer: string;
  readonly userAgent: string;
  readonly forwardedFor: string;
  readonly workerId: string;
  readonly handlingMs: number;

  constructor(
    req: Request,
    ctx: RequestContext,
    status: number,
    startedAt: number,
    body: BodyCount | undefined,
  ) {
    this.body = body;
    this.status = status;
    this.answeredAt = performance.now();
    this.requestBytes = declaredBytes(req, ctx);
    const peer = ctx.remoteAddr;
    this.clientAddress = peer;
    this.host = ctx.authority;
    this.method = req.method;
    this.uri = ctx.query === "" ? ctx.path : `${ctx.path}?${ctx.query}`;
    this.version = ctx.httpVersion;
    this.gtxnid = ctx.gtxnid;
    this.ltxnid = ctx.ltxnid;
    this.user = ctx.user?.name ?? "";
    this.token = ctx.token ?? "";
    this.referer = headerOf(req, ctx, "referer") ?? "";
    this.userAgent = headerOf(req, ctx, "user-agent") ?? "";
    this.forwardedFor = forwardedFor(headerOf(req, ctx, "x-forwarded-for"), peer);
    this.workerId = ctx.workerId;
    this.handlingMs = Math.floor(this.answeredAt - startedAt);
  }
}

let wallAt = 0;
let readAt = Number.NEGATIVE_INFINITY;

/** `Date.now()` of a `performance.now()`. The system is asked ten times a second, which is one question less. */
function wallTime(now: number): number {
  if (now - readAt > 100) {
    wallAt = Date.now();
    readAt = now;
  }
  return wallAt + now - readAt;
}

/** Bytes the request declares to send; 0 where it declares none or makes no sense. */
function declaredBytes(req: Request, ctx: RequestContext): number {
  const { method } = req;
  // The body of these two is none to the runtime; it is read past and shown to nobody.
  if (method === "GET" || method === "HEAD") return 0;
  const header = headerOf(req, ctx, "content-length");
  if (header === null) return 0;
  const bytes = Number(header);
  return Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : 0;
}

/** The client of a chain of proxies, where it is not the peer itself. */
function forwardedFor(header: string | null, peer: string): string {
  if (header === null) return "";
  const comma = header.indexOf(",");
  const address = (comma === -1 ? header : header.slice(0, comma)).trim();
  return address === peer ? "" : address;
}

function hasBodyOfUnknownSize(req: Request, ctx: RequestContext): boolean {
  const { method } = req;
  if (method === "GET" || method === "HEAD" || req.headers.has("content-length")) return false;
  return ctx.httpVersion === "2.0" ? req.body !== null : req.headers.has("transfer-encoding");
}

function countRequestBody(req: Request, count: BodyCount): Request {
  if (req.body === null) return req;
  const stream = passOn(req.body, (chunk) => count.bytes += chunk.byteLength, () => {});
  return deriveRequest(req, { body: stream });
}

function countResponseBody(
  res: Response,
  ctx: RequestContext,
  finished: (bytes: number) => void,
): Response {
  if (res.body === null) return res;
  let bytes = 0;
  let open = true;
  const finish = () => {
    if (!open) return;
    open = false;
    finished(bytes);
  };
  // A client that went before the first byte was asked for ends nothing here, but completes the request.
  ctx.completion.then(({ delivered }) => {
    if (!delivered) finish();
  });
  return new Response(passOn(res.body, (chunk) => bytes += chunk.byteLength, finish), res);
}

/** A stream that gives the chunks of another one as they are asked for. */
function passOn(
  source: ReadableStream<Uint8Array<ArrayBuffer>>,
  each: (chunk: Uint8Array) => void,
  ended: () => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = source.getReader();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) {
          controller.close();
          ended();
        } else {
          // Anything but bytes is the reader's to reject.
          if (value instanceof Uint8Array) each(value);
          controller.enqueue(value);
        }
      } catch (error) {
        controller.error(error);
        ended();
      }
    },
    async cancel(reason) {
      ended();
      await reader.cancel(reason);
    },
    // Nothing is read ahead of the client, as if this stream were not there.
  }, { highWaterMark: 0 });
}
