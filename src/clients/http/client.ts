/**
 * The HTTP client of a worker.
 *
 * A request that is not idempotent reaches a backend at most once: it is sent again only when the
 * system took not one byte of it, or when the backend itself asked for it by a redirect or a
 * challenge. No layer below repeats anything.
 *
 * @module
 */

import type { StopSignal } from "../../core/stop.ts";
import { asError, BackendTimeoutError } from "../../core/errors.ts";
import { dial } from "../../net/connect.ts";
import { Http1Connection } from "../../net/http1_connection.ts";
import type { Http1ResponseHead } from "../../wire/http1_response_parser.ts";
import { Pool } from "../../net/pool.ts";
import { Pools } from "../../net/pools.ts";
import { parseTarget, type Target } from "../../net/target.ts";
import type { Client, ClientStats, Outcome, Send } from "../contract.ts";
import { Authenticator } from "./auth.ts";
import { decodeContent } from "./decode.ts";
import { failed, finished, type HttpOutcome } from "./outcome.ts";
import { redirected } from "./redirect.ts";
import { framed, type HttpRequest, isIdempotent, isReplayable, serializeHead } from "./request.ts";

/** Options of an {@link HttpClient}. */
export interface HttpClientOptions {
  /** Seconds after which an idle connection is not reused; asked each time. Default 1200. */
  readonly keepAliveSeconds?: () => number;
  /** Most connections to one peer. Default 256. */
  readonly maxConnections?: number;
  /** Largest response header in bytes. Default 64 KiB. */
  readonly maxHeaderBytes?: number;
}

const MAX_BYTES = 64 * 1024 * 1024;
const MAX_REDIRECTS = 5;
/** Without credentials, with those remembered, with those for a new nonce. */
const MAX_ATTEMPTS = 3;
const EMPTY = new Uint8Array(0);

/** Sends HTTP/1.1 requests over pooled connections. */
export class HttpClient implements Client {
  readonly #options: HttpClientOptions;
  readonly #keepAliveSeconds: () => number;
  readonly #pools = new Pools<Http1Connection>();
  readonly #authenticator = new Authenticator();
  #closed = false;

  /** Makes a client without connections. */
  constructor(options: HttpClientOptions = {}) {
    this.#options = options;
    this.#keepAliveSeconds = options.keepAliveSeconds ?? (() => 1200);
  }

  /** Prepares a request; nothing happens before the returned function is called. */
  request(request: HttpRequest): Send {
    return (signal) => this.send(request, signal);
  }

  /** Sends a request. Never rejects. */
  send(request: HttpRequest, signal: StopSignal): Promise<Outcome> {
    let target: Target;
    let exchange: Promise<HttpOutcome>;
    try {
      target = parseTarget(request.url);
    } catch (error) {
      return Promise.resolve(failed(error, -1, request.url, request.node ?? ""));
    }
    // most requests need neither credentials nor a second address
    if (request.auth !== undefined || target.user !== undefined) {
      return this.#follow(request, signal);
    }
    try {
      exchange = this.#exchange(request, target, undefined, signal);
    } catch (error) {
      return Promise.resolve(failure(error, request, signal, true));
    }
    return exchange.then((outcome) => {
      return outcome.statusCode >= 300 && outcome.statusCode < 400
        ? this.#follow(request, signal, outcome)
        : outcome;
    }, (error) => failure(error, request, signal, true));
  }

