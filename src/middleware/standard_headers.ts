/**
 * Headers every response carries. `Date` is set by the fronts.
 *
 * @module
 */

import { bodySizeOf } from "../core/body_size.ts";
import { type Handler, isThenable, type Layer } from "../core/handler.ts";
import { isBodyless } from "../core/status.ts";
import { SOFTWARE } from "../core/version.ts";

/** Adds `Server`, and `Content-Type: text/html` where a response with a body names no type. */
export function standardHeaders(): Layer {
  return (next: Handler): Handler =>
    function standardHeaders(req, ctx) {
      const result = next(req, ctx);
      return isThenable(result) ? Promise.resolve(result).then(complete) : complete(result);
    };
}

function complete(res: Response): Response {
  const { status } = res;
  // An upgrade must stay the object the runtime made, and an error response has no headers at all.
  if (status < 200) return res;
  const { headers } = res;
  const untyped = !headers.has("content-type") && !isBodyless(status) && bodySizeOf(res) !== 0;
  try {
    headers.set("server", SOFTWARE);
    if (untyped) headers.set("content-type", "text/html");
    return res;
  } catch (error) {
    // Responses of fetch() and Response.redirect() cannot be changed.
    if (!(error instanceof TypeError)) throw error;
    const copy = new Headers(headers);
    copy.set("server", SOFTWARE);
    if (untyped) copy.set("content-type", "text/html");
    return new Response(isBodyless(status) ? null : res.body, {
      status,
      statusText: res.statusText,
      headers: copy,
    });
  }
}
