/**
 * Values as they are now.
 *
 * @module
 */

import { isPlainObject } from "./plain_object.ts";

/** What is deeper than that stays as it is. */
const MAX_DEPTH = 100;

/**
 * A copy of values that are read later, when the caller may have put others there: of lists, records,
 * dates and bytes, whatever is in them. Other objects, and what is frozen, stay what they are.
 */
export function keptValues<T>(value: T, depth?: number): T;
/** The same, of what can be anything. */
export function keptValues(value: unknown, depth = 0): unknown {
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return value;
  if (Object.isFrozen(value)) return value;
  if (Array.isArray(value)) return value.map((member) => keptValues(member, depth + 1));
  // a node:Buffer would only be another view
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (value instanceof ArrayBuffer) return value.slice(0);
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice();
  }
  if (value instanceof Date) return new Date(value);
  if (!isPlainObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, keptValues(member, depth + 1)]),
  );
}
