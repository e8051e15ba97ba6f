/**
 * The cache file system of a worker, for requests of `was` and for proxies.
 *
 * @module
 */

import { Stop, type StopSignal } from "../core/stop.ts";
import type { Client, Outcome } from "../clients/contract.ts";
import { isDecodable } from "../clients/http/decode.ts";
import type { HttpRequest } from "../clients/http/request.ts";
import { ConfigError } from "../core/errors.ts";
import { type CacheRequest, readRequest } from "../store/freshness.ts";
import type { ResponseCache } from "../store/response_cache.ts";
import { Flight } from "../store/result_cache.ts";
import { backends } from "./backend_clients.ts";
import { keep, type KeptOutcome, KeptView } from "./kept_outcome.ts";
import { wac } from "./wac.ts";

/** Options of {@link enableCachefs}. */
export interface CachefsOptions {
  /** Most bytes in the memory of each worker. Default 0: none. */
  readonly memmax?: number;
  /** Most bytes on disk, of all workers together. Default 0: none. */
  readonly diskmax?: number;
  /** Directory on disk. Default: `cache` in the runtime directory of the service. */
  readonly path?: string;
}

let settings: CachefsOptions | undefined;
let defaultPath = "/var/tmp/skitai/cache";

/**
 * Keeps responses of backends to `GET` requests for as long as their headers allow: in memory first,
 * then on disk, where they survive restarts. Requests and proxies of all apps use it.
 *
 * @throws {ConfigError} for an unknown option. @throws {RangeError} for a size that is no whole number.
 */
export function enableCachefs(options: CachefsOptions): void {
  for (const name of Object.keys(options)) {
    if (["memmax", "diskmax", "path"].includes(name)) continue;
    throw new ConfigError(
      "enableCachefs",
      `unknown option "${name}"; known are memmax, diskmax, path`,
    );
  }
  for (const name of ["memmax", "diskmax"] as const) {
    const bytes = options[name] ?? 0;
    if (!Number.isSafeInteger(bytes) || bytes < 0) {
      throw new RangeError(`enableCachefs: ${name} is a number of bytes, not ${String(bytes)}`);
    }
  }
  const { memmax = 0, diskmax = 0 } = options;
  settings = memmax > 0 || diskmax > 0 ? { ...options } : undefined;
}

/** Whether the cache is on. */
export function hasCachefs(): boolean {
  return settings !== undefined;
}

/** Sets the directory for a cache that was given none. @internal */
export function setCachefsDirectory(path: string): void {
  defaultPath = path;
}

/** The cache as a client, so that it is swept and closed with the others. */
interface CacheClient extends Client {
  readonly cache: ResponseCache;
}

/** The cache of this worker; `undefined` when it is off. */
export async function responseCache(): Promise<ResponseCache | undefined> {
  if (settings === undefined) return undefined;
  return (await backends.get("cachefs", open)).cache;
}

async function open(): Promise<CacheClient> {
  const { ResponseCache } = await import("../store/response_cache.ts");
  const cache = new ResponseCache({
    memmax: settings?.memmax,
    diskmax: settings?.diskmax,
    path: settings?.path ?? defaultPath,
    workers: wac.workers,
    failed: (error) =>
      wac.logger.get("server").log(`The cache on disk cannot be used: ${error.message}`, "warn"),
  });
  wac.responseCacheStatus = () => cache.status;
  return {
    cache,
    stats: () => ({ open: 0, busy: 0 }),
    maintain: () => cache.maintain(),
    [Symbol.asyncDispose]: () => {
      wac.responseCacheStatus = undefined;
      return cache[Symbol.asyncDispose]();
    },
  };
}

/** Requests under way that others may take part in. */
const flights = new Map<string, Flight<Outcome, KeptOutcome>>();
/** Keys whose last answer could not be kept, and until when they are not worth waiting for. */
const alone = new Map<string, number>();
const ALONE_MS = 30_000;
const MAX_ALONE = 10_000;

/** Whether the cache has to do with a request at all. */
export function isCachedRequest({ method, body, stream }: HttpRequest): boolean {
  return settings !== undefined && method === "GET" && body === null && stream !== true;
}

/** Whether a request may change what the cache has of its URL. */
export function isCacheChange({ method }: HttpRequest): boolean {
  return settings !== undefined && method !== "GET" && method !== "HEAD" && method !== "OPTIONS";
}

/**
 * Forgets the answer of the URL to which something was sent, unless that was refused (RFC 9111, 4.4).
 *
 * @param place As with {@link throughCache}.
 */
export async function forgetChanged(
  { url }: HttpRequest,
  place: string,
  { status, statusCode }: Outcome,
): Promise<void> {
  // what has no answer may have been done
  if (status === -1 || (status === 3 && statusCode >= 400)) return;
  await (await responseCache())?.delete(keyOf(place, url));
}

function keyOf(place: string, url: string): string {
  return `GET ${place} ${url}`;
}

/** What the headers of a request do not tell of it. */
export interface UntoldFacts {
  /** Credentials it will be sent with, besides those in its headers: user and password, or a token. */
  readonly credentials?: string;
  /** Milliseconds since 1970: what was requested then or before may not be used. Default 0. */
  readonly since?: number;
}

