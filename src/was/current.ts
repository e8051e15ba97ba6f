/**
 * `was` for apps of other frameworks: an object to import that stands for the service object of the
 * running request.
 *
 * @module
 */

import { runningContext } from "../core/context.ts";
import { atilaOnly, detachedWas, Was, wasOf } from "./was.ts";

/**
 * The service object of the running request, found through the asynchronous context; outside requests,
 * in start-up code and hooks, one that belongs to no request.
 *
 * @example
 * ```ts
 * import { was } from "./current.ts";
 * const app = {
 *   async fetch() {
 *     const [a, b] = [was.get("@members/v1/users"), was.get("@stock/v1/items")];
 *     return Response.json({ users: (await a).data, items: (await b).data });
 *   },
 * };
 * console.assert(typeof app.fetch === "function");
 * ```
 *
 * @throws {Error} on members that only requests to Atila apps have, such as `was.session`.
 */
export const was: Was = new Proxy(Object.create(Was.prototype) as Was, {
  get: (_target, name) => member(name),
  set(_target, name, value) {
    return Reflect.set(present(), name, value);
  },
  has: (_target, name) => Reflect.has(present(), name),
  getPrototypeOf: () => Reflect.getPrototypeOf(present()),
  ownKeys: () => Reflect.ownKeys(present()),
  getOwnPropertyDescriptor(_target, name) {
    const found = Reflect.getOwnPropertyDescriptor(present(), name);
    // a proxy may only report what its target could have
    return found && { ...found, configurable: true };
  },
});

function present(): Was {
  const ctx = runningContext();
  return ctx === undefined ? detachedWas() : wasOf(ctx);
}

function member(name: string | symbol): unknown {
  const object = present();
  if (typeof name === "string" && atilaOnly(name) && !(name in object)) {
    throw new Error(
      `Cannot use was.${name} here: it needs Atila, and this app is not an Atila app`,
    );
  }
  const value = Reflect.get(object, name, object);
  return typeof value === "function" && isMethod(object, name) ? value.bind(object) : value;
}

/** True for methods, which need their object; what getters return brings its own. */
function isMethod(object: object, name: string | symbol): boolean {
  for (let level = object; level !== null; level = Object.getPrototypeOf(level)) {
    const found = Object.getOwnPropertyDescriptor(level, name);
    if (found !== undefined) return "value" in found && name !== "constructor";
  }
  return false;
}
