/**
 * Cookies a client keeps between requests to one server.
 *
 * @module
 */

interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly path: string;
  /** Milliseconds since 1970; `Infinity` for a cookie that lasts as long as the session. */
  readonly expires: number;
}

/** Cookies of one server, as a browser would send them back (RFC 6265). */
export class CookieJar {
  readonly #cookies = new Map<string, Cookie>();

  /** Takes over the `Set-Cookie` headers of an answer. `requestPath` is where it came from. */
  keep(headers: Headers, requestPath: string): void {
    for (const line of headers.getSetCookie()) {
      const cookie = parse(line, requestPath);
      if (cookie === undefined) continue;
      const key = `${cookie.name};${cookie.path}`;
      // A changed value keeps its place, as the order of equal paths is that of their creation.
      if (cookie.expires > Date.now()) this.#cookies.set(key, cookie);
      else this.#cookies.delete(key);
    }
  }

  /** The `Cookie` header for a path, `""` when there is nothing to send. Longer paths come first. */
  header(path: string): string {
    return this.#alive()
      .filter((cookie) => covers(cookie.path, path))
      .sort((a, b) => b.path.length - a.path.length)
      .map(({ name, value }) => `${name}=${value}`)
      .join("; ");
  }

  /** Values by name. */
  values(): ReadonlyMap<string, string> {
    return new Map(this.#alive().map(({ name, value }) => [name, value]));
  }

  #alive(): Cookie[] {
    const now = Date.now();
    return [...this.#cookies.values()].filter(({ expires }) => expires > now);
  }
}

function parse(line: string, requestPath: string): Cookie | undefined {
  const [pair = "", ...attributes] = line.split(";").map((part) => part.trim());
  const equals = pair.indexOf("=");
  if (equals < 1) return undefined;
  let path = requestPath.slice(0, requestPath.lastIndexOf("/")) || "/";
  let expires = Infinity;
  let maxAge: number | undefined;
  for (const attribute of attributes) {
    const at = attribute.indexOf("=");
    const value = at === -1 ? "" : attribute.slice(at + 1);
    switch ((at === -1 ? attribute : attribute.slice(0, at)).toLowerCase()) {
      case "path":
        if (value.startsWith("/")) path = value;
        break;
      case "max-age":
        if (/^-?\d+$/.test(value)) maxAge = Number(value);
        break;
      case "expires":
        if (!Number.isNaN(Date.parse(value))) expires = Date.parse(value);
        break;
    }
  }
  if (maxAge !== undefined) expires = maxAge <= 0 ? 0 : Date.now() + maxAge * 1000;
  return {
    name: pair.slice(0, equals).trim(),
    value: pair.slice(equals + 1).trim(),
    path,
    expires,
  };
}

function covers(cookiePath: string, path: string): boolean {
  return path.startsWith(cookiePath) &&
    (path.length === cookiePath.length || cookiePath.endsWith("/") ||
      path[cookiePath.length] === "/");
}
