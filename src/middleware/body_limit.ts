/**
 * Limits on the size of request bodies.
 *
 * @module
 */

import type { BodyLimits } from "../core/app.ts";
import type { RequestContext } from "../core/context.ts";
import { deriveRequest } from "../core/derive_request.ts";
import { HttpError } from "../core/errors.ts";
import { type Handler, isThenable, type Layer } from "../core/handler.ts";

/**
 * Refuses bodies above the limits with 413, without reading them where `Content-Length` tells their
 * size, while counting otherwise. The connection of a refused HTTP/1 request is closed, because
 * what remains of its body would be taken for the next request. A POST, PUT or PATCH that announces
 * a body by its type but neither by length nor by transfer coding is answered 411.
 *
 * A request within the limits is passed on as the same object.
 */
export function bodyLimit(limits: BodyLimits): Layer {
  return (next: Handler): Handler =>
    function bodyLimit(req, ctx) {
      const { method } = req;
      // A Request never shows the body of these two.
      if (method === "GET" || method === "HEAD") return next(req, ctx);
      const { headers } = req;
      const length = headers.get("content-length");
      if (length === "0") return next(req, ctx);
      if (length === null) {
        if (ctx.httpVersion !== "2.0" && headers.get("transfer-encoding") === null) {
          if (needsLength(method) && headers.has("content-type")) {
            throw new HttpError(411, "The request has neither Content-Length nor chunked coding");
          }
          return next(req, ctx);
        }
        return req.body === null ? next(req, ctx) : counted(next, req, ctx, limitFor(req, limits));
      }
      const limit = limitFor(req, limits);
      if (!(Number(length) <= limit)) throw tooLarge(limit, ctx);
      return next(req, ctx);
    };
}

/** The limit that goes with the type of a body. */
function limitFor(req: Request, limits: BodyLimits): number {
  const type = req.headers.get("content-type");
  return type !== null && /^\s*multipart\//i.test(type)
    ? limits.maxMultipartBodySize
    : limits.maxPostBodySize;
}

function needsLength(method: string): boolean {
  return method === "POST" || method === "PUT" || method === "PATCH";
}

function tooLarge(limit: number, ctx: RequestContext): HttpError {
  return new HttpError(413, `The body of a request may have ${limit} bytes here`, {
    headers: ctx.httpVersion === "2.0" ? undefined : { connection: "close" },
  });
}

/**
 * Passes a request whose body is counted while it is read. Whatever the handler makes of the failed
 * read, the answer is 413 unless it has returned before.
 */
function counted(
  next: Handler,
  req: Request,
  ctx: RequestContext,
  limit: number,
): Response | Promise<Response> {
  let seen = 0;
  let exceeded: HttpError | undefined;
  const body = req.body!.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        seen += chunk.byteLength;
        if (seen <= limit) {
          controller.enqueue(chunk);
        } else {
          exceeded = tooLarge(limit, ctx);
          controller.error(exceeded);
        }
      },
    }),
  );
  const limited = deriveRequest(req, { body });
  try {
    const result = next(limited, ctx);
    if (!isThenable(result)) return result;
    return Promise.resolve(result).then(
      (res) => {
        if (exceeded === undefined) return res;
        // The app went on with a body that was cut off: nobody wants that answer.
        res.body?.cancel().catch(() => {});
        throw exceeded;
      },
      (error) => {
        throw exceeded ?? error;
      },
    );
  } catch (error) {
    throw exceeded ?? error;
  }
}
