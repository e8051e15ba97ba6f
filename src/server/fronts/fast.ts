/**
 * The `fast` front: `Deno.serve` with what a server needs besides. For clients that are trusted not to
 * be slow on purpose: those on the same machine, or a proxy.
 *
 * @module
 */

import { isIPv4, isIPv6 } from "../../core/ip_address.ts";
import { nodeBuffer } from "../../core/node_builtins.ts";
import { asError } from "../../core/errors.ts";
import { type Handler, isThenable } from "../../core/handler.ts";
import { type Listed, LiveList } from "../../core/live_list.ts";
import type { Log } from "../../core/log.ts";
import {
  DEFAULT_FRONT_LIMITS,
  type Front,
  type FrontLimits,
  type FrontOptions,
  type StartFront,
} from "../front.ts";
import { isNativeStream, peekBody, type PeekedBody } from "./body_peek.ts";
import { ConnectionEstimate } from "./connection_estimate.ts";
import { FastContext, type FastShare, PeerNumbers } from "./fast_context.ts";
import { guardRequest, type LeavableBody, type RequestGuard } from "./guarded_request.ts";
import { CutError, guardStream } from "./guarded_response.ts";
import { deadline, delay } from "./deadline.ts";
import { peekHeader } from "./header_peek.ts";
import { PendingWork } from "./pending_work.ts";
import { RefusalLog } from "./refusal_log.ts";
import {
  ALLOWED_METHODS,
  BAD_HOST,
  BAD_METHOD,
  isAllowedMethod,
  isHost,
  MALFORMED,
  NO_TUNNEL,
  ownHeaders,
  plainAddress,
  type Refusal,
} from "./request_rules.ts";
import { StallWatch } from "./stall_watch.ts";
import { type Upload, Uploads } from "./uploads.ts";
import { journalWebSockets } from "./websocket_journal.ts";

type Info = Deno.ServeHandlerInfo<Deno.NetAddr>;

/**
 * While it shuts down, the front answers with `Connection: close` for so long before it closes the
 * connections that are idle: a request that is already on its way then still gets its answer.
 */
const LINGER_MS = 100;

/**
 * How long to wait for the connections of responses that were broken off. The runtime keeps one whose
 * client stopped in the middle of a request body until that client leaves; the process does not wait.
 */
const CUT_MS = 500;
/** Milliseconds between two tries to listen again. */
const LISTEN_AGAIN_MS = 100;

/** Starts the `fast` front. */
export const startFast: StartFront = (options) =>
  new Promise((resolve) => resolve(new FastFront(options)));

/** Limits that the runtime leaves no means to enforce. */
const NOT_ENFORCED = [
  "keepAliveSeconds",
  "headerTimeoutSeconds",
  "maxHeaderBytes",
  "minBodyBytesPerSecond",
  "maxConnections",
  "maxConnectionsPerAddress",
] as const;

/** Whoever sets such a limit relies on it. */
function tellWhatIsIgnored(limits: FrontLimits, log: Log): void {
  const ignored = NOT_ENFORCED.filter((name) => limits[name] !== DEFAULT_FRONT_LIMITS[name]);
  if (ignored.length === 0) return;
  log.log(
    `front fast does not enforce ${ignored.join(", ")}; run({ front: "edge" }) does`,
    "warn",
    "front",
  );
}

/** How to recognise a request that named no host. */
interface Hostless {
  /** Beginnings of its URL. */
  readonly prefixes: readonly string[];
  /** Nothing else can have such a URL. */
  readonly isCertain: boolean;
}

/** An answer that is to come. */
interface LateAnswer extends Listed {
  readonly resolve: (res: Response) => void;
}

