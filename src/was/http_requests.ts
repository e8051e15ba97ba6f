/**
 * HTTP requests as handlers make them: address, data and options in, future out.
 *
 * @module
 */

import type { StopSignal } from "../core/stop.ts";
import type { Outcome } from "../clients/contract.ts";
import type { HttpClient } from "../clients/http/client.ts";
import { checkHeaderValue, flattenHeaders, type HttpRequest } from "../clients/http/request.ts";
import { asError, type BackendError, ProtocolError } from "../core/errors.ts";
import type { BalanceFacts } from "../net/balance/policy.ts";
import { deliver, type Delivery } from "../net/deliver.ts";
import { nameFailure, unavailable, watchHealth } from "./delivery.ts";
import { type Alias, type AliasMember, certificatesOf, splitAliasPath } from "./aliases.ts";
import { backendKeepAlive, backends } from "./backend_clients.ts";
import { forgetChanged, isCacheChange, isCachedRequest, throughCache } from "./cachefs.ts";
import { encodeBody, encodeUpload, type RequestData, withQuery } from "./encode_data.ts";
import {
  type Asked,
  type Cacheable,
  failedOutcome,
  Future,
  type FutureOwner,
  type ResultCallback,
} from "./future.ts";
import { keyOf } from "./kept_outcome.ts";
import { MapFuture } from "./map_future.ts";
import { type Result, withoutUser } from "./result.ts";

/** Options of a request. */
export interface ReqOptions<T = unknown> {
  /** `[user, password]` for basic and digest, used when the server asks; `[token]` for a bearer token. */
  readonly auth?: readonly [string, string?];
  /** Request headers; they replace the defaults of the same name. */
  readonly headers?: HeadersInit | Readonly<Record<string, string>>;
  /**
   * Whether a kept result may be used. False asks the backend, and sends `Cache-Control: no-cache`; a
   * number, such as `was.getlu("users")`, forgets what was requested before that time. Default true.
   */
  readonly useCache?: boolean | number;
  /** Comes back as `result.meta`. The key `reqid` is reserved. */
  readonly meta?: Readonly<Record<string, unknown>>;
  /** Run on the result before it is handed over, unless the request failed. */
  readonly filter?: (result: Result<T>) => unknown;
  /** Called with the result when it arrives; as a list, with further arguments. */
  readonly callback?: ResultCallback<T>;
  /** Seconds from now until the request is given up. Default 10. */
  readonly timeout?: number;
  /**
   * Milliseconds after which a second member of the alias is asked; the first answer wins and the
   * other request is given up. Only for methods that are idempotent. Default: not.
   */
  readonly hedgeMs?: number;
  /** Hand the body over as a stream, in `result.raw`, as soon as the header is there. Default false. */
  readonly stream?: boolean;
  /** Largest response body in bytes, after decompression too. Default 64 MiB. */
  readonly maxBytes?: number;
  /** Most redirects to follow. Default 5. */
  readonly maxRedirects?: number;
  /** Certificates to trust besides the system's, PEM. Default: those of the alias. */
  readonly ca?: string | readonly string[];
}

/** The options that do not depend on the type of the data. */
type WireOptions = Omit<ReqOptions, "filter" | "callback">;

/** A request method of `was`. */
export interface RequestMethod<D = RequestData> {
  /**
   * Starts a request.
   *
   * @param uri Absolute URL, or `@alias/path`.
   * @throws {TypeError} without an address, with an unknown alias, option or reserved key. Whatever
   * else is wrong with a request gives a result with status -1.
   */
  <T = unknown>(uri: string, data?: D, options?: ReqOptions<T>): Future<T>;
  /** As a plain call, but only to an alias: the member with the least load gets the request. */
  lb<T = unknown>(uri: string, data?: D, options?: ReqOptions<T>): Future<T>;
  /**
   * Every member of an alias at once; gives a result for each, in their order, those that failed
   * included. A callback is not possible, nor a stream as data.
   */
  map<T = unknown>(
    uri: string,
    data?: D,
    options?: Omit<ReqOptions<T>, "callback">,
  ): MapFuture<T>;
}

/** What requests need of the object they are methods of. */
export interface Requester extends FutureOwner {
  /** Content type sent and type accepted unless a request says otherwise. */
  readonly requestTypes: readonly [requestType: string, acceptType: string];
  /** Finds an alias. @throws {TypeError} when there is none of that name. */
  findAlias(name: string): Alias;
  /** Transaction headers of the next call, names in lower case and values in turn. */
  transactionHeaders(): readonly string[];
  /** What balance policies may know of the request that is being answered. */
  balanceFacts(): BalanceFacts | undefined;
}

