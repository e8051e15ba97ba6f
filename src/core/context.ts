/**
 * What is known about a request besides the `Request`: who sent it, over what, where it is mounted,
 * and what became of it.
 *
 * @module
 */

import { type AsyncFrames, asyncFrames } from "./async_frame.ts";

/** HTTP versions a front can report. `fast` cannot tell 1.0 from 1.1 and reports `"1.1"`. */
export type HttpVersion = "1.0" | "1.1" | "2.0";

/** Name and further facts of an authenticated user. */
export interface User {
  /** Name as it appears in the request log. */
  readonly name: string;
  /** Realm the user authenticated for. */
  readonly realm?: string;
  /** Whatever the authorizer knows besides. */
  readonly info?: unknown;
}

/** How a request ended. */
export interface Completion {
  /** True when the whole response was handed to the client's connection. */
  readonly delivered: boolean;
}

/**
 * Facts about one request, the second argument of every handler.
 *
 * One object is made by the front for each request and is passed on unchanged, so layers may set the
 * mutable members (`mountPoint`, `user`, `token`, the transaction ids) for those outside them.
 */
export interface RequestContext {
  /** Peer address without port and without brackets. */
  readonly remoteAddr: string;
  /** Peer port. */
  readonly remotePort: number;
  /** Number of the connection, unique within the engine, from 1. */
  readonly connectionId: number;
  /** Number of the request, unique within the engine, from 1. */
  readonly requestId: number;
  /** Scheme the client used on the socket we accepted. */
  readonly scheme: "http" | "https";
  /** HTTP version of the request. */
  readonly httpVersion: HttpVersion;
  /** Request target up to the question mark, as sent: percent-encoded, not normalised. */
  readonly path: string;
  /** Request target after the question mark, as sent, without it. */
  readonly query: string;
  /** Host and port as the client named them; `""` when HTTP/1.0 named none. */
  readonly authority: string;
  /** Host the client asked for: lower case, without port; `""` when HTTP/1.0 sent none. */
  readonly hostname: string;
  /** Short name of the worker that serves it: `M`, `W0`, `W1` … */
  readonly workerId: string;

  /** Prefix of the mount that answers, with its final slash (`/`, `/x/`); `""` before one is chosen. */
  mountPoint: string;
  /** Global transaction id; set by the transaction layer. */
  gtxnid: string;
  /** Local transaction id; set by the transaction layer. */
  ltxnid: number;
  /** Backend calls made so far, which number their local ids; see `core/transaction`. Absent means none. */
  childCalls?: number;
  /** Authenticated user, if any. */
  user: User | undefined;
  /** Bearer token as it may appear in the request log, if any. */
  token: string | undefined;
  /** Per-request service object (`was`), made on first use by the folder of that name. */
  service: unknown;

  /**
   * Value of a header as the front received it, `null` without one; `name` in lower case. Where there
   * is such a method it costs less than `req.headers`: see {@link headerOf}.
   */
  header?(name: string): string | null;
  /** Whether fields set as {@link trailers} reach the client. Absent means no. */
  readonly sendsTrailers?: boolean;
  /** False where the front cannot hand its connection over, as a response of 101 wants. Absent: it may. */
  readonly canUpgrade?: boolean;
  /** Fields to send after the body: names in lower case and values. What is set late is sent, too. */
  trailers?: [name: string, value: string][];

  /** Keeps the worker alive for this promise during a graceful stop; a rejection is logged. */
  waitUntil(promise: Promise<unknown>): void;
  /** Settles when the response was sent, or the client went away. Never rejects. Asking has a price: ask only when you need it. */
  readonly completion: Promise<Completion>;
}

/**
 * The members of a context that do not depend on the front: fronts extend it by what they know of the
 * socket. The transaction id is put together when somebody reads it.
 */
export abstract class BaseContext implements RequestContext {
  abstract readonly remoteAddr: string;
  abstract readonly remotePort: number;
  abstract readonly connectionId: number;
  abstract readonly requestId: number;
  abstract readonly scheme: "http" | "https";
  abstract readonly httpVersion: HttpVersion;
  abstract readonly path: string;
  abstract readonly query: string;
  abstract readonly authority: string;
  abstract readonly hostname: string;
  abstract readonly workerId: string;
  abstract readonly completion: Promise<Completion>;
  /** Prefix of the mount that answers. */
  mountPoint = "";
  /** Local transaction id, 1000 where the transaction begins. */
  ltxnid = 1000;
  /** Backend calls made so far. */
  childCalls = 0;
  /** Authenticated user, if any. */
  user: User | undefined = undefined;
  /** Bearer token for the log, if any. */
  token: string | undefined = undefined;
  /** Per-request service object. */
  service: unknown = undefined;
  #gtxnid = "";

