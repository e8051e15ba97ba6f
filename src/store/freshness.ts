/**
 * Which responses a shared cache may keep and for how long, and which requests it may answer
 * (RFC 9111).
 *
 * @module
 */

import { parseHttpDate } from "../core/http_date.ts";

/** Looks a header up; the name in lower case. */
export type HeaderLookup = (name: string) => string | null | undefined;

/** Directives of `Cache-Control` headers, names in lower case, `""` for those without a value. */
export function cacheControl(header: string | null | undefined): ReadonlyMap<string, string> {
  const directives = new Map<string, string>();
  if (!header) return directives;
  for (const [, name, quoted, plain] of header.matchAll(DIRECTIVE)) {
    const key = name!.toLowerCase();
    // of two that contradict each other, the shorter time is the safe one
    const value = quoted ?? plain ?? "";
    const before = directives.get(key);
    if (before === undefined || Number(value) < Number(before)) directives.set(key, value);
  }
  return directives;
}

const DIRECTIVE = /([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,;"]*)))?/g;

/** What a request means to a cache. */
export interface CacheRequest {
  /** It may be answered from the cache. */
  readonly reads: boolean;
  /** What is answered to it may be kept. */
  readonly writes: boolean;
  /** It carries cookies or credentials: only public responses may be read or kept. */
  readonly isPrivate: boolean;
  /** Milliseconds since 1970: it may not be answered by what was requested then or before. Default 0. */
  readonly since?: number;
}

const NOTHING: CacheRequest = { reads: false, writes: false, isPrivate: true };

/** Reads the headers of a request. Only `GET` without a range or an upgrade has to do with a cache. */
export function readRequest(method: string, header: HeaderLookup): CacheRequest {
  if (method !== "GET" || header("range") || header("upgrade")) return NOTHING;
  const directives = cacheControl(header("cache-control"));
  if (directives.has("no-store")) return NOTHING;
  const fresh = directives.has("no-cache") || directives.get("max-age") === "0" ||
    /\bno-cache\b/i.test(header("pragma") ?? "");
  const isPrivate = !!header("authorization") || !!header("cookie");
  return { reads: !fresh, writes: true, isPrivate };
}

/** What a response means to a cache. */
export interface CacheResponse {
  /** Seconds it may be kept from now on; 0 for not at all. */
  readonly seconds: number;
  /** Everybody may have it, also who sends cookies or credentials. */
  readonly isPublic: boolean;
  /** Age it has already, in seconds. */
  readonly age: number;
}

const NOT_KEPT: CacheResponse = { seconds: 0, isPublic: false, age: 0 };

/** Reads the headers of a response. @param now Milliseconds since 1970. */
export function readResponse(
  status: number,
  header: HeaderLookup,
  request: CacheRequest,
  now: number,
): CacheResponse {
  if (status !== 200 || !request.writes || namesOf(header("vary")).includes("*")) return NOT_KEPT;
  const directives = cacheControl(header("cache-control"));
  if (directives.has("no-store") || directives.has("no-cache") || directives.has("private")) {
    return NOT_KEPT;
  }
  const isPublic = directives.has("public");
  // a cookie for one client is not for the next one, whatever else the response says of itself
  if (header("set-cookie") || (request.isPrivate && !isPublic)) return NOT_KEPT;
  const age = Math.max(0, seconds(header("age")) ?? 0);
  const told = directives.get("s-maxage") ?? directives.get("max-age");
  // a time nobody can read is none, and Expires does not count beside it
  const lifetime = told === undefined ? untilExpiry(header, now) : seconds(told) ?? 0;
  const left = lifetime === undefined ? 0 : lifetime - age;
  return left > 0 ? { seconds: left, isPublic, age } : NOT_KEPT;
}

/** Names in a `Vary` header, in lower case. */
export function namesOf(vary: string | null | undefined): string[] {
  return (vary ?? "").toLowerCase().split(",").map((name) => name.trim())
    .filter((name) => name !== "");
}

/** A whole number of seconds, `undefined` for anything else. */
function seconds(text: string | null | undefined): number | undefined {
  // beyond that it is as good as for ever
  return text && /^\d{1,15}$/.test(text.trim()) ? Math.min(Number(text), 2 ** 31) : undefined;
}

function untilExpiry(header: HeaderLookup, now: number): number | undefined {
  const expires = header("expires");
  if (!expires) return undefined;
  const end = parseHttpDate(expires.trim());
  // a date nobody can read means that it has passed
  if (end === undefined) return 0;
  return Math.floor((end - (parseHttpDate((header("date") ?? "").trim()) ?? now)) / 1000);
}
