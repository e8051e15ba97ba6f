/**
 * What both fronts ask of a request before anybody else sees it.
 *
 * @module
 */

/** Methods that are served; a 405 names them. */
export const ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/** True for the methods that are served. Methods are case-sensitive. */
export function isAllowedMethod(method: string): boolean {
  switch (method) {
    case "GET":
    case "HEAD":
    case "POST":
    case "PUT":
    case "PATCH":
    case "DELETE":
    case "OPTIONS":
      return true;
    default:
      return false;
  }
}

/**
 * A name or an address in brackets, with or without a port. Nothing that could be taken for user, path or
 * query: the URL of the request is put together from it, and a slash in it would move the path.
 */
const HOST = /^(?:[A-Za-z0-9._~!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/;

/**
 * True for a value that a `Host` header may have: one of which a URL can be made. An empty one names
 * nothing and is refused.
 */
export function isHost(value: string): boolean {
  if (known.has(value)) return true;
  if (value.length > 255 || !HOST.test(value) || !URL.canParse(`http://${value}/`)) return false;
  // whoever makes up names only makes others be looked at once more
  if (known.size >= MAX_KNOWN) known.clear();
  known.add(value);
  return true;
}

/** Hosts that were found to be in order: a service of several sees them by turns. */
const known = new Set<string>();
const MAX_KNOWN = 1000;

/** Peer address without the prefix that IPv4 peers have on a socket of both families. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

/** Response of a front to a request that no handler gets to see. */
export interface Refusal {
  /** Status code. */
  readonly status: 400 | 405 | 408 | 431;
  /** One line for the client and for the log. */
  readonly reason: string;
}

/** Headers of what a front answers by itself; its bodies are plain text. */
export function ownHeaders(server = ""): Record<string, string> {
  const headers: Record<string, string> = { "content-type": "text/plain; charset=utf-8" };
  if (server !== "") headers.server = server;
  return headers;
}

/** A request without a usable `Host`. */
export const BAD_HOST: Refusal = { status: 400, reason: "The Host header is missing or wrong" };

/** A method that is not served. */
export const BAD_METHOD: Refusal = { status: 405, reason: "This method is not served here" };

/** CONNECT, which would need a forward proxy. */
export const NO_TUNNEL: Refusal = { status: 405, reason: "No tunnels are opened here" };

/** Bytes that are no request. */
export const MALFORMED: Refusal = { status: 400, reason: "The request cannot be understood" };

/** A header block above the limit. */
export const HEADER_TOO_LARGE: Refusal = {
  status: 431,
  reason: "The header of the request is too large",
};

/** A header or body that did not arrive in time. */
export const TOO_SLOW: Refusal = { status: 408, reason: "The request did not arrive in time" };
