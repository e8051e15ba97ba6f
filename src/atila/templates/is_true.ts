/**
 * What counts as true in a Jinja template.
 *
 * @module
 */

import { isPlainObject } from "../../core/plain_object.ts";

/** False for what JavaScript takes for false, and for an empty list, record, map, set and text. */
export function isTrue(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return !!value;
  if (Array.isArray(value) || value instanceof String) return value.length > 0;
  if (value instanceof Map || value instanceof Set) return value.size > 0;
  return !isPlainObject(value) || Object.keys(value).length > 0;
}
