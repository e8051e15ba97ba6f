/**
 * `was.cookie`: the cookies of the client, and those it is going to get.
 *
 * @module
 */

import { formatSetCookie, isCookieName, parseCookies } from "../core/cookie.ts";
import { MapLike } from "./map_like.ts";

/** How a cookie is kept. */
export interface CookieOptions {
  /**
   * Seconds it is kept; absent: until the browser closes; 0 or `"now"`: it is deleted; `"never"`: a hundred
   * years, of which browsers make 400 days.
   */
  expires?: number | "now" | "never";
  /** Paths it is sent for. Default: the mount point of the app; `"/"` shares it between apps. */
  path?: string;
  /** Domain it is sent to, with all names below. Default: this host only. */
  domain?: string;
  /** Send it over TLS only. Default: true when the request came over TLS. */
  secure?: boolean;
  /** Keep it from scripts of the page. Default true. */
  httpOnly?: boolean;
  /** Requests from other sites that carry it: none, top-level GETs (`lax`), all (`none`). Default `lax`. */
  sameSite?: "strict" | "lax" | "none";
}

/** What tells which cookie is to be deleted. */
export type CookiePlace = Pick<CookieOptions, "path" | "domain">;

/** What cookies need to know of the request. */
export interface CookieOwner {
  /** The `Cookie` header. */
  readonly cookieHeader: string | null;
  /** Whether cookies are sent over TLS only, unless they say otherwise. */
  readonly isSecure: boolean;
  /** Prefix of the mount. */
  readonly mountPoint: string;
  /** Refuses a change that comes too late. */
  checkOpen(what: string): void;
}

/** A hundred years, in seconds. */
const NEVER = 36_525 * 86_400;
/** What browsers keep of a cookie, in bytes; a larger one is dropped without a word. */
export const MAX_COOKIE_BYTES = 4096;

/** Names of sealed cookies, which sessions and messages look after themselves. */
const SEALED = /^(?:__Host-|__Secure-)?sk\./;

/** Whether a cookie belongs to a session or a message box. */
export function isSealedName(name: string): boolean {
  return SEALED.test(name);
}

/** Cookies by name. What is set can be read at once; it is sent when the handler has succeeded. */
export class Cookies extends MapLike<string> {
  #owner: CookieOwner;
  #values: Map<string, string> | undefined;
  #lines = new Map<string, string>();

  /** Made by the container, on first use. */
  constructor(owner: CookieOwner) {
    super();
    this.#owner = owner;
  }

  /** The cookies there are now. */
  protected current(): ReadonlyMap<string, string> {
    return this.#all();
  }