  /** Global transaction id: the one received, else one made of the connection and request numbers. */
  get gtxnid(): string {
    if (this.#gtxnid === "") this.#gtxnid = `GTID-C${this.connectionId}-R${this.requestId}`;
    return this.#gtxnid;
  }

  set gtxnid(id: string) {
    this.#gtxnid = id;
  }

  abstract waitUntil(promise: Promise<unknown>): void;
}

/** Value of a request header; `name` in lower case. For layers that most requests only pass through. */
export function headerOf(req: Request, ctx: RequestContext, name: string): string | null {
  return ctx.header === undefined ? req.headers.get(name) : ctx.header(name);
}

/** The request that asynchronous code belongs to. */
const frames: AsyncFrames<RequestContext> = asyncFrames("request");

/**
 * Runs a handler so that {@link runningContext} finds its request, also after the handler has waited.
 *
 * A handler that answers at once has a frame like any other: a timer it sets or the stream it answers
 * with may continue while another request runs, whose context would be found there instead.
 */
export function runInContext<A, B, C, R>(
  ctx: RequestContext,
  run: (a: A, b: B, c: C) => R,
  a: A,
  b: B,
  c: C,
): R {
  return frames.run(ctx, run, a, b, c);
}

/** The request that is running, for code that is not handed its context; `undefined` outside of any. */
export function runningContext(): RequestContext | undefined {
  return frames.get();
}

/** What {@link createContext} may be told; the rest is derived from the URL of the request. */
export interface ContextInit
  extends Partial<Omit<RequestContext, "path" | "query" | "authority" | "hostname">> {
  /** Address of the request; path, query, host and scheme are taken from it. */
  readonly url: string;
}

/**
 * Makes a context for a request that did not come through one of our fronts: tests, the in-process
 * client, an app under bare `deno serve`. The path is cut out of the URL as it stands.
 */
export function createContext(init: ContextInit): RequestContext {
  const { path, query, authority, hostname, scheme } = splitUrl(init.url);
  const connectionId = init.connectionId ?? 1;
  const requestId = init.requestId ?? 1;
  const ctx: RequestContext = {
    remoteAddr: "127.0.0.1",
    remotePort: 0,
    connectionId,
    requestId,
    scheme,
    httpVersion: "1.1",
    workerId: "M",
    mountPoint: "",
    gtxnid: `GTID-C${connectionId}-R${requestId}`,
    ltxnid: 1000,
    childCalls: 0,
    user: undefined,
    token: undefined,
    service: undefined,
    waitUntil: () => {},
    completion: Promise.resolve({ delivered: true }),
    ...init,
    path,
    query,
    authority,
    hostname,
  };
  return ctx;
}

/** The parts of an absolute request URL that routing needs, cut out without parsing it as a `URL`. */
export interface UrlParts {
  /** `http` or `https`. */
  readonly scheme: "http" | "https";
  /** Host and port, as sent. */
  readonly authority: string;
  /** Host in lower case, without port and brackets. */
  readonly hostname: string;
  /** Path as sent. */
  readonly path: string;
  /** Query as sent, without the question mark. */
  readonly query: string;
}

/**
 * Cuts a request URL into its parts. Slicing costs a fraction of `new URL()` and keeps the path exactly
 * as the client sent it, which path-safety checks depend on.
 */
export function splitUrl(url: string): UrlParts {
  const scheme = url.startsWith("https:") ? "https" : "http";
  const from = scheme.length + 3;
  let start = url.indexOf("/", from);
  if (start === -1) start = url.length;
  const mark = url.indexOf("?", from);
  if (mark !== -1 && mark < start) start = mark;
  let end = url.indexOf("#", start);
  if (end === -1) end = url.length;
  const question = mark === -1 || mark > end ? -1 : mark;
  const authority = url.slice(from, start);
  return {
    scheme,
    authority,
    hostname: hostnameOf(authority),
    path: url.slice(start, question === -1 ? end : question) || "/",
    query: question === -1 ? "" : url.slice(question + 1, end),
  };
}

/** Host of an authority or `Host` header: lower case, no user, no port, no brackets. */
export function hostnameOf(authority: string): string {
  const at = authority.lastIndexOf("@");
  const host = at === -1 ? authority : authority.slice(at + 1);
  if (host.startsWith("[")) {
    const close = host.indexOf("]");
    return host.slice(1, close === -1 ? undefined : close).toLowerCase();
  }
  const colon = host.indexOf(":");
  return (colon === -1 ? host : host.slice(0, colon)).toLowerCase();
}
