/**
 * The one place where thrown errors become responses.
 *
 * @module
 */

import type { RequestContext } from "../core/context.ts";
import { errorResponse } from "../core/error_page.ts";
import { HttpError } from "../core/errors.ts";
import { type Handler, isThenable, type Layer } from "../core/handler.ts";
import type { Log } from "../core/log.ts";
import { wac } from "../was/wac.ts";

/** Options of {@link errorGuard}. */
export interface ErrorGuardOptions {
  /** Where unexpected errors go, with their stack. */
  readonly log: Log;
  /** Show errors with their stack to the client. Default false. */
  readonly debug?: boolean;
}

/**
 * Answers for whatever the handlers inside throw. An `HttpError` becomes the response it describes;
 * anything else is counted, logged with its stack under the transaction id and becomes a bare 500, and
 * so does a response that cannot be sent.
 *
 * The result never throws and never rejects. A handler that answers at once is answered at once.
 */
export function errorGuard(options: ErrorGuardOptions): Layer {
  const answer = (thrown: unknown, req: Request, ctx: RequestContext) => {
    try {
      return answerError(thrown, req, ctx, options);
    } catch (error) {
      // An HttpError with headers that are none, for one.
      options.log.trace(error, txnidOf(ctx));
      return errorResponse({ req, status: 500 });
    }
  };
  const check = (res: Response, req: Request, ctx: RequestContext) => {
    const problem = problemOf(res, ctx);
    return problem === undefined ? res : answer(problem, req, ctx);
  };
  return (next: Handler): Handler => {
    function settle(
      pending: Promise<Response>,
      req: Request,
      ctx: RequestContext,
    ): Promise<Response> {
      return pending.then((res) => check(res, req, ctx), (error) => answer(error, req, ctx));
    }
    return function errorGuard(req, ctx) {
      try {
        const result = next(req, ctx);
        return isThenable(result) ? settle(result, req, ctx) : check(result, req, ctx);
      } catch (error) {
        return answer(error, req, ctx);
      }
    };
  };
}

/** Why no front could send a response: found there, it would be too late for an answer and a log entry. */
function problemOf(res: Response, ctx: RequestContext): Error | undefined {
  if (res.status === 0) {
    return new TypeError("Cannot answer with Response.error(): it has no status");
  }
  if (res.status === 101 && ctx.canUpgrade === false) return cannotUpgrade(ctx.path);
  if (!res.bodyUsed) return undefined;
  return new TypeError(
    "Cannot answer with a Response whose body was sent or read before: make one for each request",
  );
}

/** What a front says that cannot hand a connection over. */
export function cannotUpgrade(path: string): Error {
  return new Error(
    `Cannot upgrade the connection of ${path}: the edge front has no Deno.upgradeWebSocket, ` +
      'run({ front: "fast" }) has',
  );
}

/** The response for something thrown; logs it when it is not the client's to know. */
export function answerError(
  thrown: unknown,
  req: Request,
  ctx: RequestContext,
  { log, debug = false }: ErrorGuardOptions,
): Response {
  if (thrown instanceof HttpError) {
    if (thrown.status >= 500 && thrown.cause !== undefined) log.trace(thrown, txnidOf(ctx));
    return errorResponse({
      req,
      status: thrown.status,
      reason: thrown.reason,
      detail: thrown.detail,
      headers: thrown.headers,
      debug,
      expose: thrown.expose,
      error: thrown.cause ?? thrown,
    });
  }
  wac.counters?.exception();
  log.trace(thrown, txnidOf(ctx));
  return errorResponse({ req, status: 500, error: thrown, debug });
}

/** `gtxnid/ltxnid` as it stands in all logs; `""` before the transaction layer has run. */
function txnidOf(ctx: RequestContext): string {
  return ctx.gtxnid === "" ? "" : `${ctx.gtxnid}/${ctx.ltxnid}`;
}
