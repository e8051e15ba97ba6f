/**
 * Which request follows a redirect, and what of the first one it must not carry.
 *
 * @module
 */

import { type HttpRequest, isReplayable } from "./request.ts";

const SECRET = new Set(["authorization", "cookie", "proxy-authorization"]);

/**
 * The request that follows the response, or `undefined` when the response is the answer.
 *
 * 303 becomes GET; 301 and 302 make GET of POST, PUT and PATCH, but leave XML-RPC calls alone, which
 * have no meaning as GET; 307 and 308 repeat the request as it was. Credentials stay with the origin
 * they were meant for.
 */
export function redirected(
  request: HttpRequest,
  statusCode: number,
  location: string | null,
): HttpRequest | undefined {
  if (location === null || !isRedirect(statusCode)) return undefined;
  const from = new URL(request.url);
  const to = URL.parse(location, from);
  if (to === null || (to.protocol !== "http:" && to.protocol !== "https:")) return undefined;
  to.hash = "";
  const { method } = request;
  const changes = method === "POST" || method === "PUT" || method === "PATCH";
  const moved = statusCode === 301 || statusCode === 302;
  if (moved && changes && isXmlRpc(request.headers)) return undefined;
  const toGet = (moved && changes) || (statusCode === 303 && method !== "GET" && method !== "HEAD");
  if (!toGet && !isReplayable(request.body)) return undefined;
  const sameOrigin = from.origin === to.origin;
  const headers: string[] = [];
  for (let i = 0; i < request.headers.length; i += 2) {
    const name = request.headers[i]!;
    if (name === "host" || (!sameOrigin && SECRET.has(name))) continue;
    if (toGet && name.startsWith("content-")) continue;
    headers.push(name, request.headers[i + 1]!);
  }
  return {
    ...request,
    method: toGet ? "GET" : method,
    url: to.href,
    headers,
    body: toGet ? null : request.body,
    auth: sameOrigin ? request.auth : undefined,
    poolKey: sameOrigin ? request.poolKey : undefined,
    node: sameOrigin ? request.node : undefined,
    caCerts: sameOrigin ? request.caCerts : undefined,
  };
}

function isRedirect(code: number): boolean {
  return code === 301 || code === 302 || code === 303 || code === 307 || code === 308;
}

function isXmlRpc(headers: readonly string[]): boolean {
  const at = headers.indexOf("content-type");
  return at !== -1 && at % 2 === 0 && headers[at + 1]!.toLowerCase().startsWith("text/xml");
}
