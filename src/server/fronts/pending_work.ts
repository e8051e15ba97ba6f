/**
 * Work that outlives its response: what was handed to `waitUntil`.
 *
 * @module
 */

import type { Log } from "../../core/log.ts";

/** Promises a front waits for before it ends. */
export class PendingWork {
  readonly #promises = new Set<Promise<void>>();
  readonly #log: Log;

  /** Rejections are written to the log. */
  constructor(log: Log) {
    this.#log = log;
  }

  /** Keeps the front alive for a promise. */
  add(promise: Promise<unknown>): void {
    const done: Promise<void> = Promise.resolve(promise).then(
      () => {},
      (error) => this.#log.trace(error, "waitUntil"),
    ).then(() => {
      this.#promises.delete(done);
    });
    this.#promises.add(done);
  }

  /** Resolves when nothing is pending any more, also not what was added meanwhile. */
  async settled(): Promise<void> {
    while (this.#promises.size > 0) await Promise.all(this.#promises);
  }
}
