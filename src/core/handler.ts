/**
 * The one call shape of this project: everything that answers a request is a {@link Handler},
 * everything that wraps one is a {@link Layer}.
 *
 * @module
 */

import type { RequestContext } from "./context.ts";

/**
 * Answers one request. A handler returns a `Response`; it never writes to one on the side.
 *
 * A handler may throw: an `HttpError` becomes the response it describes, anything else a 500 with an
 * entry in the app log. Both happen in one place, outside every mount.
 */
export type Handler = (req: Request, ctx: RequestContext) => Response | Promise<Response>;

/** Wraps a handler. Layers are folded once at start, never per request. */
export type Layer = (next: Handler) => Handler;

/**
 * Folds layers around a handler. The first layer is the outermost one.
 *
 * @example
 * ```ts ignore
 * const handler = compose([requestLog(log), errorGuard(app)], mountTable);
 * ```
 */
export function compose(layers: readonly Layer[], handler: Handler): Handler {
  return layers.reduceRight((next, layer) => layer(next), handler);
}

/** True for a promise or any other thenable. */
export function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof (value as PromiseLike<T> | null)?.then === "function";
}
