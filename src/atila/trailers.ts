/**
 * Fields that are sent after the body of a response.
 *
 * @module
 */

import type { RequestContext } from "../core/context.ts";
import { checkHeader } from "../core/header_value.ts";

/** What frames, routes or protects a message means nothing after it. */
const FORBIDDEN = new Set([
  "authorization",
  "cache-control",
  "connection",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "date",
  "expires",
  "host",
  "keep-alive",
  "location",
  "proxy-authenticate",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "vary",
  "www-authenticate",
]);

/**
 * Sets a field to be sent after the body, in place of one of the same name.
 *
 * @param isSent The head of the response has been made.
 * @returns Whether it reaches the client.
 * @throws {TypeError} for a field that cannot be sent, or not there.
 * @throws {Error} for the first field once the head of the response has been made.
 */
export function setTrailer(
  ctx: RequestContext,
  isSent: boolean,
  name: string,
  value: string,
): boolean {
  checkHeader(name, value);
  const lower = name.toLowerCase();
  if (FORBIDDEN.has(lower)) {
    throw new TypeError(`Cannot send ${name} after the body: it is needed before it`);
  }
  if (ctx.sendsTrailers !== true) return false;
  if (ctx.trailers === undefined && isSent) {
    throw new Error(
      "Response already sent: the first trailer is set before the handler returns, further ones may " +
        "follow until the body ends",
    );
  }
  const others = (ctx.trailers ?? []).filter(([other]) => other !== lower);
  ctx.trailers = [...others, [lower, value]];
  return true;
}
