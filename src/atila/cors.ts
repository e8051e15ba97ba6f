/**
 * Requests of pages of other origins: which are let in, and what the browser has to be told.
 *
 * @module
 */

import { hostnameOf } from "../core/context.ts";
import { HttpError } from "../core/errors.ts";

/** What holds for one route. */
export interface OriginRule {
  /** Origins that are let in; `["*"]` for all; `undefined` for the own one only. */
  readonly origins: readonly string[] | undefined;
  /** Seconds a browser may keep the answer to a preflight; 0 says nothing. */
  readonly maxAge: number;
  /** Whether the route authenticates. */
  readonly credentials: boolean;
}

/**
 * Checks a list of origins, and gives it in the form browsers send.
 *
 * @throws {TypeError} for anything that is no origin.
 */
export function checkOrigins(
  where: string,
  origins: readonly string[] | null | undefined,
): readonly string[] | undefined {
  if (origins === undefined || origins === null) return undefined;
  if (!Array.isArray(origins)) throw new TypeError(`${where}: expected a list of origins`);
  return origins.map((origin) => {
    if (origin === "*" || origin === "null") return origin;
    const url = typeof origin === "string" ? URL.parse(origin) : null;
    if (url === null || url.origin === "null" || !/^[^/]+:\/\/[^/]+\/?$/.test(origin)) {
      throw new TypeError(
        `${where}: ${JSON.stringify(origin)} is no origin; write it like "https://example.com"`,
      );
    }
    return url.origin;
  });
}

/** Checks a number of seconds. @throws {RangeError} when it is none. */
export function checkMaxAge(where: string, seconds: number | undefined): number | undefined {
  if (seconds !== undefined && !(Number.isInteger(seconds) && seconds >= 0)) {
    throw new RangeError(`${where}: ${String(seconds)} is not a number of seconds`);
  }
  return seconds;
}

/** Whether a request with this `Origin` may go on. */
export function originAllowed(
  req: Request,
  origin: string,
  origins: readonly string[] | undefined,
): boolean {
  if (origins !== undefined && (origins.includes("*") || origins.includes(origin))) return true;
  // Browsers say it outright over TLS, and no page can say it in their place. This also holds behind a
  // proxy that changes the Host.
  const site = req.headers.get("sec-fetch-site");
  if (site !== null) return site === "same-origin" || site === "none";
  const url = URL.parse(origin);
  if (url === null) return false;
  // The scheme does not count: behind a proxy that ends TLS it is not the one the browser sees.
  const host = req.headers.get("host") ?? new URL(req.url).host;
  const portOf = (text: string) => /:(\d+)$/.exec(text)?.[1];
  const port = portOf(host);
  const standard = (text: string | undefined) =>
    text === undefined || text === "80" || text === "443";
  return hostnameOf(host) === hostnameOf(url.host) &&
    (port === portOf(url.host) || standard(port) && standard(portOf(url.host)));
}

/** The refusal of a request from elsewhere. */
export function foreignOrigin(origin: string): HttpError {
  return new HttpError(403, `Requests from ${origin} are not allowed here`, {
    headers: { vary: "origin" },
  });
}

/** True for the question a browser asks before the request itself. */
export function isPreflight(req: Request): boolean {
  return req.method === "OPTIONS" && req.headers.has("origin") &&
    req.headers.has("access-control-request-method");
}

/**
 * Answers a preflight of an allowed origin.
 *
 * @param methods Methods of the path.
 * @throws {HttpError} 405 when the method asked for is not among them.
 */
export function answerPreflight(
  req: Request,
  methods: readonly string[],
  rule: OriginRule,
): Response {
  const asked = req.headers.get("access-control-request-method")!;
  if (!methods.includes(asked)) {
    throw new HttpError(405, `${asked} is not allowed here`, {
      headers: { allow: methods.join(", ") },
    });
  }
  const headers = new Headers({
    "access-control-allow-methods": methods.join(", "),
    vary: "access-control-request-method, access-control-request-headers",
  });
  const wanted = req.headers.get("access-control-request-headers");
  if (wanted !== null) headers.set("access-control-allow-headers", wanted);
  if (rule.maxAge > 0) headers.set("access-control-max-age", String(rule.maxAge));
  return new Response(null, { status: 200, headers });
}

/**
 * Tells the browser that the page may see the response, and caches that it depends on who asks; the
 * latter also where nobody said who they are.
 */
export function allowOrigin(res: Response, origin: string | null, rule: OriginRule): Response {
  if (rule.origins === undefined || res.status === 101) return res;
  try {
    mark(res.headers, origin, rule);
    return res;
  } catch (error) {
    // Responses of fetch() cannot be changed.
    if (!(error instanceof TypeError)) throw error;
    const headers = new Headers(res.headers);
    mark(headers, origin, rule);
    return new Response(res.body, { status: res.status, statusText: res.statusText, headers });
  }
}

function mark(headers: Headers, origin: string | null, rule: OriginRule): void {
  const { origins, credentials } = rule;
  headers.append("vary", "Origin");
  if (origin === null) return;
  if (origins!.includes(origin)) {
    headers.set("access-control-allow-origin", origin);
    if (credentials) headers.set("access-control-allow-credentials", "true");
  } else if (origins!.includes("*")) {
    // Browsers refuse credentials together with the star, so nothing is said about them.
    headers.set("access-control-allow-origin", "*");
  }
}
