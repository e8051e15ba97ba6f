/**
 * The `Authorization` header: a scheme, and a token or parameters.
 *
 * @module
 */

/** The header, taken apart. */
export interface Credentials {
  /** Scheme in lower case. */
  readonly scheme: string;
  /** Everything behind it. */
  readonly rest: string;
}

/** Takes an `Authorization` header apart; `undefined` when there is none. */
export function parseAuthorization(header: string | null): Credentials | undefined {
  // Trimmed first: a pattern that looks for the end takes ages where many blanks stand in between.
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[ \t]+(.*))?$/.exec((header ?? "").trim());
  return match === null ? undefined : { scheme: match[1]!.toLowerCase(), rest: match[2] ?? "" };
}

/**
 * Reads `a=b, c="d"`; names in lower case. `undefined` when it is malformed or a name stands there
 * twice: what cannot be understood in one way only is refused.
 */
export function parseParameters(text: string): ReadonlyMap<string, string> | undefined {
  const parameters = new Map<string, string>();
  const pattern =
    /[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=(?:[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+)))?[ \t]*)?(,|$)/y;
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    if (match === null) return undefined;
    const name = match[1]?.toLowerCase();
    if (name === undefined) continue;
    if (parameters.has(name)) return undefined;
    parameters.set(name, match[2]?.replace(/\\(.)/g, "$1") ?? match[3] ?? "");
  }
  return parameters;
}

/** Text between quotes in a challenge. Line breaks cannot be sent and become blanks. */
export function quoted(text: string): string {
  // deno-lint-ignore no-control-regex
  const sendable = text.replace(/[\x00-\x1f\x7f]+/g, " ").replace(/[^\x20-\xff]/g, "?");
  return `"${sendable.replace(/["\\]/g, "\\$&")}"`;
}