class FastFront implements Front {
  readonly address: { readonly hostname: string; readonly port: number };
  readonly #options: FrontOptions;
  readonly #handler: Handler;
  readonly #share: FastShare;
  readonly #work: PendingWork;
  readonly #refusals: RefusalLog;
  readonly #bodies: StallWatch;
  readonly #responses: StallWatch;
  #server: Deno.HttpServer<Deno.NetAddr>;
  /** Drops all connections of the server at once. */
  #abort = new AbortController();
  readonly #estimate: ConnectionEstimate;
  readonly #hostless: Hostless;
  readonly #traced = new WeakSet<Error>();
  #knownHost = "localhost";
  /** Beginning of an address that was found to be in order, up to the slash of its path. */
  #knownOrigin = "http://localhost/";
  readonly #running = new LiveList<LateAnswer>();
  readonly #uploads = new Uploads();
  #streaming = 0;
  #isDraining = false;
  #shutdown: Promise<void> | undefined;

  constructor(options: FrontOptions) {
    const { hostname, counters, limits, log, workerId } = options;
    const scheme = options.tls === undefined ? "http" : "https";
    this.#options = options;
    this.#handler = options.handler;
    this.#work = new PendingWork(log);
    this.#refusals = new RefusalLog(log);
    this.#share = {
      counters,
      scheme,
      workerId,
      work: this.#work,
      peers: new PeerNumbers(() => counters.nextConnection()),
    };
    const timeoutMs = limits.requestTimeoutSeconds * 1000;
    this.#responses = new StallWatch(timeoutMs);
    this.#bodies = new StallWatch(timeoutMs);
    journalWebSockets(log);
    if (workerId === "W0") tellWhatIsIgnored(limits, log);
    const bound = this.#listen();
    this.#server = bound.server;
    this.#keepListening(bound.hostname);
    this.#hostless = hostless(scheme, bound.hostname, bound.server.addr.port);
    this.address = { hostname, port: this.#server.addr.port };
    this.#estimate = new ConnectionEstimate(
      isIPv4(hostname) ? hostname : this.#server.addr.hostname,
      this.address.port,
      () => this.#running.size + this.#streaming,
    );
  }

  connections(now: number = performance.now()): number {
    return this.#estimate.at(now);
  }

  shutdown(graceMs: number, handoverMs: number = 0): Promise<void> {
    return this.#shutdown ??= this.#drain(graceMs, Math.min(handoverMs, graceMs / 2));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown(0);
  }

  /**
   * Binds IPv4 addresses through their IPv6 form, `::ffff:127.0.0.1`, where the system can. To a request
   * without Host the runtime gives the listening address as host, which for 127.0.0.1 is `localhost`, as
   * an HTTP/2 client would say that means it; the other form is none that a client would name.
   */
  #listen(): { server: Deno.HttpServer<Deno.NetAddr>; hostname: string } {
    const { hostname, port } = this.#options;
    if (isIPv4(hostname)) {
      const mapped = `::ffff:${hostname}`;
      try {
        return { server: this.#serve(mapped, port), hostname: mapped };
      } catch (error) {
        // The port is the same either way; anything else may be for want of IPv6.
        if (error instanceof Deno.errors.AddrInUse) throw error;
      }
    }
    try {
      return { server: this.#serve(hostname, port), hostname };
    } catch (error) {
      // The text of the runtime does not say which name nobody knows.
      if (!asError(error).message.startsWith("failed to lookup address")) throw error;
      throw new Deno.errors.AddrNotAvailable(`Address not available: ${hostname}`, {
        cause: error,
      });
    }
  }

  #serve(hostname: string, port: number): Deno.HttpServer<Deno.NetAddr> {
    const { reusePort, tls } = this.#options;
    return Deno.serve({
      hostname,
      port,
      signal: this.#abort.signal,
      onListen: () => {},
      onError: this.#failed,
      ...(tls === undefined ? {} : { cert: tls.cert, key: tls.key }),
      // Naming the option at all ends a process that was started without its unstable flag.
      ...(reusePort ? { reusePort } : {}),
    }, this.#onRequest);
  }

  /**
   * The runtime ends a server when a connection cannot be accepted, for want of file descriptors for one,
   * and without its server a process has nothing left to do. So it is dropped with its connections, which
   * gives their descriptors back, and there is another one.
   */
  #keepListening(hostname: string): void {
    this.#server.finished.catch((error) => {
      if (this.#isDraining) return;
      const { message } = asError(error);
      this.#options.log.log(
        `no connection can be accepted, so all are dropped: ${message}`,
        "error",
        "front",
      );
      this.#abort.abort();
      this.#abort = new AbortController();
      this.#listenAgain(hostname);
    });
  }

  #listenAgain(hostname: string): void {
    if (this.#isDraining) return;
    try {
      this.#server = this.#serve(hostname, this.address.port);
      this.#keepListening(hostname);
    } catch {
      // Said already. What holds the rest of the descriptors may give some back.
      setTimeout(() => this.#listenAgain(hostname), LISTEN_AGAIN_MS);
    }
  }

  readonly #onRequest = (req: Request, info: Info): Response | Promise<Response> => {
    const { method } = req;
    const host = peekHeader(req, "host");
    if (host === null) {
      if (this.#lacksHost(req)) return this.#refuse(req, info, BAD_HOST);
    } else if (host !== this.#knownHost) {
      if (!isHost(host)) return this.#refuse(req, info, BAD_HOST);
      this.#knownHost = host;
    }
    if (method !== "GET" && method !== "HEAD") {
      if (!isAllowedMethod(method)) {
        return this.#refuse(req, info, method === "CONNECT" ? NO_TUNNEL : BAD_METHOD);
      }
    }
    const { url } = req;
    if (!url.startsWith(this.#knownOrigin)) {
      const origin = originOf(url);
      if (origin === undefined) return this.#refuse(req, info, MALFORMED);
      if (origin.endsWith("/")) this.#knownOrigin = origin;
    }
    const ctx = new FastContext(this.#share, req, info, host);
    // A Request never shows the body of the other two.
    let upload: FastUpload | undefined;
    if (method !== "GET" && method !== "HEAD") {
      upload = new FastUpload(this.#bodies, this.#uploads, () => this.#bodyStalled(ctx));
      guardRequest(req, upload);
    }
    let result: Response | Promise<Response>;
    try {
      result = this.#handler(req, ctx);
    } catch (error) {
      upload?.answered(ctx);
      return this.#failed(error);
    }
    if (isThenable(result)) return this.#answerLater(result, method, ctx, upload);
    return this.#deliver(result, method, ctx, upload);
  };

  /** Answers when the handler does, or with 503 when the front has to end before. */
  #answerLater(
    pending: Promise<Response>,
    method: string,
    ctx: FastContext,
    upload: FastUpload | undefined,
  ): Promise<Response> {
    if (upload !== undefined) this.#uploads.begin(upload);
    return new Promise((resolve) => {
      const late = { place: -1, resolve };
      this.#running.add(late);
      const failed = (error: unknown) => {
        upload?.over();
        upload?.answered(ctx);
        const res = this.#failed(error);
        if (this.#running.delete(late)) resolve(res);
      };
      pending.then((res) => {
        // the front may have had to answer before
        if (late.place === -1) {
          res.body?.cancel().catch(failed);
          return;
        }
        try {
          resolve(this.#deliver(res, method, ctx, upload));
          this.#running.delete(late);
        } catch (error) {
          failed(error);
        }
      }, failed);
    });
  }

  /** Streams are watched; all else goes out as it is, which is what makes it fast. */
  #deliver(
    res: Response,
    method: string,
    ctx: FastContext,
    upload: FastUpload | undefined,
  ): Response {
    upload?.answered(ctx);
    // the runtime takes the length from an answer 205, and HTTP/1 clients would wait for a body
    if (res.status === 205 && ctx.httpVersion !== "2.0") {
      return this.#last(new Response(null, { status: 204, headers: res.headers }), ctx);
    }
    const content = peekBody(res);
    if (method === "HEAD") return this.#last(this.#headOf(res, content), ctx);
    const source = content === undefined ? res.body : null;
    if (source === null || isNativeStream(source)) {
      upload?.over();
      return this.#last(res, ctx);
    }
    const over = (isBroken: boolean) => {
      this.#streaming--;
      upload?.over();
      if (isBroken) ctx.breakOff();
    };
    const stream = guardStream(source, this.#responses, {
      ended: () => over(false),
      cancelled: () => over(true),
      failed: (error) => {
        over(true);
        this.#trace(error);
      },
      stalled: () => {
        over(true);
        this.#options.counters.zombie();
        this.#refusals.write(`cut: response to ${ctx.remoteAddr} stalled, ${ctx.path}`);
      },
    });
    // Not before: a stream that somebody else reads has just been refused.
    this.#streaming++;
    return this.#last(new Response(stream as BodyInit, res), ctx);
  }

  /** Over HTTP/2 the runtime would send the body of an answer to HEAD, which breaks the stream. */
  #headOf(res: Response, content: PeekedBody): Response {
    if (content === null) return res;
    if (content === undefined) {
      // Nobody is going to read it.
      res.body?.cancel().catch((error) => this.#options.log.trace(error, "front"));
      // For no body at all the runtime would write a length of 0, which is not that of the answer to GET.
      return new Response(res.headers.has("content-length") ? null : emptyStream(), res);
    }
    const head = new Response(null, res);
    const size = typeof content === "string"
      ? nodeBuffer().byteLength(content)
      : content.byteLength;
    head.headers.set("content-length", `${size}`);
    return head;
  }

  #bodyStalled(ctx: FastContext): void {
    this.#options.counters.zombie();
    this.#refusals.write(`cut: body from ${ctx.remoteAddr} stalled, ${ctx.path}`);
  }

  /** While the front shuts down, each answer is the last one of its connection. */
  #last(res: Response, ctx: FastContext): Response {
    // HTTP/2 has no such header; the runtime tells its clients by a frame.
    if (!this.#isDraining || ctx.httpVersion === "2.0" || res.status === 101) return res;
    try {
      res.headers.set("connection", "close");
      return res;
    } catch {
      // The headers of a fetched response cannot be changed.
      const copy = new Response(res.body, res);
      copy.headers.set("connection", "close");
      return copy;
    }
  }

  #lacksHost(req: Request): boolean {
    const { url, headers } = req;
    const { prefixes, isCertain } = this.#hostless;
    return prefixes.some((prefix) => url.startsWith(prefix)) &&
      (isCertain || HTTP1_ONLY.some((name) => headers.has(name)));
  }

  #refuse(req: Request, info: Info, refusal: Refusal): Response {
    const { status, reason } = refusal;
    this.#refusals.write(
      `${status} to ${plainAddress(info.remoteAddr.hostname)}: ${reason} (${req.method})`,
    );
    const headers = this.#ownHeaders();
    if (status === 405) headers.allow = ALLOWED_METHODS;
    const text = `${reason}\n`;
    // An HTTP/2 tunnel is a stream of its own: what follows on it is no request.
    if (refusal !== NO_TUNNEL || req.headers.get("host") === null) {
      return new Response(text, { status, headers });
    }
    return breakOff(new Response(text, { status, headers }));
  }

  readonly #failed = (error: unknown): Response => {
    this.#trace(error);
    return new Response("Internal Server Error\n", { status: 500, headers: this.#ownHeaders() });
  };

  /** Headers of what the front answers by itself. */
  #ownHeaders(): Record<string, string> {
    return ownHeaders(this.#options.server);
  }

  /** The runtime reports failed streams once more. */
  #trace(error: unknown): void {
    const thrown = asError(error);
    if (thrown instanceof CutError || this.#traced.has(thrown)) return;
    this.#traced.add(thrown);
    this.#options.log.trace(thrown, "front");
  }

  async #drain(graceMs: number, handoverMs: number): Promise<void> {
    this.#isDraining = true;
    if (graceMs > 0) {
      const grace = deadline(graceMs);
      // The runtime closes the connections on which it has read nothing together with the socket.
      await Promise.race([grace.passed, delay(Math.max(handoverMs, Math.min(LINGER_MS, graceMs)))]);
      let isLate = true;
      await Promise.race([grace.passed, this.#uploads.settled().then(() => isLate = false)]);
      if (isLate) {
        // A connection whose body never ends would stay open as long as its client likes.
        await this.#cutAll();
      } else {
        const closed = this.#server.shutdown().catch((error) => this.#trace(error));
        await Promise.race([grace.passed, closed.then(() => this.#work.settled())]);
        grace.cancel();
        await this.#cut(closed);
      }
    } else {
      await this.#cutAll();
    }
    await this.#estimate.settled();
    this.#refusals.flush();
  }

  /** Ends what is still running, with every connection. */
  async #cutAll(): Promise<void> {
    // Before a shutdown the runtime can drop all connections at once, after it no longer.
    this.#abort.abort();
    await this.#cut(this.#server.finished.catch((error) => this.#trace(error)));
  }

  /** Ends what is still running. */
  async #cut(closed: Promise<void>): Promise<void> {
    this.#responses.stallAll();
    this.#bodies.stallAll();
    for (const late of this.#running) {
      this.#running.delete(late);
      const headers = this.#ownHeaders();
      late.resolve(new Response("Service Unavailable\n", { status: 503, headers }));
    }
    const patience = deadline(CUT_MS);
    await Promise.race([closed, patience.passed]);
    patience.cancel();
  }
}

/** What the reading of one request's body tells the front. */
class FastUpload implements RequestGuard, Upload {
  isOver = false;
  isCounted = false;
  body: LeavableBody | undefined = undefined;

  constructor(
    readonly watch: StallWatch,
    readonly uploads: Uploads,
    readonly stalled: () => void,
  ) {}

  /** The response is there. */
  answered(ctx: FastContext): void {
    const { body } = this;
    if (body?.isOpen) ctx.completion.then(() => body.leave());
  }

  over(): void {
    if (!this.isOver) this.uploads.end(this);
  }
}

function emptyStream(): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({ start: (controller) => controller.close() });
}

/** Headers that HTTP/2 does not have. */
const HTTP1_ONLY = ["connection", "keep-alive", "transfer-encoding", "upgrade"] as const;

/** What the runtime makes of requests that name no host, and whether no client would mean it. */
function hostless(scheme: string, hostname: string, port: number): Hostless {
  const isCertain = isIPv6(hostname) && hostname.startsWith("::ffff:");
  const hosts = isCertain ? [`[${hostname}]`, hostname] : ["localhost", hostname, `[${hostname}]`];
  return {
    isCertain,
    prefixes: hosts.flatMap((host) => [`${scheme}://${host}:${port}/`, `${scheme}://${host}/`]),
  };
}

/**
 * Beginning of an address up to the slash of its path, if there is one. A client may send a whole
 * address in place of a path, and over HTTP/2 any authority: `undefined` where that names no host.
 */
function originOf(url: string): string | undefined {
  const [origin, authority] = /^https?:\/\/([^/?#]*)(?:\/|$)/i.exec(url) ?? [];
  return authority !== undefined && isHost(authority) ? origin : undefined;
}

/**
 * The same response with a body that ends in an error, upon which the runtime drops the connection. It
 * does not for a `Connection: close`, and reads what follows a CONNECT as further requests.
 */
function breakOff(res: Response): Response {
  const content = peekBody(res);
  const copy = new Response(
    new ReadableStream(new BrokenSource(content), { highWaterMark: 0 }),
    res,
  );
  // A body of declared length would be complete, and the connection kept.
  copy.headers.delete("content-length");
  copy.headers.set("connection", "close");
  return copy;
}

class BrokenSource implements UnderlyingDefaultSource<Uint8Array<ArrayBuffer>> {
  #content: PeekedBody;

  constructor(content: PeekedBody) {
    this.#content = content;
  }

  pull(controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): void {
    const content = this.#content;
    this.#content = undefined;
    if (content === undefined || content === null || content.length === 0) {
      controller.error(new CutError("The connection is dropped on purpose"));
    } else {
      controller.enqueue(
        typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content),
      );
    }
  }
}
