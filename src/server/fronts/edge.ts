/**
 * The `edge` front: `node:http` and `node:http2`, with every limit that a socket facing strangers needs.
 *
 * @module
 */

import { createServer, type IncomingMessage, type Server } from "node:http";
import type {
  Http2SecureServer,
  Http2ServerRequest,
  Http2ServerResponse,
  ServerHttp2Session,
  ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { asError, HttpError } from "../../core/errors.ts";
import { type Handler, isThenable } from "../../core/handler.ts";
import { httpDate } from "../../core/http_date.ts";
import { cannotUpgrade } from "../../middleware/error_guard.ts";
import { journalConnection } from "../connection_journal.ts";
import type { Front, FrontOptions, StartFront } from "../front.ts";
import { deadline, delay } from "./deadline.ts";
import { endedEarly } from "./edge_body.ts";
import { EdgeConnection } from "./edge_connection.ts";
import { EdgeContext, type Incoming } from "./edge_context.ts";
import { EdgeRequest } from "./edge_request.ts";
import { EdgeResponse, sendHttp1, sendHttp2 } from "./edge_response.ts";
import type { FrontShare } from "./front_context.ts";
import { PendingWork } from "./pending_work.ts";
import { RefusalLog } from "./refusal_log.ts";
import {
  ALLOWED_METHODS,
  BAD_HOST,
  BAD_METHOD,
  HEADER_TOO_LARGE,
  isAllowedMethod,
  isHost,
  MALFORMED,
  NO_TUNNEL,
  ownHeaders,
  plainAddress,
  type Refusal,
  TOO_SLOW,
} from "./request_rules.ts";
import { readSendQueues } from "./send_queues.ts";
import { sweepInterval } from "./stall_watch.ts";
import { tableAddress } from "../tcp_tables.ts";

/** Starts the `edge` front. */
export const startEdge: StartFront = async (options) => {
  const front = new EdgeFront(options, await createNodeServer(options));
  await front.listen();
  return front;
};

type NodeServer = Server | Http2SecureServer;
type Outgoing = EdgeResponse | Http2ServerResponse;

/** Where the connection of a socket or session is kept. */
const CONNECTION = Symbol("connection");

interface Tracked {
  [CONNECTION]?: EdgeConnection;
}

/** While the front shuts down, idle connections stay open for so long: a request may be on its way. */
const DRAIN_LINGER_MS = 200;
/** How long to read to nowhere after the last response, before the connection is closed. */
const LINGER_MS = 2000;
/** After the client has ended its direction, a response that gives nothing for so long has lost it. */
const HALF_OPEN_MS = 5000;
/** A body's rate is measured over this time. */
const RATE_WINDOW_MS = 5000;
/** A look at the system's buffers that took long is not repeated until so many times that has passed. */
const LOOK_SHARE = 20;
/** What is left of an unread request body is read and dropped up to this size, to keep the connection. */
const MAX_DROPPED_BYTES = 64 * 1024;
/** Streams that a client may have open at once (HTTP/2). */
const MAX_CONCURRENT_STREAMS = 128;
/**
 * Handlers that may be at work for one HTTP/2 connection. A reset makes room for another stream at once,
 * but the handler of the first goes on: without this a client that resets keeps any number of them busy.
 */
const MAX_WORKING = 2 * MAX_CONCURRENT_STREAMS;
/** Requests that may wait on an HTTP/1 connection for those before them. */
const MAX_PIPELINED = 1024;
/** Header fields of a request; over HTTP/2 a browser sends each of its cookies as one. */
const MAX_HEADER_PAIRS = 1024;
/**
 * Those that are no cookies. The runtime takes the square of their number to look through them, which
 * happens several times for some requests, and 1000 fit into a few kilobytes.
 */
const MAX_HEADER_NAMES = 256;

class EdgeFront implements Front {
  address: { readonly hostname: string; readonly port: number };
  readonly #options: FrontOptions;
  readonly #handler: Handler;
  readonly #server: NodeServer;
  readonly #share: FrontShare;
  readonly #work: PendingWork;
  readonly #refusals: RefusalLog;
  readonly #connections = new Set<EdgeConnection>();
  readonly #perAddress = new Map<string, number>();
  /** By address and port of the peer, until the handshake tells which socket is whose. */
  readonly #handshakes = new Map<string, EdgeConnection>();
  /** HTTP/2 sessions that are about to end. */
  readonly #ending = new Set<Promise<void>>();
  readonly #sweeper: ReturnType<typeof setInterval>;
  #nextLookAt = 0;
  #looking: Promise<void> | undefined;
  /** Each response is the last one of its connection. */
  #isDraining = false;
  /** No connection is accepted any more. */
  #isClosing = false;
  #shutdown: Promise<void> | undefined;
  #allClosed: (() => void) | undefined;

  constructor(options: FrontOptions, server: NodeServer) {
    const { counters, handler, hostname, limits, log, port, tls, workerId } = options;
    this.#options = options;
    this.#handler = handler;
    this.#server = server;
    this.#work = new PendingWork(log);
    this.#refusals = new RefusalLog(log);
    this.#share = {
      counters,
      work: this.#work,
      workerId,
      scheme: tls === undefined ? "http" : "https",
    };
    this.address = { hostname, port };
    const shortest = Math.min(
      limits.keepAliveSeconds,
      limits.requestTimeoutSeconds,
      limits.headerTimeoutSeconds,
    );
    this.#sweeper = setInterval(() => this.#sweep(), sweepInterval(shortest * 1000));
    const events = server as Server;
    events.on("connection", (socket: Socket) => this.#accept(socket));
    events.on("request", this.#onRequest);
    events.on("checkContinue", this.#onExpected);
    // Other expectations are nobody's here, and the same as none.
    events.on("checkExpectation", this.#onRequest);
    events.on("connect", this.#onConnect);
    events.on("clientError", this.#onClientError);
    if (tls === undefined) return;
    events.on("secureConnection" as "connection", (socket: Socket) => this.#secured(socket));
    const sessions = server as Http2SecureServer;
    sessions.on("session", (session) => this.#onSession(session));
    sessions.on("sessionError", (error) => this.#refusals.write(`HTTP/2 error: ${error.message}`));
  }

  async listen(): Promise<void> {
    const { hostname: host, port, reusePort } = this.#options;
    const server = this.#server;
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen({ host, port, ...(reusePort ? { reusePort } : {}) }, () => {
          server.removeListener("error", reject);
          resolve();
        });
      });
    } catch (error) {
      clearInterval(this.#sweeper);
      throw listenError(asError(error), host, port);
    }
    server.on("error", (error: Error) => this.#options.log.trace(error, "front"));
    const bound = server.address();
    if (bound !== null && typeof bound === "object") {
      this.address = { hostname: host, port: bound.port };
    }
  }

  connections(): number {
    return this.#connections.size;
  }

  shutdown(graceMs: number, handoverMs: number = 0): Promise<void> {
    return this.#shutdown ??= this.#drain(graceMs, Math.min(handoverMs, graceMs / 2));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown(0);
  }

  // Connections

  #accept(raw: Socket): void {
    // Errors are followed by "close", which is what counts.
    raw.on("error", ignore);
    const { limits, counters, tls } = this.#options;
    const connection = new EdgeConnection(raw, () => counters.nextConnection());
    const { address } = connection;
    const same = this.#perAddress.get(address) ?? 0;
    const problem = this.#connections.size >= limits.maxConnections
      ? `${limits.maxConnections} connections are open`
      : same >= limits.maxConnectionsPerAddress
      ? `it has ${same} connections`
      : undefined;
    if (problem !== undefined) {
      this.#refusals.write(`refused: connection of ${address}, ${problem}`);
      raw.destroy();
      return;
    }
    this.#connections.add(connection);
    this.#perAddress.set(address, same + 1);
    (raw as Tracked)[CONNECTION] = connection;
    raw.on("close", () => this.#closed(connection));
    if (tls === undefined) {
      raw.on("end", () => halfClosed(connection));
    } else {
      const peer = peerOf(raw);
      this.#handshakes.set(peer, connection);
      raw.on("close", () => {
        // The peer may have come back from the same port before the end of this one was told.
        if (this.#handshakes.get(peer) === connection) this.#handshakes.delete(peer);
      });
    }
  }

  #secured(socket: Socket): void {
    const connection = this.#handshakes.get(peerOf(socket));
    if (connection === undefined) {
      // It was closed in the moment of its handshake.
      socket.destroy();
      return;
    }
    socket.on("error", ignore);
    socket.on("end", () => halfClosed(connection));
    (socket as Tracked)[CONNECTION] = connection;
    connection.socket = socket;
  }

  #onSession(session: ServerHttp2Session): void {
    this.#endLater(session);
    const connection = this.#handshakes.get(peerOf(session.socket));
    session.on("error", (error) => this.#refusals.write(`HTTP/2 error: ${error.message}`));
    if (connection === undefined) {
      session.destroy();
      return;
    }
    (session as Tracked)[CONNECTION] = connection;
    connection.session = session;
    if (this.#isClosing) session.close();
  }

  /**
   * A session often ends in the middle of what the runtime does with it, such as sending its last frame.
   * The memory of it is free then, the runtime goes on to use it, and the process dies of that.
   */
  #endLater(session: ServerHttp2Session): void {
    const destroy = session.destroy.bind(session);
    let isEnding = false;
    session.destroy = (...reason) => {
      if (isEnding) return;
      isEnding = true;
      const end = delay(0).then(() => {
        this.#ending.delete(end);
        destroy(...reason);
      });
      this.#ending.add(end);
    };
  }

  #closed(connection: EdgeConnection): void {
    if (!this.#connections.delete(connection)) return;
    const { address, raw } = connection;
    const same = (this.#perAddress.get(address) ?? 1) - 1;
    if (same === 0) this.#perAddress.delete(address);
    else this.#perAddress.set(address, same);
    for (const exchange of [...connection.exchanges]) {
      exchange.finish(false);
      exchange.body?.fail(endedEarly());
    }
    if (connection.unread !== undefined) failIncomplete(connection.unread);
    if (connection.session !== undefined) {
      const { openedAt, socket: { bytesRead: bytesIn, bytesWritten: bytesOut } } = connection;
      const closed = { kind: "http2", address, bytesIn, bytesOut, openedAt } as const;
      journalConnection(this.#options.log, closed);
    }
    connection.waiting.length = 0;
    raw.removeAllListeners("end");
    if (this.#connections.size === 0) this.#allClosed?.();
  }

  // Requests

  readonly #onRequest = (incoming: Incoming, out: unknown): void => {
    this.#take(incoming, out as Outgoing, false);
  };

  readonly #onExpected = (incoming: Incoming, out: unknown): void => {
    this.#take(incoming, out as Outgoing, true);
  };

  #take(incoming: Incoming, out: Outgoing, isContinueExpected: boolean): void {
    const connection = connectionOf(incoming);
    if (connection === undefined || !connection.takesRequests) {
      out.destroy();
      return;
    }
    if (!isOverHttp2(incoming)) {
      if (connection.exchanges.length === 0 && connection.waiting.length === 0) {
        this.#handle(incoming, out, connection, isContinueExpected);
      } else {
        this.#queue(connection, () => {
          if (!connection.takesRequests) out.destroy();
          else this.#handle(incoming, out, connection, isContinueExpected);
        });
      }
    } else if (connection.working < MAX_WORKING) {
      this.#handle(incoming, out, connection, isContinueExpected);
    } else {
      incoming.stream.close(REFUSED_STREAM);
    }
  }

  /**
   * Keeps a request until those before it on its connection are answered. Its answer would have to wait
   * anyway; its handler would be one more for a client that never waits.
   */
  #queue(connection: EdgeConnection, take: () => void): void {
    if (connection.waiting.push(take) <= MAX_PIPELINED || connection.isCut) return;
    connection.isCut = true;
    this.#refusals.write(`cut: ${connection.address}, it does not wait for answers`);
    connection.destroy();
  }

  #handle(
    incoming: Incoming,
    out: Outgoing,
    connection: EdgeConnection,
    isContinueExpected: boolean,
  ): void {
    const isHttp2 = isOverHttp2(incoming);
    const parsed = isHttp2 ? this.#checkHttp2(incoming) : checkHttp1(incoming);
    if (typeof parsed.status === "number") {
      this.#refuse(incoming, out, connection, parsed);
      return;
    }
    const ctx = new EdgeContext(
      this.#share,
      connection,
      incoming,
      parsed.authority,
      parsed.target,
      parsed.targetStart,
      hasBody(incoming, isHttp2),
    );
    connection.begin(ctx);
    if (out instanceof EdgeResponse) out.exchange = ctx;
    else this.#followStream(incoming as Http2ServerRequest, ctx);
    if (isContinueExpected) ctx.sendContinue = () => out.writeContinue();
    if (connection.endedAt !== 0 || connection.isBroken) {
      if (!isHttp2) failIncomplete(ctx);
    }
    const method = incoming.method ?? "GET";
    let result: Response | Promise<Response>;
    try {
      result = this.#handler(new EdgeRequest(method, ctx) as unknown as Request, ctx);
    } catch (error) {
      this.#failed(error, out, ctx);
      return;
    }
    if (!isThenable(result)) this.#send(result, out, ctx);
    else {
      if (isHttp2) connection.working++;
      result.then((res) => {
        if (isHttp2) connection.working--;
        this.#send(res, out, ctx);
      }, (error) => {
        if (isHttp2) connection.working--;
        this.#failed(error, out, ctx);
      }).catch((error) => this.#failed(error, out, ctx));
    }
  }

  #send(res: Response, out: Outgoing, ctx: EdgeContext): void {
    if (ctx.isOver) {
      // Nobody is going to read it; its source has to know.
      res.body?.cancel().catch((error) => this.#options.log.trace(error, "front"));
      return;
    }
    const isHead = ctx.incoming.method === "HEAD";
    let sending: Promise<void> | undefined;
    try {
      // The client would take a 101 for the beginning of another protocol that nobody speaks here.
      if (res.status === 101) throw cannotUpgrade(ctx.path);
      if (out instanceof EdgeResponse) {
        this.#dropRest(out, ctx);
        if (this.#isDraining) out.isLast = true;
        sending = sendHttp1(out, res, ctx, isHead);
      } else {
        this.#dropRestOfStream(out.stream, ctx);
        sending = sendHttp2(out.stream, res, ctx, isHead);
      }
    } catch (error) {
      this.#failed(error, out, ctx);
      return;
    }
    sending?.catch((error) => this.#failed(error, out, ctx));
  }

  /**
   * Decides about a request body that has not been read when the response is there: a small rest is read
   * and dropped, before a larger one the connection ends.
   */
  #dropRest(out: EdgeResponse, ctx: EdgeContext): void {
    const { body, connection, incoming } = ctx;
    if (body === undefined || incoming.complete) return;
    const length = Number(incoming.headers["content-length"] ?? Infinity);
    connection.unread = ctx;
    if (length <= MAX_DROPPED_BYTES && ctx.sendContinue === undefined) {
      if (!body.isTaken) body.discard();
      return;
    }
    // A handler may answer while it still reads, as an echo does. Whether a rest is left then shows
    // when the response is complete.
    out.isLast = true;
    if (!body.isTaken) body.discard();
    connection.socket.destroySoon = () => {
      // Whoever still reads has to know that no more is coming.
      failIncomplete(ctx);
      if (!incoming.complete) body.discard();
      connection.linger();
    };
  }

  /**
   * As {@link #dropRest} over HTTP/2, where a rest that nobody reads would hold the stream until the client
   * is taken for stalled. A larger rest ends it, but not at once: with the end of the stream goes
   * whatever of the response is not out.
   */
  #dropRestOfStream(stream: ServerHttp2Stream, ctx: EdgeContext): void {
    const { body } = ctx;
    if (body === undefined || stream.readableEnded) return;
    if (!body.isTaken) body.discard();
    stream.once("finish", () => {
      if (ctx.isBodyWanted || stream.readableEnded) return;
      let dropped = 0;
      stream.on("data", (chunk: Uint8Array) => {
        dropped += chunk.byteLength;
        // Well below what a client sends before it has to wait, or there may be no more to pass it.
        if (dropped > MAX_DROPPED_BYTES / 2) stream.close(NO_ERROR);
      });
      ctx.finish(true);
      body.fail(endedEarly());
      body.discard();
    });
  }

  #failed(error: unknown, out: Outgoing, ctx: EdgeContext): void {
    if (ctx.isOver) return;
    this.#options.log.trace(error, "front");
    const { stream } = out as Http2ServerResponse;
    const isSent = out instanceof EdgeResponse ? out.headersSent : stream.headersSent;
    ctx.source?.cancel(error).catch(() => {});
    if (isSent) {
      // The client has part of it. Only a connection that breaks tells that it is not the whole.
      if (out instanceof EdgeResponse) ctx.connection.destroy();
      else stream.close(INTERNAL_ERROR);
      return;
    }
    this.#send(
      new Response("Internal Server Error\n", {
        status: 500,
        headers: ownHeaders(this.#options.server),
      }),
      out,
      ctx,
    );
  }

  #refuse(
    incoming: Incoming,
    out: Outgoing,
    connection: EdgeConnection,
    refusal: Refusal,
  ): void {
    const { status, reason } = refusal;
    this.#refusals.write(`${status} to ${connection.address}: ${reason} (${incoming.method})`);
    const headers = ownHeaders(this.#options.server);
    if (status === 405) headers.allow = ALLOWED_METHODS;
    if (!(out instanceof EdgeResponse)) {
      const { stream } = out;
      stream.on("error", ignore);
      stream.respond({ ":status": status, ...headers });
      stream.end(`${reason}\n`);
      return;
    }
    out.isLast = true;
    out.prepare(new Response(null, { status, headers }), "length", undefined);
    connection.socket.destroySoon = () => connection.linger();
    out.end(`${reason}\n`);
  }

  /** Nothing of a tunnel is ever read: what follows the request is dropped with the connection. */
  readonly #onConnect = (incoming: Incoming, out: Duplex | Http2ServerResponse): void => {
    const connection = connectionOf(incoming);
    if ("stream" in out) {
      if (connection === undefined) out.stream.close();
      else this.#refuse(incoming, out, connection, NO_TUNNEL);
      return;
    }
    out.on("error", ignore);
    if (connection === undefined) out.destroy();
    else this.#refuseRaw(connection, NO_TUNNEL);
  };

  // Malformed bytes

  readonly #onClientError = (error: Error, out: Duplex): void => {
    const connection = (out as Tracked)[CONNECTION];
    const { code = "", rawPacket } = error as { code?: string; rawPacket?: Uint8Array };
    out.on("error", ignore);
    if (connection === undefined) {
      // The handshake failed: there is no socket yet that requests come from.
      this.#refusals.write(`TLS handshake failed: ${error.message}`);
      out.destroy();
      return;
    }
    if (SILENT_CODES.has(code)) {
      connection.destroy();
      return;
    }
    // What follows the last request of a connection is not looked at.
    if (code === "HPE_CLOSED_CONNECTION" || connection.isBroken) return;
    const { exchanges, waiting } = connection;
    const isInBody = waiting.length === 0 && exchanges.some(({ incoming }) => !incoming.complete);
    const isAnswering = exchanges.some((exchange) => exchange.isSending);
    if (!code.startsWith("HPE_") || (isAnswering && isInBody) || !out.writable) {
      this.#refusals.write(`cut: ${connection.address}, ${error.message}`);
      connection.destroy();
      return;
    }
    const refusal = code === "HPE_HEADER_OVERFLOW"
      ? HEADER_TOO_LARGE
      : hasUnknownMethod(rawPacket)
      ? BAD_METHOD
      : MALFORMED;
    if (exchanges.length === 0 || isInBody) {
      this.#refuseRaw(connection, refusal, error.message);
      return;
    }
    // Those that came in order are answered before.
    connection.isBroken = true;
    waiting.push(() => this.#refuseRaw(connection, refusal, error.message));
  };

  /** Answers where no request has come about, and closes. */
  #refuseRaw(connection: EdgeConnection, { status, reason }: Refusal, detail = ""): void {
    this.#refusals.write(
      `${status} to ${connection.address}: ${reason}${detail === "" ? "" : ` (${detail})`}`,
    );
    const { socket } = connection;
    if (connection.lingeringSince !== 0 || !socket.writable) return;
    for (const exchange of [...connection.exchanges]) {
      exchange.finish(false);
      exchange.body?.fail(new HttpError(status, reason));
    }
    const headers = ownHeaders(this.#options.server);
    if (status === 405) headers.allow = ALLOWED_METHODS;
    headers.date = httpDate(Date.now());
    headers["content-length"] = `${reason.length + 1}`;
    headers.connection = "close";
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(
      `HTTP/1.1 ${status} ${PHRASES[status]}\r\n${lines.join("")}\r\n${reason}\n`,
    );
    connection.linger();
  }

  // Timeouts

  #sweep(): void {
    const now = performance.now();
    let areSome = false;
    for (const connection of this.#connections) {
      const problem = this.#problemOf(connection, now);
      if (problem === undefined) {
        areSome ||= this.#isSlow(connection, now);
        continue;
      }
      this.#options.counters.zombie();
      this.#refusals.write(`cut: ${connection.address}, ${problem}`);
    }
    if (areSome && now >= this.#nextLookAt) {
      this.#nextLookAt = Number.POSITIVE_INFINITY;
      this.#looking = this.#lookAtQueues();
    }
  }

  /** A piece of a response has been on its way for a while; over HTTP/2 of the only one. */
  #isSlow({ exchanges }: EdgeConnection, now: number): boolean {
    const exchange = exchanges[0];
    return exchange !== undefined && exchanges.length === 1 && exchange.isSending &&
      now - exchange.movedAt > this.#options.limits.requestTimeoutSeconds * 1000 / 4;
  }

  /** Whoever takes what the system has buffered for him is slow, not stalled. */
  async #lookAtQueues(): Promise<void> {
    const begun = performance.now();
    const queues = await readSendQueues(this.address.port);
    const now = performance.now();
    if (queues === undefined) return;
    for (const connection of this.#connections) {
      if (!this.#isSlow(connection, now)) {
        connection.unsent = 0;
        continue;
      }
      const { address, port, unsent } = connection;
      connection.unsent = queues.get(tableAddress(address, port)) ?? 0;
      if (connection.unsent < unsent) connection.exchanges[0]!.movedAt = now;
    }
    const mostMs = this.#options.limits.requestTimeoutSeconds * 1000 / 8;
    this.#nextLookAt = now + Math.min((now - begun) * LOOK_SHARE, mostMs);
  }

  /** Closes the connection, or resets a stream of it, where a limit has been passed; tells which. */
  #problemOf(connection: EdgeConnection, now: number): string | undefined {
    const { limits } = this.#options;
    const { exchanges, session, socket } = connection;
    if (connection.lingeringSince !== 0) {
      // Not a zombie: it was told to go.
      if (now - connection.lingeringSince > LINGER_MS) connection.destroy();
      return undefined;
    }
    if (exchanges.length > 0) {
      for (const exchange of exchanges) {
        const problem = this.#problemOfExchange(exchange, connection, now);
        if (problem === undefined) continue;
        this.#cutExchange(exchange, connection);
        return problem;
      }
      return undefined;
    }
    const headerMs = limits.headerTimeoutSeconds * 1000;
    if (!connection.hasServed) {
      if (now - connection.openedAt <= headerMs) return undefined;
      if (socket.bytesRead === 0 || session !== undefined || socket !== connection.raw) {
        connection.destroy();
        return "no request came";
      }
      this.#refuseRaw(connection, TOO_SLOW);
      return "half a header came";
    }
    if (session === undefined && connection.hasHalfHeader) {
      connection.headerSince ||= now;
      if (now - connection.headerSince <= headerMs) return undefined;
      this.#refuseRaw(connection, TOO_SLOW);
      return "half a header came";
    }
    if (now - connection.idleSince <= limits.keepAliveSeconds * 1000) return undefined;
    this.#closeIdle(connection);
    return "idle";
  }

  #problemOfExchange(
    exchange: EdgeContext,
    connection: EdgeConnection,
    now: number,
  ): string | undefined {
    const { limits } = this.#options;
    const timeoutMs = limits.requestTimeoutSeconds * 1000;
    if (exchange.hasStalled(now - timeoutMs)) return `stalled, ${exchange.path}`;
    const { endedAt } = connection;
    if (endedAt !== 0 && exchange.isSending) {
      const since = Math.max(endedAt, exchange.movedAt);
      if (now - since > Math.min(HALF_OPEN_MS, timeoutMs)) return `left, ${exchange.path}`;
    }
    const windowMs = Math.min(RATE_WINDOW_MS, timeoutMs);
    if (exchange.isTooSlow(now, windowMs, limits.minBodyBytesPerSecond)) {
      return `body too slow, ${exchange.path}`;
    }
    return undefined;
  }

  #cutExchange(exchange: EdgeContext, connection: EdgeConnection): void {
    if (connection.session !== undefined) {
      const { stream } = exchange.incoming as Http2ServerRequest;
      exchange.finish(false);
      exchange.body?.fail(new HttpError(408, TOO_SLOW.reason));
      stream.close(CANCEL);
    } else if (exchange.isSending || connection.exchanges.length > 1) {
      connection.destroy();
    } else {
      this.#refuseRaw(connection, TOO_SLOW);
    }
  }

  #closeIdle(connection: EdgeConnection): void {
    if (connection.session !== undefined) connection.session.close();
    // The other direction is open until the client closes it, or the sweep does.
    connection.linger();
  }

  // The end

  async #drain(graceMs: number, handoverMs: number): Promise<void> {
    const grace = deadline(graceMs);
    this.#isDraining = true;
    if (handoverMs > 0) await delay(handoverMs);
    this.#isClosing = true;
    const closed = new Promise<void>((resolve) => this.#allClosed = resolve);
    if (this.#connections.size === 0) this.#allClosed?.();
    // Node would drop idle connections here and now.
    (this.#server as Server).closeIdleConnections = ignore;
    const ended = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const { session } of this.#connections) session?.close();
    const draining = this.#endIdle(Math.min(DRAIN_LINGER_MS, graceMs));
    await Promise.race([grace.passed, closed.then(() => this.#work.settled())]);
    for (const connection of [...this.#connections]) connection.destroy();
    await closed;
    await ended;
    await Promise.all(this.#ending);
    grace.cancel();
    await draining;
    clearInterval(this.#sweeper);
    await this.#looking;
    this.#refusals.flush();
  }

  /** Closes connections as they become idle, after a moment for requests that are on their way. */
  async #endIdle(lingerMs: number): Promise<void> {
    await delay(lingerMs);
    while (this.#connections.size > 0) {
      const now = performance.now();
      for (const connection of this.#connections) {
        if (connection.exchanges.length > 0 || connection.lingeringSince !== 0) continue;
        if (now - connection.idleSince < lingerMs || connection.hasHalfHeader) continue;
        connection.socket.destroySoon();
      }
      await delay(20);
    }
  }

  // HTTP/2

  #checkHttp2(incoming: Http2ServerRequest): Refusal | Target {
    const { authority, method, rawHeaders, url } = incoming;
    if (!isAllowedMethod(method)) return BAD_METHOD;
    if (!isHost(authority ?? "")) return BAD_HOST;
    if (!url.startsWith("/") && !(url === "*" && method === "OPTIONS")) return MALFORMED;
    if (hasTooManyFields(rawHeaders)) return HEADER_TOO_LARGE;
    let size = 0;
    for (const text of rawHeaders) size += text.length;
    if (size > this.#options.limits.maxHeaderBytes) return HEADER_TOO_LARGE;
    return { authority, target: url === "*" ? "/*" : url, targetStart: 0 };
  }

  #followStream({ stream }: Http2ServerRequest, ctx: EdgeContext): void {
    stream.on("error", ignore);
    stream.on("close", () => {
      const { connection, isOver } = ctx;
      const isDelivered = ctx.isGiven && stream.rstCode === 0 && stream.writableFinished;
      ctx.finish(isDelivered);
      ctx.body?.fail(endedEarly());
      if (isOver || isDelivered || connection.isCut || connection.takeReset()) return;
      connection.isCut = true;
      this.#refusals.write(`cut: ${connection.address}, it resets its streams`);
      connection.destroy();
    });
  }
}

/** The parts of a request target. */
interface Target {
  readonly status?: undefined;
  /** Host and port. */
  readonly authority: string;
  /** Text with the target, which starts at `targetStart`. */
  readonly target: string;
  readonly targetStart: number;
}

/** HTTP/2 error codes. */
const NO_ERROR = 0;
const INTERNAL_ERROR = 2;
const REFUSED_STREAM = 7;
const CANCEL = 8;

/** Clients that leave are no news. */
const SILENT_CODES: ReadonlySet<string> = new Set([
  "ECONNRESET",
  "EPIPE",
  "HPE_INVALID_EOF_STATE",
  "ERR_STREAM_PREMATURE_CLOSE",
]);

const PHRASES: Readonly<Record<Refusal["status"], string>> = {
  400: "Bad Request",
  405: "Method Not Allowed",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
};

function ignore(): void {}

async function createNodeServer({ limits, tls }: FrontOptions): Promise<NodeServer> {
  // The front's own sweep does what Node's timers would: with one timer for all, and with its word to
  // the log. Unread half a header and idle time are seen there too.
  const options = {
    ServerResponse: EdgeResponse,
    headersTimeout: 0,
    requestTimeout: 0,
    keepAliveTimeout: 0,
    connectionsCheckingInterval: 3_600_000,
    requireHostHeader: false,
    optimizeEmptyRequests: true,
    maxHeaderSize: limits.maxHeaderBytes,
  };
  let server: NodeServer;
  if (tls === undefined) {
    server = createServer(options) as unknown as Server;
  } else {
    const { createSecureServer } = await import("node:http2");
    server = createSecureServer({
      ...options,
      cert: tls.cert,
      key: tls.key,
      allowHTTP1: true,
      Http1ServerResponse: EdgeResponse as never,
      maxHeaderListPairs: MAX_HEADER_PAIRS,
      settings: {
        maxConcurrentStreams: MAX_CONCURRENT_STREAMS,
        maxHeaderListSize: limits.maxHeaderBytes,
      },
    });
    // The HTTP/1 side of that server takes these from its properties only.
    Object.assign(server, options);
  }
  const http1 = server as Server & { httpAllowHalfOpen: boolean };
  // A client may end its direction when it has said all, and still wait for the answer.
  http1.httpAllowHalfOpen = true;
  http1.timeout = 0;
  // Bounded by the size of the header; Node would silently leave out what is beyond the count.
  http1.maxHeadersCount = 0;
  return server;
}

function connectionOf(incoming: Incoming): EdgeConnection | undefined {
  if (!isOverHttp2(incoming)) return (incoming.socket as Tracked)[CONNECTION];
  return (incoming.stream.session as Tracked | undefined)?.[CONNECTION];
}

/** Told by what made it: a client that speaks HTTP/1 may name any version. */
function isOverHttp2(incoming: Incoming): incoming is Http2ServerRequest {
  return "stream" in incoming;
}

function peerOf(socket: { remoteAddress?: string; remotePort?: number }): string {
  return `${plainAddress(socket.remoteAddress ?? "")} ${socket.remotePort}`;
}

function hasBody({ headers, stream }: Incoming & { stream?: unknown }, isHttp2: boolean): boolean {
  if (isHttp2) return !(stream as { endAfterHeaders?: boolean }).endAfterHeaders;
  const length = headers["content-length"];
  return length === undefined ? headers["transfer-encoding"] !== undefined : length !== "0";
}

let knownHost = "localhost";

function checkHttp1(incoming: IncomingMessage): Refusal | Target {
  const { httpVersionMajor, httpVersionMinor, method, rawHeaders, url = "" } = incoming;
  if (httpVersionMajor !== 1) return MALFORMED;
  if (!isAllowedMethod(method ?? "")) return BAD_METHOD;
  if (hasTooManyFields(rawHeaders)) return HEADER_TOO_LARGE;
  let host: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!;
    if (name.length !== 4 || (name !== "Host" && name.toLowerCase() !== "host")) continue;
    if (host !== undefined) return BAD_HOST;
    host = rawHeaders[at + 1]!;
  }
  if (host === undefined) {
    if (httpVersionMinor !== 0) return BAD_HOST;
    host = "";
  } else if (host !== knownHost) {
    if (!isHost(host)) return BAD_HOST;
    knownHost = host;
  }
  if (url.startsWith("/")) return { authority: host, target: url, targetStart: 0 };
  if (url === "*" && method === "OPTIONS") {
    return { authority: host, target: "/*", targetStart: 0 };
  }
  return absoluteTarget(url);
}

function hasTooManyFields(rawHeaders: readonly string[]): boolean {
  if (rawHeaders.length <= 2 * MAX_HEADER_NAMES) return false;
  if (rawHeaders.length > 2 * MAX_HEADER_PAIRS) return true;
  let names = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]!.toLowerCase() !== "cookie") names++;
  }
  return names > MAX_HEADER_NAMES;
}

/** A target with scheme and authority, which then counts instead of the Host header (RFC 9112, 3.2.2). */
function absoluteTarget(url: string): Refusal | Target {
  const match = /^https?:\/\/([^/?#]+)/i.exec(url);
  if (match === null || !isHost(match[1]!)) return MALFORMED;
  const rest = url.slice(match[0].length);
  return {
    authority: match[1]!,
    target: rest.startsWith("/") ? rest : `/${rest}`,
    targetStart: 0,
  };
}

/** The parser knows its methods and calls all others malformed; the request line tells them apart. */
function hasUnknownMethod(packet: Uint8Array | undefined): boolean {
  if (packet === undefined) return false;
  const line = new TextDecoder("latin1").decode(packet.subarray(0, 2048));
  const method = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) [!-~]+ HTTP\/1\.[01]\r\n/.exec(line)?.[1];
  return method !== undefined && !isAllowedMethod(method);
}

/** The client has said all it will. Answers may still be on their way; a body that is not complete is not. */
function halfClosed(connection: EdgeConnection): void {
  connection.endedAt = performance.now();
  if (connection.session === undefined) connection.exchanges.forEach(failIncomplete);
}

function failIncomplete({ body, incoming }: EdgeContext): void {
  if (body !== undefined && !incoming.complete) body.fail(endedEarly());
}

/** What `Deno.serve` would throw, so that both fronts fail alike. */
function listenError(error: Error, host: string, port: number): Error {
  const where = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  const cause = { cause: error };
  switch ((error as { code?: string }).code) {
    case "EADDRINUSE":
      return new Deno.errors.AddrInUse(`Address already in use: ${where}`, cause);
    case "EADDRNOTAVAIL":
    // What this runtime says for an address of another machine, and for names nobody knows.
    case "EINVAL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new Deno.errors.AddrNotAvailable(`Address not available: ${where}`, cause);
    case "EACCES":
      return new Deno.errors.PermissionDenied(`No permission to listen on ${where}`, cause);
    default:
      return error;
  }
}
