/**
 * Request headers on the `edge` front: looked up in what the parser gave, and made into real `Headers`
 * only for those who want more than a look.
 *
 * @module
 */

/** What the methods below need that are not answered from the raw list. */
const real = Symbol("real headers");

/** Headers over a raw list of alternating names and values, as `node:http` keeps it. */
export class EdgeHeaders {
  readonly #raw: readonly string[];
  #real: Headers | undefined;

  /** Names that start with a colon are HTTP/2 pseudo headers and left out. */
  constructor(raw: readonly string[]) {
    this.#raw = raw;
  }

  /** As `Headers.get`. */
  get(name: string): string | null {
    if (this.#real !== undefined) return this.#real.get(name);
    const raw = this.#raw;
    const lower = name.toLowerCase();
    let value: string | null = null;
    for (let at = 0; at < raw.length; at += 2) {
      const known = raw[at]!;
      if (known.length !== lower.length) continue;
      if (known !== lower && known.toLowerCase() !== lower) continue;
      // HTTP/2 clients may split cookies; joined as one header they are separated by semicolons.
      value = value === null
        ? raw[at + 1]!
        : value + (lower === "cookie" ? "; " : ", ") + raw[at + 1]!;
    }
    // A name that is none is an error, which the real headers know how to say.
    if (value === null) return lower.startsWith(":") || isToken(name) ? null : this[real].get(name);
    return value;
  }

  /** As `Headers.has`. */
  has(name: string): boolean {
    return this.get(name) !== null;
  }

  /** The real headers. */
  get [real](): Headers {
    if (this.#real !== undefined) return this.#real;
    const headers = new Headers();
    const raw = this.#raw;
    let cookie: string | undefined;
    for (let at = 0; at < raw.length; at += 2) {
      const name = raw[at]!;
      if (name.startsWith(":")) continue;
      if (name.length === 6 && name.toLowerCase() === "cookie") {
        cookie = cookie === undefined ? raw[at + 1]! : `${cookie}; ${raw[at + 1]!}`;
      } else {
        headers.append(name, raw[at + 1]!);
      }
    }
    if (cookie !== undefined) headers.append("cookie", cookie);
    return this.#real = headers;
  }
}

// Everything else goes to the real headers, and `instanceof Headers` holds.
for (
  const name of [
    "append",
    "delete",
    "set",
    "getSetCookie",
    "forEach",
    "entries",
    "keys",
    "values",
    Symbol.iterator,
  ] as const
) {
  Object.defineProperty(EdgeHeaders.prototype, name, {
    value(this: EdgeHeaders, ...args: unknown[]): unknown {
      const headers = this[real];
      return (headers[name] as (...args: unknown[]) => unknown).apply(headers, args);
    },
    writable: true,
    configurable: true,
  });
}
Object.setPrototypeOf(EdgeHeaders.prototype, Headers.prototype);

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function isToken(name: string): boolean {
  return TOKEN.test(name);
}