  /** Sends a request with its credentials, and those it is redirected to; goes on from an answer. */
  async #follow(
    first: HttpRequest,
    signal: StopSignal,
    answer?: HttpOutcome,
  ): Promise<Outcome> {
    let request = first;
    const history: Outcome[] = [];
    const maxRedirects = request.maxRedirects ?? MAX_REDIRECTS;
    for (;;) {
      let outcome: HttpOutcome;
      let target: Target;
      try {
        target = parseTarget(request.url);
      } catch (error) {
        return failed(error, -1, request.url, request.node ?? "");
      }
      try {
        if (answer !== undefined) outcome = answer;
        else if (request.auth === undefined && target.user === undefined) {
          outcome = await this.#exchange(request, target, undefined, signal);
        } else outcome = await this.#authorized(withUserOf(request, target), target, signal);
      } catch (error) {
        // a request that was redirected has reached somebody
        outcome = failure(error, request, signal, history.length === 0);
      }
      answer = undefined;
      if (outcome.status === 3 && outcome.statusCode >= 300 && outcome.statusCode < 400) {
        const next = history.length < maxRedirects
          ? redirected(request, outcome.statusCode, outcome.header("location") ?? null)
          : undefined;
        if (next !== undefined) {
          await outcome.body?.cancel();
          history.push(outcome);
          request = next;
          continue;
        }
      }
      if (history.length > 0) outcome.history = history;
      return outcome;
    }
  }

  /** Connections leased, being opened and waited for under a pool key; for choosing among members. */
  load(poolKey: string): number {
    return this.#pools.load(poolKey);
  }

  /** Current counts. */
  stats(): ClientStats {
    return this.#pools.stats();
  }

  /** Closes connections that have been idle for too long, and forgets pools nobody uses. */
  maintain(): void {
    this.#pools.maintain();
  }

  /** Closes all connections; requests under way fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#pools[Symbol.asyncDispose]();
  }

  /** Sends a request with credentials, again after a challenge. */
  async #authorized(
    request: HttpRequest,
    target: Target,
    signal: StopSignal,
  ): Promise<HttpOutcome> {
    const origin = `${target.scheme}://${target.authority}`;
    let authorization = await this.#authenticator.first(request, origin, target.path);
    for (let attempt = 1;; attempt++) {
      const outcome = await this.#exchange(request, target, authorization, signal);
      const refused = outcome.statusCode === 401 && isReplayable(request.body);
      if (!refused || attempt === MAX_ATTEMPTS) return outcome;
      const next = await this.#authenticator.next(
        request,
        origin,
        target.path,
        outcome.headers.get("www-authenticate") ?? "",
        authorization,
      );
      if (next === undefined) return outcome;
      await outcome.body?.cancel();
      authorization = next;
    }
  }

  /**
   * Sends a request over one connection, over a second one where that cannot deliver it twice.
   *
   * @throws what keeps it from being sent at all, also by rejecting.
   */
  #exchange(
    request: HttpRequest,
    target: Target,
    authorization: string | undefined,
    signal: StopSignal,
  ): Promise<HttpOutcome> {
    signal.throwIfAborted();
    const pool = this.#poolOf(request, target);
    const idle = pool.take();
    if (idle === undefined) {
      return this.#leased(pool, request, target, authorization, signal, false);
    }
    return this.#over(idle, pool, request, target, authorization, signal).then(
      undefined,
      (error) => {
        if (signal.aborted || !mayRepeat(error, request, idle)) {
          throw noted(error, request, idle);
        }
        return this.#leased(pool, request, target, authorization, signal, true);
      },
    );
  }

  /** Waits for a connection; for a fresh one where those that were there may all be dead. */
  async #leased(
    pool: Pool<Http1Connection>,
    request: HttpRequest,
    target: Target,
    authorization: string | undefined,
    signal: StopSignal,
    fresh: boolean,
  ): Promise<HttpOutcome> {
    const { connection, reused } = await pool.lease(signal, fresh).catch(notSent);
    try {
      return await this.#over(connection, pool, request, target, authorization, signal);
    } catch (error) {
      const again = reused && !signal.aborted && mayRepeat(error, request, connection);
      if (!again) throw noted(error, request, connection);
    }
    const { connection: last } = await pool.lease(signal, true).catch(notSent);
    try {
      return await this.#over(last, pool, request, target, authorization, signal);
    } catch (error) {
      throw noted(error, request, last);
    }
  }

  #over(
    connection: Http1Connection,
    pool: Pool<Http1Connection>,
    request: HttpRequest,
    target: Target,
    authorization: string | undefined,
    signal: StopSignal,
  ): Promise<HttpOutcome> {
    return new Exchange(connection, pool, request, target, signal).run(authorization);
  }

  #poolOf(request: HttpRequest, target: Target): Pool<Http1Connection> {
    const key = poolKeyOf(request, target);
    const known = this.#pools.get(key);
    if (known !== undefined) return known;
    const { hostname, port, scheme } = target;
    const { caCerts } = request;
    const { maxConnections, maxHeaderBytes } = this.#options;
    const pool = new Pool<Http1Connection>({
      name: request.node ?? target.authority,
      max: maxConnections,
      idleSeconds: this.#keepAliveSeconds,
      open: async (signal) => {
        const tls = scheme === "https";
        const { conn } = await dial({ hostname, port, tls, caCerts, signal });
        return new Http1Connection(conn, maxHeaderBytes);
      },
    });
    if (this.#closed) throw new Error("Cannot send a request: the client is closed");
    this.#pools.set(key, pool);
    return pool;
  }
}

/** One request and its answer over a connection, which goes back to the pool afterwards. */
class Exchange {
  readonly #connection: Http1Connection;
  readonly #pool: Pool<Http1Connection>;
  readonly #request: HttpRequest;
  readonly #target: Target;
  readonly #signal: StopSignal;

  constructor(
    connection: Http1Connection,
    pool: Pool<Http1Connection>,
    request: HttpRequest,
    target: Target,
    signal: StopSignal,
  ) {
    this.#connection = connection;
    this.#pool = pool;
    this.#request = request;
    this.#target = target;
    this.#signal = signal;
    signal.addEventListener("abort", this);
  }

