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
  if (value instanceof ArrayBuffer) return value.slice(0);
  if (ArrayBuffer.isView(value)) return keptBytes(value);
  if (value instanceof Date) return new Date(value);
  if (!isPlainObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, keptValues(member, depth + 1)]),
  );
}

/** A copy of bytes; of views of other kinds, of the memory they show. */
export function keptBytes(bytes: ArrayBuffer | ArrayBufferView): Uint8Array<ArrayBuffer> {
  // not by slice() of a view, which for a node:Buffer is only another one
  return new Uint8Array(
    bytes instanceof ArrayBuffer
      ? bytes.slice(0)
      : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  );
}
