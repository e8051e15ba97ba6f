/**
 * Something that is opened once for all who need it, and given up when nobody waits for it any
 * more.
 *
 * @module
 */

import type { StopSignal } from "../core/stop.ts";

interface Opening<T> {
  readonly promise: Promise<T>;
  readonly abort: AbortController;
  waiting: number;
}

/** An opening that several wait for. */
export class SharedOpening<T> {
  readonly #open: (signal: StopSignal) => Promise<T>;
  #current: Opening<T> | undefined;

  /**
   * @param open Opens it; rejects when the signal aborts, and closes what it has opened by then.
   */
  constructor(open: (signal: StopSignal) => Promise<T>) {
    this.#open = open;
  }

  /**
   * Waits for the opening under way, or starts one.
   *
   * @throws what opening threw. @throws the signal's reason; the others go on waiting.
   */
  async wait(signal: StopSignal): Promise<T> {
    signal.throwIfAborted();
    const current = this.#current ??= this.#start();
    current.waiting++;
    try {
      return await orAborted(current.promise, signal);
    } finally {
      // nobody wants it any more; for one that is open already this does nothing
      if (--current.waiting === 0) {
        current.abort.abort(new Error("Nobody waits for the connection"));
      }
    }
  }

  /** Gives up, and waits until that is done. */
  async cancel(reason: Error): Promise<void> {
    const current = this.#current;
    current?.abort.abort(reason);
    await current?.promise.then(() => {}, () => {});
  }

  #start(): Opening<T> {
    const abort = new AbortController();
    const promise = this.#open(abort.signal);
    const current = { promise, abort, waiting: 0 };
    const end = () => {
      if (this.#current === current) this.#current = undefined;
    };
    promise.then(end, end);
    // those who come after everybody has left start anew
    abort.signal.addEventListener("abort", end, { once: true });
    return current;
  }
}

/** Waits for a promise or the signal, whose reason it throws then. */
export async function orAborted<T>(promise: PromiseLike<T>, signal: StopSignal): Promise<T> {
  let onAbort!: () => void;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    if (signal.aborted) throw signal.reason;
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    // a failure after that is nobody's
    promise.then(() => {}, () => {});
  }
}