/** Methods there are; `UPLOAD` is a POST of a multipart form. */
export type RequestKind =
  | "GET"
  | "HEAD"
  | "OPTIONS"
  | "DELETE"
  | "POST"
  | "PUT"
  | "PATCH"
  | "UPLOAD";

const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);
const KNOWN = new Set([
  "auth",
  "headers",
  "useCache",
  "meta",
  "filter",
  "callback",
  "timeout",
  "stream",
  "maxBytes",
  "maxRedirects",
  "hedgeMs",
  "ca",
]);

/** Makes a method of a requester. */
export function requestMethod<D = RequestData>(
  requester: Requester,
  kind: RequestKind,
): RequestMethod<D> {
  const method = <T>(uri: string, data?: D, options?: ReqOptions<T>) =>
    startRequest<T>(requester, kind, uri, data as RequestData, options);
  method.lb = <T>(uri: string, data?: D, options?: ReqOptions<T>) => {
    if (typeof uri === "string" && !uri.startsWith("@")) {
      throw new TypeError(`Cannot balance ${JSON.stringify(uri)}: expected @alias/path`);
    }
    return startRequest<T>(requester, kind, uri, data as RequestData, options);
  };
  method.map = <T>(uri: string, data?: D, options?: ReqOptions<T>) =>
    mapRequest<T>(requester, kind, uri, data as RequestData, options);
  return method;
}

function mapRequest<T>(
  requester: Requester,
  kind: RequestKind,
  uri: string,
  data: RequestData | undefined,
  options: ReqOptions<T> | undefined,
): MapFuture<T> {
  if (typeof uri !== "string" || !uri.startsWith("@")) {
    throw new TypeError(`Cannot map ${JSON.stringify(uri)}: expected @alias/path`);
  }
  if (options?.callback !== undefined) {
    throw new TypeError(`Cannot map ${uri}: a callback is not possible there`);
  }
  if (data instanceof ReadableStream) {
    throw new TypeError(`Cannot map ${uri}: a stream can be sent to one member only`);
  }
  const { members } = requester.findAlias(splitAliasPath(uri).name);
  return new MapFuture(
    members.map((member) => startRequest<T>(requester, kind, uri, data, options, member)),
  );
}

/** Starts a request; see {@link RequestMethod}. */
export function startRequest<T>(
  requester: Requester,
  kind: RequestKind,
  uri: string,
  data: RequestData | undefined,
  options: ReqOptions<T> | undefined,
  member?: AliasMember,
): Future<T> {
  const method = kind === "UPLOAD" ? "POST" : kind;
  if (typeof uri !== "string" || uri === "") {
    throw new TypeError(`Cannot start a ${method} request: no URL or alias was given`);
  }
  if (options !== undefined) checkOptions(method, uri, options);
  const alias = uri.startsWith("@") ? requester.findAlias(splitAliasPath(uri).name) : undefined;
  const facts = {
    method,
    url: withoutUser(uri),
    meta: options?.meta,
    owner: requester,
    timeout: options?.timeout,
    filter: options?.filter,
    callback: options?.callback,
    useCache: options?.useCache,
    cacheable: undefined as Cacheable | undefined,
    asked: undefined as Asked | undefined,
  };
  let prepared: PreparedRequest;
  try {
    prepared = prepare(requester, kind, method, uri, alias, data, options, member);
  } catch (thrown) {
    const outcome = failedOutcome(asError(thrown), -1, 701);
    return new Future<T>(() => Promise.resolve(outcome), facts);
  }
  facts.cacheable = facts.asked = prepared;
  return new Future<T>((signal) => prepared.send(signal), facts);
}

/** A request that only lacks its member. */
class PreparedRequest implements Asked, Cacheable {
  readonly #request: HttpRequest;
  readonly #alias: Alias | undefined;
  /** How many of the headers belong to this request alone: its transaction. */
  readonly #own: number;
  /** The one to ask, where it is not to be chosen. */
  readonly #member: AliasMember | undefined;
  readonly #requester: Requester;
  /** On its way to a member of the alias, where one is chosen. */
  #delivery: HttpDelivery | undefined;
  readonly #hedgeMs: number | undefined;
  /** Milliseconds since 1970: what was requested then or before may not be used. */
  readonly #since: number;
  /** What the caller wants, if it was said. */
  readonly #accept: string | undefined;

