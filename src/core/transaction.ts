/**
 * Transaction ids: one name for everything a client's request sets off, on every server involved.
 *
 * The global id stays the same throughout. The local id says who called whom: its thousands are the
 * depth of the call, the rest counts the calls of one request.
 *
 * @module
 */

import type { RequestContext } from "./context.ts";

/** Header of the global transaction id. */
export const GLOBAL_ID_HEADER = "x-gtxn-id";
/** Header of the local transaction id. */
export const LOCAL_ID_HEADER = "x-ltxn-id";
/** What each server adds to the local id it receives; also the local id where a transaction begins. */
export const LOCAL_ID_STEP = 1000;

/** Headers that carry a transaction to a backend. */
export interface TransactionHeaders {
  /** Global id, unchanged. */
  readonly "x-gtxn-id": string;
  /** Local id of this call. */
  readonly "x-ltxn-id": string;
}

/** What identifies a request to those it calls. Any `RequestContext` fits. */
export type TransactionSource = Pick<RequestContext, "gtxnid" | "ltxnid" | "childCalls">;

/**
 * Headers of the next backend call of a request: the global id as it is, the local id plus the number
 * of the call, from 1. Each call of this function is one backend call; a retry of the same call carries
 * the headers it was given first.
 *
 * @example
 * ```ts
 * import { createContext } from "./context.ts";
 * import { nextChildIds } from "./transaction.ts";
 * const ctx = createContext({ url: "http://a.test/", connectionId: 3, requestId: 8 });
 * console.assert(nextChildIds(ctx)["x-ltxn-id"] === "1001");
 * console.assert(nextChildIds(ctx)["x-ltxn-id"] === "1002");
 * ```
 */
export function nextChildIds(ctx: TransactionSource): TransactionHeaders {
  const call = (ctx.childCalls ?? 0) + 1;
  ctx.childCalls = call;
  return { [GLOBAL_ID_HEADER]: ctx.gtxnid, [LOCAL_ID_HEADER]: String(ctx.ltxnid + call) };
}

/** The trace text of a request, `<global id>/<local id>`, as it stands in every log. */
export function transactionText(ctx: Pick<RequestContext, "gtxnid" | "ltxnid">): string {
  return `${ctx.gtxnid}/${ctx.ltxnid}`;
}
