/**
 * Header values: taken apart with their parameters, such as `form-data; name="a"; filename="b.txt"`, and
 * checked before they are sent.
 *
 * @module
 */

/** A header value taken apart. */
export interface HeaderValue {
  /** What stands before the first semicolon, in lower case. */
  readonly value: string;
  /** Parameters by name in lower case; of several with one name the first counts. */
  readonly parameters: ReadonlyMap<string, string>;
}

/**
 * Takes a header value apart. In quoted text a backslash escapes a quote or a backslash only: some
 * clients send `C:\dir\name` as it is.
 */
export function parseHeaderValue(header: string): HeaderValue {
  const parameters = new Map<string, string>();
  let at = header.indexOf(";");
  const value = (at === -1 ? header : header.slice(0, at)).trim().toLowerCase();
  while (at !== -1 && at < header.length) {
    const start = at + 1;
    const equals = header.indexOf("=", start);
    const next = header.indexOf(";", start);
    if (equals === -1) break;
    if (next !== -1 && next < equals) {
      // Not one by one: each of thousands of semicolons would look for the same equals sign.
      at = header.lastIndexOf(";", equals);
      continue;
    }
    const name = header.slice(start, equals).trim().toLowerCase();
    let from = equals + 1;
    while (header[from] === " " || header[from] === "\t") from++;
    let text: string;
    if (header[from] === '"') {
      let end = from + 1;
      text = "";
      while (end < header.length && header[end] !== '"') {
        if (header[end] === "\\" && (header[end + 1] === '"' || header[end + 1] === "\\")) end++;
        text += header[end++];
      }
      at = header.indexOf(";", end);
    } else {
      at = header.indexOf(";", from);
      text = (at === -1 ? header.slice(from) : header.slice(from, at)).trim();
    }
    if (!parameters.has(name)) parameters.set(name, text);
  }
  return { value, parameters };
}

/**
 * What no header value may have, RFC 9110, 5.5: control characters but the tab. `Headers` takes most of
 * them, and the runtime ends the whole process when it comes to write one.
 */
// deno-lint-ignore no-control-regex
const UNSENDABLE = /[\x00-\x08\x0a-\x1f\x7f]/;

/**
 * Most header fields of a response. No client takes many more, the time to look through them grows with
 * the square of their number, and the runtime ends the whole process for some ten thousand names.
 */
export const MAX_FIELDS = 512;

/** Longest name of a field. The runtime ends the whole process for one of 64 KiB over HTTP/2. */
const MAX_NAME = 1024;

/**
 * Refuses what would end a header early, or the process. Where the platform refuses it too, it says
 * neither which header nor what is wrong with it.
 *
 * @throws {TypeError}
 */
export function checkHeader(name: string, value: string): void {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
    throw new TypeError(`Cannot send a header named ${JSON.stringify(name)}`);
  }
  checkSendable(name, value);
  // deno-lint-ignore no-control-regex
  if (/[^\x00-\xff]/.test(value)) {
    throw new TypeError(`Cannot send header ${name}: its value has characters beyond Latin-1`);
  }
}

/**
 * The part of it that the platform leaves out: what the runtime cannot write.
 *
 * @throws {TypeError} for a name that is too long, or a control character in the value.
 */
export function checkSendable(name: string, value: string): void {
  if (name.length > MAX_NAME) {
    throw new TypeError(
      `Cannot send header ${name.slice(0, 40)}…: its name has ${name.length} characters, ` +
        `${MAX_NAME} are possible`,
    );
  }
  if (UNSENDABLE.test(value)) {
    throw new TypeError(
      `Cannot send header ${name}: its value has a line break or another control character`,
    );
  }
}

/** The error for more than {@link MAX_FIELDS}. */
export function tooManyFields(count: number): TypeError {
  return new TypeError(
    `Cannot send a response of ${count} header fields: ${MAX_FIELDS} are possible`,
  );
}