  constructor(
    requester: Requester,
    request: HttpRequest,
    alias: Alias | undefined,
    own: number,
    member: AliasMember | undefined,
    options: WireOptions | undefined,
    accept: string | undefined,
  ) {
    this.#accept = accept;
    this.#requester = requester;
    this.#hedgeMs = options?.hedgeMs;
    const useCache = options?.useCache;
    this.#since = useCache === false ? Infinity : typeof useCache === "number" ? useCache : 0;
    this.#request = request;
    this.#alias = alias;
    this.#own = own;
    this.#member = member;
  }

  /** The member it is to be sent to or was sent to last, or the server. */
  get node(): string | undefined {
    if (this.#alias === undefined) return URL.parse(this.#request.url)?.host;
    return this.#member?.node ?? this.#delivery?.node;
  }

  /** Alias, method, path, headers, credentials, limits and body; none for streams and uploads. */
  cacheKey(): string | undefined {
    const { method, url, headers, body, auth, stream, maxBytes, maxRedirects } = this.#request;
    if (stream || (body !== null && !(body instanceof Uint8Array))) return undefined;
    const told: string[] = [];
    for (let i = 0; i < headers.length - this.#own; i += 2) {
      if (headers[i] !== "cache-control") told.push(headers[i]!, headers[i + 1]!);
    }
    const limits = [maxBytes, maxRedirects];
    return keyOf([this.#alias?.scope, this.#member?.key, method, url, told, auth, limits, body]);
  }

  /** Sends it. An answer of a type or size that was not asked for is a failure. */
  send(signal: StopSignal): Promise<Outcome> {
    const accept = this.#accept;
    const { maxBytes, url } = this.#request;
    const answer = this.#cachedOrSent(signal);
    return accept === undefined && maxBytes === undefined
      ? answer
      : answer.then((outcome) => onlyAcceptable(outcome, accept, url, maxBytes));
  }

  /** Sends it, unless there is an answer to it in the cache file system. */
  #cachedOrSent(signal: StopSignal): Promise<Outcome> {
    const request = this.#request;
    const changes = isCacheChange(request);
    if (!changes && !isCachedRequest(request)) return this.#send(signal);
    const members = this.#member === undefined ? this.#alias?.members ?? [] : [this.#member];
    const place = members.map(({ node, database }) => node + database).join(" ");
    if (changes) {
      return this.#send(signal).then(async (outcome) => {
        await forgetChanged(request, place, outcome);
        return outcome;
      });
    }
    return throughCache(request, place, this.#own, (stop) => this.#send(stop), signal, {
      credentials: credentialsOf(request, members),
      since: this.#since,
    });
  }

  #send(signal: StopSignal): Promise<Outcome> {
    const client = backends.get("http", loadHttpClient);
    if (!(client instanceof Promise)) return this.#sendBy(client, signal);
    return client.then((ready) => this.#sendBy(ready, signal));
  }

  #sendBy(client: HttpClient, signal: StopSignal): Promise<Outcome> {
    const request = this.#request;
    const alias = this.#alias;
    if (alias === undefined) return client.send(request, signal);
    if (this.#member !== undefined) {
      return client.send(addressedTo(request, alias, this.#member), signal);
    }
    return this.#deliver(client, alias, signal);
  }

  #deliver(client: HttpClient, alias: Alias, signal: StopSignal): Promise<Outcome> {
    const { balancer } = alias;
    watchHealth(alias);
    const delivery = this.#delivery = new HttpDelivery(
      client,
      this.#request,
      alias,
      balancer.needsFacts ? this.#requester.balanceFacts() : undefined,
      this.#hedgeMs,
    );
    const delivered = deliver<AliasMember, Outcome>(balancer, delivery, signal);
    return Promise.resolve(delivered).then((outcome) => {
      if (outcome.error !== undefined) nameFailure(outcome.error, alias, delivery.attempts);
      return outcome;
    });
  }
}

/** A request on its way to a member of an alias. */
class HttpDelivery implements Delivery<AliasMember, Outcome> {
  readonly repeatable: boolean;
  readonly facts: BalanceFacts | undefined;
  readonly hedgeMs: number | undefined;
  attempts = 0;
  /** The member that was asked last. */
  node: string | undefined;
  readonly #client: HttpClient;
  readonly #request: HttpRequest;
  readonly #alias: Alias;

  constructor(
    client: HttpClient,
    request: HttpRequest,
    alias: Alias,
    facts: BalanceFacts | undefined,
    hedgeMs: number | undefined,
  ) {
    this.#client = client;
    this.#request = request;
    this.#alias = alias;
    this.repeatable = isRepeatable(request, alias.balancer.retry?.methods);
    this.facts = facts;
    this.hedgeMs = hedgeMs;
  }

