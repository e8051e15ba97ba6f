/**
 * The per-request service object.
 *
 * @module
 */

import { currentContext, type RequestContext } from "../core/context.ts";
import { wac } from "./wac.ts";

/**
 * What a handler asks backends, logs and shared state through. One is made per request, on first use;
 * Atila extends it with the request, the response, templates and so on.
 */
export class Was {
  /** Context of the request; `undefined` in life-cycle hooks, where no request runs. */
  readonly ctx: RequestContext | undefined;

  /** Binds the object to a request, or to none. */
  constructor(ctx?: RequestContext) {
    this.ctx = ctx;
  }

  /** Short name of the worker. */
  get workerId(): string {
    return this.ctx?.workerId ?? wac.workerId;
  }

  /** `gtxnid/ltxnid` of the request, as it stands in all logs; `""` outside requests. */
  txnid(): string {
    return this.ctx ? `${this.ctx.gtxnid}/${this.ctx.ltxnid}` : "";
  }

  /** Writes to a log, with the transaction id. */
  log(message: string, category = "info", at = "app"): void {
    wac.logger.get(at).log(message, category, this.txnid());
  }

  /** Writes an error with its stack to the app log. */
  traceback(error: unknown, id: string = this.txnid()): void {
    wac.logger.get("app").trace(error, id);
  }
}

/** The class used for requests of foreign apps; see `setWasClass`. */
let wasClass: typeof Was = Was;

/** Supplies a subclass to be used from now on. */
export function setWasClass(cls: typeof Was): void {
  if (cls !== Was && !(cls.prototype instanceof Was)) {
    throw new TypeError(
      `Cannot use ${String(cls?.name ?? cls)} as the class of was: it does not extend Was`,
    );
  }
  wasClass = cls;
}

/** The service object of a context, made on first use. */
export function wasOf(ctx: RequestContext): Was {
  return (ctx.service ??= new wasClass(ctx)) as Was;
}

/** The service object of the running request. @throws {Error} when no request is running. */
export function currentWas(): Was {
  const ctx = currentContext.getStore();
  if (ctx === undefined) {
    throw new Error("Cannot use was here: no request is running in this asynchronous context");
  }
  return wasOf(ctx);
}
