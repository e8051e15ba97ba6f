/**
 * Header values with parameters, such as `form-data; name="a"; filename="b.txt"`.
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
      at = next;
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