  run(authorization: string | undefined): Promise<HttpOutcome> {
    const { body, method } = this.#request;
    const connection = this.#connection;
    const failed = (error: unknown): never => this.#fail(error);
    try {
      // while a connection was handed over; the signal says nothing more to those who listen
      this.#signal.throwIfAborted();
      connection.send(
        method,
        serializeHead(this.#request, this.#target, authorization),
        body === null ? EMPTY : body instanceof Uint8Array ? body : framed(body),
      );
    } catch (error) {
      this.#release();
      return Promise.reject(error);
    }
    return connection.readHead().then((head) => this.#read(head, failed), failed);
  }

  /** The request was given up. */
  handleEvent(): void {
    this.#connection.close();
    // whoever has its body as a stream may never read it
    this.#release();
  }

  #read(
    head: Http1ResponseHead,
    failed: (error: unknown) => never,
  ): HttpOutcome | Promise<HttpOutcome> {
    const { stream, maxBytes = MAX_BYTES } = this.#request;
    if (stream && head.contentLength !== 0) {
      const done = () => this.#release();
      let body: ReadableStream<Uint8Array>;
      try {
        // whoever takes a stream is not bound by what is good for memory, only by what he said
        body = this.#connection.bodyStream(done, this.#request.maxBytes);
      } catch (error) {
        return failed(error);
      }
      return this.#finished(head, null, body);
    }
    let content: Promise<Uint8Array> | Uint8Array;
    try {
      content = this.#connection.readBody(maxBytes);
    } catch (error) {
      return failed(error);
    }
    return content instanceof Promise
      ? content.then((whole) => this.#whole(head, whole, maxBytes), failed)
      : this.#whole(head, content, maxBytes);
  }

  /** The body has arrived. */
  #whole(
    head: Http1ResponseHead,
    content: Uint8Array,
    maxBytes: number,
  ): HttpOutcome | Promise<HttpOutcome> {
    this.#release();
    const outcome = this.#finished(head, content);
    const encoding = content.length === 0 ? undefined : outcome.header("content-encoding");
    if (encoding === undefined) return outcome;
    return decodeContent(content, encoding, maxBytes)
      .then((decoded) => this.#finished(head, decoded), (error) => {
        answers.add(error);
        throw error;
      });
  }

  #finished(
    head: Http1ResponseHead,
    content: Uint8Array | null,
    body?: ReadableStream<Uint8Array>,
  ): HttpOutcome {
    const { url, node = this.#target.authority } = this.#request;
    return finished(head, url, node, content, body);
  }

  #fail(error: unknown): never {
    this.#release();
    throw error;
  }

  #release(): void {
    this.#signal.removeEventListener("abort", this);
    this.#pool.release(this.#connection);
  }
}

function poolKeyOf(request: HttpRequest, target: Target): string {
  if (request.poolKey !== undefined) return request.poolKey;
  const origin = `${target.scheme}://${target.authority}`;
  return request.caCerts === undefined ? origin : `${origin}\n${request.caCerts.join("\n")}`;
}

/** User and password of the URL count as credentials, unless others were given. */
function withUserOf(request: HttpRequest, target: Target): HttpRequest {
  if (target.user === undefined || request.auth !== undefined) return request;
  return { ...request, auth: [target.user, target.password] };
}

/** Errors of answers that came whole: their connections may be busy with other requests by now. */
const answers = new WeakSet<object>();

function isAnswered(error: unknown, connection: Http1Connection): boolean {
  return connection.answered || answers.has(error as object);
}

/** Whether a request that failed on this connection may be sent over another one. */
function mayRepeat(error: unknown, request: HttpRequest, connection: Http1Connection): boolean {
  if (isAnswered(error, connection) || !isReplayable(request.body)) return false;
  return connection.sentBytes === 0 || isIdempotent(request.method);
}

/** Errors of requests of which no byte was sent. */
const unsent = new WeakSet<object>();

function notSent(error: unknown): never {
  if (typeof error === "object" && error !== null) unsent.add(error);
  throw error;
}

/** Notes whether the request can have reached the peer. A stream may have been used up even so. */
function noted(error: unknown, request: HttpRequest, connection: Http1Connection): unknown {
  const untouched = connection.sentBytes === 0 && !isAnswered(error, connection) &&
    isReplayable(request.body);
  if (untouched && typeof error === "object" && error !== null) unsent.add(error);
  return error;
}

function failure(
  error: unknown,
  request: HttpRequest,
  signal: StopSignal,
  first: boolean,
): HttpOutcome {
  const node = request.node ?? URL.parse(request.url)?.host ?? "";
  if (signal.aborted) {
    const late = new BackendTimeoutError("The request was given up", 730, {
      cause: asError(error),
    });
    return failed(late, 1, request.url, node);
  }
  const undelivered = first && typeof error === "object" && error !== null && unsent.has(error);
  return failed(error, 2, request.url, node, undelivered);
}
