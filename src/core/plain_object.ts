/**
 * Tells records of values from everything else that is an object.
 *
 * @module
 */

/**
 * True for an object that is nothing but its own properties: a literal, one without a prototype, and the
 * arguments of a handler, whose prototype is empty. Dates, bytes, maps and instances of classes are not.
 */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null ||
    Object.getPrototypeOf(prototype) === null && Reflect.ownKeys(prototype).length === 0;
}