  /**
   * Sets a cookie. Numbers and booleans become text.
   *
   * @throws {TypeError} for a name, value or option that cannot be sent, and for the names of sessions.
   * @throws {RangeError} when browsers would drop it, being larger than 4096 bytes.
   */
  set(name: string, value: string | number | boolean, options: CookieOptions = {}): void {
    this.#owner.checkOpen(`cookie ${name}`);
    if (isSealedName(name)) {
      throw new TypeError(`Cannot set cookie ${name}: names with sk. belong to sessions`);
    }
    if (!["string", "number", "boolean"].includes(typeof value)) {
      throw new TypeError(`Cannot set cookie ${name} to a value of type ${typeof value}`);
    }
    const text = String(value);
    const { expires } = options;
    const seconds = secondsOf(name, expires);
    const path = options.path ?? defaultPath(this.#owner.mountPoint);
    const cookie = { ...options, name, value: text, path };
    const line = cookieLine(cookie, seconds, this.#owner.isSecure);
    if (line.length > MAX_COOKIE_BYTES) {
      throw new RangeError(
        `Cannot set cookie ${name}: with its options it has ${line.length} bytes, and browsers drop ` +
          `what has more than ${MAX_COOKIE_BYTES}`,
      );
    }
    const values = this.#all();
    this.#lines.set(`${name};${path};${options.domain ?? ""}`, line);
    if (seconds === 0) values.delete(name);
    else values.set(name, text);
  }

  /** Deletes a cookie. Path and domain must be those it was set with. */
  remove(name: string, { path, domain }: CookiePlace = {}): void {
    this.set(name, "", { expires: 0, path, domain });
  }

  /**
   * Deletes all cookies of that path and domain, except those of sessions and messages, and those a
   * response cannot name there: `a[b]` of somebody else, or `__Host-a` where the request is not TLS.
   */
  clear(place: CookiePlace = {}): void {
    const { mountPoint, isSecure } = this.#owner;
    const { path = defaultPath(mountPoint), domain } = place;
    for (const name of this.keys()) {
      const isReachable = isCookieName(name) &&
        prefixProblem({ name, path, domain, secure: isSecure }) === undefined;
      if (isReachable) this.remove(name, place);
    }
  }

  /** Adds the `Set-Cookie` lines of what was changed. @internal */
  commit(lines: string[]): void {
    lines.push(...this.#lines.values());
  }

  /** Forgets what was changed. @internal */
  reset(): void {
    this.#lines.clear();
    this.#values = undefined;
  }

  #all(): Map<string, string> {
    if (this.#values === undefined) {
      const { cookieHeader } = this.#owner;
      this.#values = cookieHeader === null ? new Map() : parseCookies(cookieHeader);
      for (const name of this.#values.keys()) if (isSealedName(name)) this.#values.delete(name);
    }
    return this.#values;
  }
}

Object.freeze(Cookies.prototype);

/**
 * A path without its final slash also covers the mount point itself: `/shop` is sent for `/shop` and
 * `/shop/cart`, not for `/shopping`.
 */
function defaultPath(mountPoint: string): string {
  return mountPoint.length <= 1 ? "/" : mountPoint.slice(0, -1);
}

function secondsOf(name: string, expires: CookieOptions["expires"]): number | undefined {
  if (expires === undefined) return undefined;
  if (expires === "now") return 0;
  if (expires === "never") return NEVER;
  if (typeof expires !== "number" || !Number.isFinite(expires)) {
    throw new TypeError(
      `Cannot set cookie ${name}: expires is ${JSON.stringify(expires)}, expected seconds, ` +
        `"now" or "never"`,
    );
  }
  return Math.max(0, Math.floor(expires));
}

/**
 * The value of a `Set-Cookie` header; `seconds` 0 deletes, `undefined` keeps it until the browser closes.
 *
 * @throws {TypeError} for what cannot be sent, and for what browsers would refuse.
 */
export function cookieLine(
  cookie: Omit<CookieOptions, "expires"> & { name: string; value: string },
  seconds: number | undefined,
  isSecure: boolean,
): string {
  const { name, value, path, domain, secure = isSecure, httpOnly = true } = cookie;
  const { sameSite = "lax" } = cookie;
  if (sameSite === "none" && !secure) {
    throw new TypeError(
      `Cannot set cookie ${name}: browsers drop sameSite "none" without secure, which needs TLS`,
    );
  }
  const problem = prefixProblem({ name, path, domain, secure });
  if (problem !== undefined) throw new TypeError(`Cannot set cookie ${name}: ${problem}`);
  return formatSetCookie({
    name,
    value,
    path,
    domain,
    secure,
    httpOnly,
    sameSite,
    maxAge: seconds,
  });
}

/** Why browsers would drop a cookie for the promise its name makes; RFC 6265bis, 4.1.3. */
function prefixProblem({ name, path, domain, secure }: {
  name: string;
  path: string | undefined;
  domain: string | undefined;
  secure: boolean;
}): string | undefined {
  if (!name.startsWith("__")) return undefined;
  const lower = name.toLowerCase();
  const isHost = lower.startsWith("__host-");
  if (!isHost && !lower.startsWith("__secure-")) return undefined;
  if (!secure) return "browsers drop that name without secure, which needs TLS";
  return isHost && (path !== "/" || domain !== undefined)
    ? `browsers drop that name with a domain and with another path than "/"`
    : undefined;
}
