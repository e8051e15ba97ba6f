/**
 * Several futures that are waited for together.
 *
 * @module
 */

import {
  DEFAULT_TIMEOUT_SECONDS,
  type DispatchOptions,
  type Future,
  quiet,
  type RowOf,
} from "./future.ts";
import type { MapFuture } from "./map_future.ts";
import type { Result } from "./result.ts";
import type { Results } from "./results.ts";

/** What can be among tasks, whatever the data. */
// deno-lint-ignore no-explicit-any -- a future of one kind of data is none of unknown data
export type Task = Future<any> | MapFuture<any>;

/** Futures with a common deadline and common cache options. Go through them, or take one by `at`. */
export class Tasks implements Iterable<Task>, PromiseLike<(Result | Results)[]> {
  readonly #futures: readonly Task[];
  readonly #timeout: number;
  readonly #options: DispatchOptions;

  /** Task by its place, as of a list. */
  readonly [index: number]: Task;

  /**
   * Collects futures, which have been started already.
   *
   * @param timeout Seconds from the start of each. Default 10.
   */
  constructor(
    futures: Iterable<Task>,
    timeout: number = DEFAULT_TIMEOUT_SECONDS,
    options: DispatchOptions = {},
  ) {
    this.#futures = [...futures];
    this.#timeout = timeout;
    this.#options = options;
    for (const [i, future] of this.#futures.entries()) {
      if (typeof future?.dispatch !== "function") {
        throw new TypeError(`Cannot wait for task ${i}: it is no future`);
      }
      Object.defineProperty(this, i, { value: future, enumerable: true });
    }
  }

  /** How many there are. */
  get length(): number {
    return this.#futures.length;
  }

  /** Waits for all; results in the order of the futures, those that failed included. */
  dispatch(
    timeout: number = this.#timeout,
    options: DispatchOptions = this.#options,
  ): Promise<(Result | Results)[]> {
    return all(
      this.#futures.map((one): Promise<Result | Results> => one.dispatch(timeout, options)),
    );
  }

  /** Waits for completion only. @throws the error of the first that failed, unless told not to. */
  wait(timeout: number = this.#timeout, reraise = true): Promise<void> {
    return quiet(all(this.#futures.map((one) => one.wait(timeout, reraise))).then(() => {}));
  }

  /** Data of all. @throws {HttpError} 502 when one has failed. */
  fetch(timeout: number = this.#timeout): Promise<unknown[]> {
    return all(
      this.#futures.map((one): Promise<unknown> => one.dataOrThrow(undefined, timeout)),
    );
  }

  /** First rows of all. @throws {HttpError} 502 when one has failed, 404 when one has no row. */
  one(timeout: number = this.#timeout): Promise<RowOf<unknown>[]> {
    return all(this.#futures.map((one): Promise<RowOf<unknown>> => {
      if (!("oneOrThrow" in one)) throw new TypeError("Cannot take one row of many members");
      return one.oneOrThrow(undefined, timeout);
    }));
  }

  /** The future at an index, negative ones from the end. */
  at(index: number): Task | undefined {
    return this.#futures.at(index);
  }

  /** Goes through the futures. */
  [Symbol.iterator](): Iterator<Task> {
    return this.#futures[Symbol.iterator]();
  }

  /** Makes `await` the same as `dispatch()`. */
  then<A = (Result | Results)[], B = never>(
    onResults?: ((results: (Result | Results)[]) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.dispatch().then(onResults, onError);
  }
}

/** As with one future, a failure may come before somebody waits for it. */
function all<R>(promises: readonly Promise<R>[]): Promise<R[]> {
  return quiet(Promise.all(promises));
}