/**
 * Answers a request from the cache, lets it take part in the same one under way, or sends it and keeps
 * the answer.
 *
 * @param place What the URL is relative to: the alias with its members, or `""`.
 * @param own How many of the headers belong to this request alone.
 */
export async function throughCache(
  request: HttpRequest,
  place: string,
  own: number,
  send: (signal: StopSignal) => Promise<Outcome>,
  signal: StopSignal,
  { credentials, since = 0 }: UntoldFacts = {},
): Promise<Outcome> {
  const cache = (await responseCache())!;
  const { headers } = request;
  const look = (name: string) =>
    lookUp(headers, name) ?? (name === "authorization" ? credentials : undefined);
  const requestedAt = Date.now();
  const asked = { ...readRequest("GET", look), since };
  if (!asked.writes) return await send(signal);
  const key = keyOf(place, request.url);
  const kept = await cache.lookup(key, look, asked);
  if (kept !== undefined) return outcomeOf(kept, request.url);
  const shared = `${key}\n${headers.slice(0, headers.length - own).join("\n")}`;
  // the signal says nothing more to those who listen when it was given during the lookup
  const mayShare = asked.reads && !asked.isPrivate && !signal.aborted &&
    (alone.get(shared) ?? 0) < Date.now();
  if (!mayShare) return store(cache, key, look, asked, await send(signal), requestedAt).outcome;
  const flight = flights.get(shared);
  if (flight !== undefined && flight.requestedAt > since && flight.join()) {
    const leave = () => flight.leave(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    try {
      await Promise.race([flight.answer, aborted(signal)]);
    } finally {
      signal.removeEventListener("abort", leave);
    }
    // what may not be kept is meant for who asked for it
    if (flight.kept !== undefined) return new KeptView(flight.kept, flight.requestedAt);
    return await send(signal);
  }
  return await lead(cache, key, shared, look, asked, send, signal);
}

async function lead(
  cache: ResponseCache,
  key: string,
  shared: string,
  look: (name: string) => string | undefined,
  asked: CacheRequest,
  send: (signal: StopSignal) => Promise<Outcome>,
  signal: StopSignal,
): Promise<Outcome> {
  const stop = new Stop();
  const requestedAt = Date.now();
  const answer = send(stop);
  const flight = new Flight<Outcome, KeptOutcome>(answer, requestedAt, stop);
  flights.set(shared, flight);
  const leave = () => flight.leave(signal.reason);
  signal.addEventListener("abort", leave, { once: true });
  // this is registered first, so that whoever takes part finds what was kept
  const done = answer.then((outcome) => {
    const stored = store(cache, key, look, asked, outcome, requestedAt);
    if (stored.isKept) flight.kept = keep(outcome);
    else if (outcome.status === 3) standAlone(shared);
    return outcome;
  }).finally(() => {
    if (flights.get(shared) === flight) flights.delete(shared);
    signal.removeEventListener("abort", leave);
  });
  return await done;
}

function standAlone(shared: string): void {
  if (alone.size >= MAX_ALONE) alone.clear();
  alone.set(shared, Date.now() + ALONE_MS);
}

/** Headers of bytes on the wire, which say nothing about what is kept. */
const OF_THE_WIRE = new Set([
  ...["content-encoding", "content-length", "transfer-encoding", "connection", "keep-alive"],
  ...["trailer", "upgrade", "proxy-authenticate", "proxy-authorization", "te"],
]);

function store(
  cache: ResponseCache,
  key: string,
  look: (name: string) => string | undefined,
  asked: CacheRequest,
  outcome: Outcome,
  requestedAt: number,
): { readonly outcome: Outcome; readonly isKept: boolean } {
  const { content, history, rawHeaders, statusCode } = outcome;
  // the answer of another address must not stand for this one
  const isKeepable = outcome.status === 3 && content !== null && outcome.body === undefined &&
    !history?.length;
  if (!isKeepable) return { outcome, isKept: false };
  const flat = rawHeaders ?? [...outcome.headers].flat();
  // kept bodies have lost the header that would tell how to read this one
  if (!isDecodable(lookUp(flat, "content-encoding") ?? "")) return { outcome, isKept: false };
  const headers: string[] = [];
  for (let i = 0; i < flat.length; i += 2) {
    if (!OF_THE_WIRE.has(flat[i]!)) headers.push(flat[i]!, flat[i + 1]!);
  }
  const response = { status: statusCode, headers, body: content, requestedAt };
  const isKept = cache.store(key, look, response, asked);
  return { outcome, isKept };
}

function outcomeOf(
  { headers, body }: { readonly headers: readonly string[]; readonly body: Uint8Array },
  url: string,
): Outcome {
  const made = new Headers();
  for (let i = 0; i < headers.length; i += 2) made.append(headers[i]!, headers[i + 1]!);
  return {
    status: 3,
    statusCode: 200,
    reason: "OK",
    headers: made,
    rawHeaders: headers,
    content: body,
    url,
    node: "",
  };
}

/** Values of a header, joined by commas where there are several. */
function lookUp(flat: readonly string[], name: string): string | undefined {
  let value: string | undefined;
  for (let i = 0; i < flat.length; i += 2) {
    if (flat[i] === name) value = value === undefined ? flat[i + 1] : `${value}, ${flat[i + 1]}`;
  }
  return value;
}

function aborted(signal: StopSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