  ask(member: AliasMember, signal: StopSignal): Promise<Outcome> {
    this.node = member.node;
    return this.#client.send(addressedTo(this.#request, this.#alias, member), signal);
  }

  load({ key }: AliasMember): number {
    return this.#client.load(key);
  }

  unavailable(error: BackendError): Outcome {
    return failedOutcome(unavailable(this.#alias, error), 2, 714);
  }
}

function prepare(
  requester: Requester,
  kind: RequestKind,
  method: string,
  uri: string,
  alias: Alias | undefined,
  data: RequestData | undefined,
  options: WireOptions | undefined,
  member: AliasMember | undefined,
): PreparedRequest {
  const [requestType, acceptType] = requester.requestTypes;
  if (alias !== undefined && alias.type !== "http" && alias.type !== "https") {
    throw new TypeError(`Cannot send HTTP to ${alias.name}: it is of type ${alias.type}`);
  }
  const given = flattenHeaders(options?.headers);
  const auth = options?.auth;
  // a bearer token is sent as it is; users and passwords are encoded
  if (auth !== undefined && auth[1] === undefined) checkHeaderValue("authorization", auth[0]);
  const headers: string[] = [];
  const accepted = indexOfName(given, "accept");
  if (accepted === -1) headers.push("accept", acceptType);
  const limited = indexOfName(given, "accept-content-length");
  const maxBytes = limited === -1
    ? options?.maxBytes
    : Math.min(bytesOf(given[limited + 1]!), options?.maxBytes ?? Infinity);
  const bypass = options?.useCache === false;
  if (bypass && indexOfName(given, "cache-control") === -1) {
    headers.push("cache-control", "no-cache");
  }
  let path = alias === undefined ? uri : splitAliasPath(uri).rest;
  let body: HttpRequest["body"] = null;
  if (kind === "POST" || kind === "PUT" || kind === "PATCH" || kind === "UPLOAD") {
    const at = indexOfName(given, "content-type");
    const explicit = kind === "UPLOAD" || at === -1 ? undefined : given[at + 1]!;
    const encoded = kind === "UPLOAD"
      ? encodeUpload((data ?? {}) as FormData)
      : encodeBody(data, explicit ?? requestType);
    body = encoded.body;
    if (kind === "UPLOAD" && at !== -1) given.splice(at, 2);
    if (explicit === undefined && body.length !== 0) {
      headers.push("content-type", encoded.contentType ?? requestType);
    }
  } else path = withQuery(path, data);
  const own = requester.transactionHeaders();
  headers.push(...given, ...own);
  const request: HttpRequest = {
    method,
    url: path,
    headers,
    body,
    auth,
    caCerts: certificatesOf(options?.ca) ?? alias?.caCerts,
    maxBytes,
    maxRedirects: options?.maxRedirects,
    stream: options?.stream,
  };
  return new PreparedRequest(
    requester,
    request,
    alias,
    own.length,
    member,
    options,
    accepted === -1 ? undefined : valuesOf(given, "accept"),
  );
}

/** Loads the HTTP client of this worker. @internal */
export async function loadHttpClient(): Promise<HttpClient> {
  const { HttpClient } = await import("../clients/http/client.ts");
  return new HttpClient({ keepAliveSeconds: backendKeepAlive });
}

/** A number of bytes out of a header. @throws {TypeError} for anything else. */
function bytesOf(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new TypeError(`Cannot send Accept-Content-Length: ${JSON.stringify(text)} is no number`);
}

/**
 * The outcome, or a failure: 718 when its type is none of those that were asked for, 719 when it comes
 * from the cache and is larger than this request allows.
 */
async function onlyAcceptable(
  outcome: Outcome,
  accept: string | undefined,
  url: string,
  maxBytes = Infinity,
): Promise<Outcome> {
  const { status, statusCode, content } = outcome;
  if (status === 3 && content !== null && content.length > maxBytes) {
    const error = new ProtocolError(`The answer of ${url} is larger than ${maxBytes} bytes`, 719);
    return { ...failedOutcome(error, 2, 719), node: outcome.node, url: outcome.url };
  }
  // an error page says more than the complaint that it is a page
  if (status !== 3 || statusCode < 200 || statusCode >= 300 || accept === undefined) return outcome;
  const type = outcome.headers.get("content-type");
  if (type === null || matchesAccept(type, accept)) return outcome;
  await outcome.body?.cancel();
  const error = new ProtocolError(`${url} is of type ${type}, accepted was ${accept}`, 718, {
    member: outcome.node,
  });
  return { ...failedOutcome(error, 2, 718), node: outcome.node, url: outcome.url };
}

/** Whether a media type is among those of an `Accept` header. */
function matchesAccept(contentType: string, accept: string): boolean {
  const type = contentType.split(";", 1)[0]!.trim().toLowerCase();
  return accept.toLowerCase().split(",").some((item) => {
    const [range = "", ...parameters] = item.split(";").map((part) => part.trim());
    if (parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter))) return false;
    if (range === "*/*" || range === type) return true;
    if (range.endsWith("/*")) return type.startsWith(range.slice(0, -1));
    // application/problem+json is JSON
    const [top, sub] = range.split("/");
    return sub !== undefined && type.startsWith(`${top}/`) && type.endsWith(`+${sub}`);
  });
}

