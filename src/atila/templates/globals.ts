/**
 * Functions for templates that get `was` first, without the template naming it.
 *
 * @module
 */

import type { AtilaWas } from "../was.ts";

/** A function for templates: `was` first, then what the template gives it. */
// deno-lint-ignore no-explicit-any -- templates pass anything
export type GlobalFunction = (was: AtilaWas, ...args: any[]) => unknown;

const supplied = new WeakSet<object>();

/** Marks a function: templates call it without `was`, and it gets that of the render. */
export function supplyWas(name: string, fn: GlobalFunction): GlobalFunction {
  if (typeof fn !== "function") {
    throw new TypeError(`Cannot register template global ${JSON.stringify(name)}: no function`);
  }
  const marked: GlobalFunction = (was, ...args) => fn(was, ...args);
  supplied.add(marked);
  return marked;
}

/** A global as a template with this `was` sees it. */
export function boundTo(was: unknown, value: unknown): unknown {
  if (typeof value !== "function" || !supplied.has(value)) return value;
  const fn = value as GlobalFunction;
  return (...args: unknown[]) => fn(was as AtilaWas, ...args);
}
