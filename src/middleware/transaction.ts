/**
 * Takes part in the transaction of a caller that names one in its headers.
 *
 * @module
 */

import { headerOf, type RequestContext } from "../core/context.ts";
import { HttpError } from "../core/errors.ts";
import type { Handler } from "../core/handler.ts";
import { GLOBAL_ID_HEADER, LOCAL_ID_HEADER, LOCAL_ID_STEP } from "../core/transaction.ts";

/**
 * What a global id may look like. It goes to log lines, to log identifiers inside brackets and to the
 * headers of backend calls, so nothing that separates or ends one of those is let in.
 */
const GLOBAL_ID = /^[\w.:+=@~-]{1,128}$/;
/** Nine digits stay far below the exact integers however often a thousand is added. */
const LOCAL_ID = /^\d{1,9}$/;

/**
 * Layer that adopts `X-Gtxn-Id` and `X-Ltxn-Id` of a request: the global id as it is, the local id plus
 * 1000. A request without a global id begins a transaction of its own, `GTID-C<connection>-R<request>`
 * with the local id 1000, which the context has from the start. So does one whose global id nobody could
 * write to logs and headers: anybody may send such a thing, and it says nothing.
 *
 * @throws {HttpError} 400 for a global id without a local one, and for a local id that is no number.
 */
export function transaction(next: Handler): Handler {
  return function transaction(req, ctx) {
    const globalId = headerOf(req, ctx, GLOBAL_ID_HEADER);
    if (globalId !== null) adopt(ctx, globalId, headerOf(req, ctx, LOCAL_ID_HEADER));
    return next(req, ctx);
  };
}

function adopt(ctx: RequestContext, globalId: string, localId: string | null): void {
  if (localId === null) throw new HttpError(400, "X-Gtxn-Id came without X-Ltxn-Id");
  if (!LOCAL_ID.test(localId)) {
    throw new HttpError(400, "X-Ltxn-Id must be a number of at most 9 digits");
  }
  if (!GLOBAL_ID.test(globalId)) return;
  ctx.gtxnid = globalId;
  ctx.ltxnid = Number(localId) + LOCAL_ID_STEP;
}