/** Whether the request may reach two members. */
function isRepeatable({ method, body }: HttpRequest, more: readonly string[] | undefined): boolean {
  if (body !== null && !(body instanceof Uint8Array) && !body.replayable) return false;
  return IDEMPOTENT.has(method) || more?.includes(method) === true;
}

/** What a request will be sent with: its own credentials, those of its URL, or of its members. */
function credentialsOf({ auth, url }: HttpRequest, members: readonly AliasMember[]): string {
  if (auth !== undefined) return auth.join(":");
  if (members.length === 0) return /^[a-z]+:\/\/([^/?#\\]*)@/i.exec(url)?.[1] ?? "";
  return members.filter(({ user }) => user !== undefined)
    .map(({ user, password }) => `${user}:${password}`).join(" ");
}

/** Segments that begin with a dot, and what a URL parser takes for a slash or leaves out. */
const CLIMBING = /[\\\t\r\n]|\/(?:\.|%2e)/i;

/** A path without dot segments: they must not lead out of the path the member has. */
function contained(path: string): string {
  const { pathname, search } = new URL(`http://member${path}`);
  return pathname + search;
}

/** The request as it goes to a member. */
function addressedTo(request: HttpRequest, alias: Alias, member: AliasMember): HttpRequest {
  const rest = request.url;
  const path = rest === "" || rest.startsWith("/") ? rest : `/${rest}`;
  return {
    ...request,
    url: `${alias.tls ? "https" : "http"}://${member.node}${member.database}${
      member.database === "" || !CLIMBING.test(path) ? path : contained(path)
    }`,
    auth: request.auth ??
      (member.user === undefined ? undefined : [member.user, member.password]),
    poolKey: request.caCerts === alias.caCerts ? member.key : undefined,
    node: member.node,
  };
}

function checkOptions(method: string, uri: string, options: WireOptions): void {
  const where = `Cannot start ${method} ${withoutUser(uri)}`;
  for (const name of Object.keys(options)) {
    if (!KNOWN.has(name)) {
      throw new TypeError(`${where}: unknown option "${name}"; known are ${[...KNOWN].join(", ")}`);
    }
  }
  if (options.meta !== undefined && (typeof options.meta !== "object" || options.meta === null)) {
    throw new TypeError(`${where}: meta is an object, not ${String(options.meta)}`);
  }
  if (options.meta !== undefined && "reqid" in options.meta) {
    throw new TypeError(`${where}: the key "reqid" of meta is reserved`);
  }
  const { auth, hedgeMs } = options;
  if (hedgeMs !== undefined) {
    if (typeof hedgeMs !== "number" || !(hedgeMs >= 0)) {
      throw new TypeError(`${where}: hedgeMs is a number from 0, not ${String(hedgeMs)}`);
    }
    if (!IDEMPOTENT.has(method)) {
      throw new TypeError(`${where}: hedgeMs would send a ${method} twice`);
    }
  }
  const isAuth = Array.isArray(auth) && auth.length <= 2 && typeof auth[0] === "string" &&
    (auth[1] === undefined || typeof auth[1] === "string");
  if (auth !== undefined && !isAuth) {
    throw new TypeError(`${where}: auth is [user, password] or [token]`);
  }
  for (const name of ["maxBytes", "maxRedirects"] as const) {
    const value = options[name];
    if (value === undefined || (typeof value === "number" && value >= 0)) continue;
    throw new TypeError(`${where}: ${name} is a number from 0, not ${String(value)}`);
  }
}

/** Values of a header, joined by commas where there are several. */
function valuesOf(flat: readonly string[], name: string): string {
  return flat.filter((_, i) => i % 2 === 1 && flat[i - 1] === name).join(", ");
}

function indexOfName(flat: readonly string[], name: string): number {
  for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) return i;
  return -1;
}
