/**
 * What the contexts of both fronts have in common.
 *
 * @module
 */

import { BaseContext } from "../../core/context.ts";
import type { FrontCounters } from "../front.ts";
import type { PendingWork } from "./pending_work.ts";

/** What a front lends to the contexts of its requests. */
export interface FrontShare {
  /** Where numbers come from. */
  readonly counters: FrontCounters;
  /** Promises the front waits for before it ends. */
  readonly work: PendingWork;
  /** Short worker name. */
  readonly workerId: string;
  /** Scheme of the listener. */
  readonly scheme: "http" | "https";
}

/**
 * Base of a front's context. Everything that costs something is worked out when it is asked for: most
 * requests never need half of it.
 */
export abstract class FrontContext extends BaseContext {
  /** Number of the request; taking it is what counts the request. */
  override readonly requestId: number;

  /** What the front lends. */
  protected readonly share: FrontShare;
  #path: string | undefined = undefined;
  #query = "";

  /** Made once per request. */
  constructor(share: FrontShare) {
    super();
    this.share = share;
    this.requestId = share.counters.nextRequest();
  }

  /** Text in which the request target stands. */
  protected abstract readonly address: string;
  /** Where in it the target starts. */
  protected abstract readonly targetStart: number;

  override get scheme(): "http" | "https" {
    return this.share.scheme;
  }

  override get workerId(): string {
    return this.share.workerId;
  }

  override get path(): string {
    return this.#path ?? this.#cut();
  }

  override get query(): string {
    if (this.#path === undefined) this.#cut();
    return this.#query;
  }

  override waitUntil(promise: Promise<unknown>): void {
    this.share.work.add(promise);
  }

  #cut(): string {
    const text = this.address;
    const start = this.targetStart;
    // A fragment has no business in a request; some clients send one, and it names nothing here.
    let end = text.indexOf("#", start);
    if (end === -1) end = text.length;
    const mark = text.indexOf("?", start);
    if (mark === -1 || mark > end) return this.#path = text.slice(start, end) || "/";
    this.#query = text.slice(mark + 1, end);
    return this.#path = text.slice(start, mark) || "/";
  }
}
