/**
 * The `Cookie` and `Set-Cookie` headers, RFC 6265bis.
 *
 * @module
 */

/** What a `Set-Cookie` line says. */
export interface SetCookieParts {
  /** Name. */
  readonly name: string;
  /** Value; percent-encoded where it has to be. */
  readonly value: string;
  /** Seconds it is kept; 0 deletes it; absent: until the browser closes. */
  readonly maxAge?: number;
  /** Domain it is sent to, with all names below; absent: this host only. */
  readonly domain?: string;
  /** Paths it is sent for. */
  readonly path?: string;
  /** Keep it from scripts of the page. */
  readonly httpOnly?: boolean;
  /** Send it over TLS only. */
  readonly secure?: boolean;
  /** Requests from other sites that carry it. */
  readonly sameSite?: "strict" | "lax" | "none";
}

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** What may stand in a value as it is, and is read back the same: no blank, quote, comma, semicolon, `%`. */
const PLAIN_VALUE = /^[!#$&'()*+\-./0-9:<=>?@A-Z[\]^_`a-z{|}~]*$/;
/** Of one without its first slash browsers make a path of their own. */
const PATH = /^\/[\x20-\x3a\x3c-\x7e]*$/;
const DOMAIN =
  /^\.?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i;
const SAME_SITE = { strict: "Strict", lax: "Lax", none: "None" } as const;
/** The last moment a date in a cookie can name, in milliseconds since 1970. */
const LATEST = Date.UTC(9999, 11, 31);

/**
 * Cookies of a header by name, in the order they came; of several with one name the first counts, which
 * is the one with the longest path. What is not properly encoded is taken as it is.
 */
export function parseCookies(header: string): Map<string, string> {
  const cookies = new Map<string, string>();
  for (let at = 0; at < header.length;) {
    const equals = header.indexOf("=", at);
    if (equals === -1) break;
    // From the name on: what has no equals sign is no cookie.
    const start = header.lastIndexOf(";", equals) + 1;
    let end = header.indexOf(";", equals);
    if (end === -1) end = header.length;
    const name = header.slice(start, equals).trim();
    if (!cookies.has(name)) cookies.set(name, decode(header.slice(equals + 1, end).trim()));
    at = end + 1;
  }
  return cookies;
}

/**
 * Value of one cookie as it was sent, without taking the rest of the header apart.
 */
export function rawCookie(header: string, name: string): string | undefined {
  for (let at = header.indexOf(name); at !== -1; at = header.indexOf(name, at + 1)) {
    const equals = at + name.length;
    if (header[equals] !== "=") continue;
    let before = at - 1;
    while (header[before] === " ") before--;
    if (before >= 0 && header[before] !== ";") continue;
    const end = header.indexOf(";", equals);
    return header.slice(equals + 1, end === -1 ? undefined : end).trim();
  }
  return undefined;
}

/** Whether a cookie of that name can be sent. What a client brings may be called anything else. */
export function isCookieName(name: string): boolean {
  return NAME.test(name);
}

/** The value of a `Set-Cookie` header. @throws {TypeError} for what cannot be sent. */
export function formatSetCookie(cookie: SetCookieParts): string {
  const { name, value, maxAge, domain, path, sameSite } = cookie;
  if (!isCookieName(name)) throw new TypeError(`Cannot send a cookie with the name ${show(name)}`);
  let line = `${name}=${PLAIN_VALUE.test(value) ? value : encode(value)}`;
  if (maxAge !== undefined) {
    if (!Number.isInteger(maxAge)) {
      throw new TypeError(`Cannot send cookie ${name}: max-age is ${maxAge}, not whole seconds`);
    }
    line += `; Max-Age=${maxAge}`;
  }
  if (domain !== undefined) {
    if (!DOMAIN.test(domain)) {
      throw new TypeError(`Cannot send cookie ${name}: its domain is ${show(domain)}`);
    }
    line += `; Domain=${domain}`;
  }
  if (path !== undefined) {
    if (!PATH.test(path)) {
      throw new TypeError(
        `Cannot send cookie ${name}: its path is ${
          show(path)
        }, expected a slash and printable ASCII`,
      );
    }
    line += `; Path=${path}`;
  }
  if (maxAge !== undefined) {
    // For clients older than Max-Age.
    const end = maxAge <= 0 ? 0 : Math.min(Date.now() + maxAge * 1000, LATEST);
    line += `; Expires=${new Date(end).toUTCString()}`;
  }
  if (cookie.httpOnly) line += "; HttpOnly";
  if (cookie.secure) line += "; Secure";
  if (sameSite !== undefined) {
    if (!Object.hasOwn(SAME_SITE, sameSite)) {
      throw new TypeError(
        `Cannot send cookie ${name}: sameSite is ${show(sameSite)}, expected strict, lax or none`,
      );
    }
    line += `; SameSite=${SAME_SITE[sameSite]}`;
  }
  return line;
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}

/** Half a surrogate pair has no encoding; it becomes the replacement character. */
function encode(value: string): string {
  return encodeURIComponent(value.toWellFormed());
}

function decode(value: string): string {
  if (!value.includes("%")) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    // Set by somebody who does not encode: it means what it says.
    return value;
  }
}
