/**
 * Headers every response carries. `Date` is set by the fronts.
 *
 * @module
 */

import { bodySizeOf, hasTextBody } from "../core/body_size.ts";
import { isComplete } from "../core/complete_response.ts";
import { type Handler, isThenable, type Layer } from "../core/handler.ts";
import { isBodyless } from "../core/status.ts";

/**
 * Adds `Server`, unless its value is `""`, and `Content-Type: text/html` where a response with a body
 * names no type.
 */
export function standardHeaders(server: string): Layer {
  const complete = server === "" ? addType : (res: Response) => addBoth(res, server);
  return (next: Handler): Handler =>
    function standardHeaders(req, ctx) {
      const result = next(req, ctx);
      return isThenable(result) ? Promise.resolve(result).then(complete) : complete(result);
    };
}

/** Without `Server` most responses are complete, and only looking at their headers has a price. */
function addType(res: Response): Response {
  return isUntyped(res) ? change(res, (headers) => headers.set("content-type", "text/html")) : res;
}

function addBoth(res: Response, server: string): Response {
  // An upgrade must stay the object the runtime made, and an error response has no headers at all.
  if (res.status < 200 || isComplete(res)) return res;
  const untyped = isUntyped(res);
  return change(res, (headers) => {
    headers.set("server", server);
    if (untyped) headers.set("content-type", "text/html");
  });
}

function isUntyped(res: Response): boolean {
  // The runtime gives every text a type.
  if (hasTextBody(res) || isComplete(res)) return false;
  const { status } = res;
  return status >= 200 && !isBodyless(status) && !res.headers.has("content-type") &&
    bodySizeOf(res) !== 0;
}

function change(res: Response, edit: (headers: Headers) => void): Response {
  try {
    edit(res.headers);
    return res;
  } catch (error) {
    // Responses of fetch() and Response.redirect() cannot be changed.
    if (!(error instanceof TypeError)) throw error;
    const headers = new Headers(res.headers);
    edit(headers);
    return new Response(isBodyless(res.status) ? null : res.body, {
      status: res.status,
      statusText: res.statusText,
      headers,
    });
  }
}
