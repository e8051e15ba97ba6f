/**
 * Byte ranges.
 *
 * @module
 */

/** A part of a body: positions of its first and its last byte. */
export interface ByteRange {
  /** First byte, from 0. */
  readonly start: number;
  /** Last byte, included. */
  readonly end: number;
}

/**
 * Reads a `Range` value for a body of that many bytes.
 *
 * @returns The range; `"unsatisfiable"` when it lies outside (answer 416); `undefined` when the
 * header is to be ignored: another unit, broken syntax, or several ranges, which HTTP allows to be
 * answered in full.
 */
export function parseRange(header: string, size: number): ByteRange | "unsatisfiable" | undefined {
  // Blanks behind a number belong to it: in two runs side by side every cut would be tried.
  const match = /^bytes[ \t]*=[ \t]*(?:(\d+)[ \t]*)?-[ \t]*(?:(\d+)[ \t]*)?$/i.exec(header);
  if (match === null) return undefined;
  const [, first = "", last = ""] = match;
  if (first === "") {
    if (last === "") return undefined;
    const length = Number(last);
    if (length === 0 || size === 0) return "unsatisfiable";
    return { start: Math.max(0, size - length), end: size - 1 };
  }
  const start = Number(first);
  if (last !== "" && Number(last) < start) return undefined;
  if (start >= size) return "unsatisfiable";
  return { start, end: last === "" ? size - 1 : Math.min(Number(last), size - 1) };
}
