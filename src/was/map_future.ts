/**
 * One request to every member of an alias.
 *
 * @module
 */

import { type DispatchOptions, type Future, type OrThrowArguments, quiet } from "./future.ts";
import { checkCaching } from "./kept_outcome.ts";
import type { Result } from "./result.ts";
import { Results } from "./results.ts";

/**
 * Futures of the same request to several members. It is waited for like a {@link Future}, and gives
 * {@link Results} in the order of the members; those that failed are among them.
 */
export class MapFuture<T = unknown> implements PromiseLike<Results<T>> {
  readonly #futures: readonly Future<T>[];
  #dispatched = false;

  /** Takes futures that have been started. */
  constructor(futures: readonly Future<T>[]) {
    this.#futures = futures;
  }

  /** The results, if all are there already. */
  get settled(): Results<T> | undefined {
    const results: Result<T>[] = [];
    for (const { settled } of this.#futures) {
      if (settled === undefined) return undefined;
      results.push(settled);
    }
    return new Results(results);
  }

  /** Waits for all. @param timeout Seconds from the start. @throws only with `reraise`. */
  dispatch(timeout?: number, options: DispatchOptions = {}): Promise<Results<T>> {
    const { cache, cacheIf, ...rest } = options;
    this.#dispatched = true;
    // registered first: what is kept is there before anybody goes on
    if (cache !== undefined) this.cache(cache, cacheIf);
    return this.#all((future) => future.dispatch(timeout, rest));
  }

  /**
   * Keeps the results, when they are there and every member has answered with a listed code.
   *
   * @param seconds Default 60; 0 or less forgets what is kept.
   * @param cacheIf Status codes to keep. Default only 200.
   * @throws {Error} before a dispatch. @throws {RangeError} when `seconds` is no number.
   */
  cache(seconds = 60, cacheIf?: readonly number[]): this {
    if (!this.#dispatched) throw new Error("Cannot cache a future: call dispatch first");
    checkCaching(seconds, cacheIf);
    if (seconds > 0) { for (const future of this.#futures) future.share(); }
    // the members never reject
    const arrivals = this.#futures.map((future) => future.dispatch());
    void Promise.all(arrivals).then((results) => new Results(results).cache(seconds, cacheIf));
    return this;
  }

  /** Same as {@link dispatch}. @deprecated Use `dispatch`. */
  getwait(timeout?: number, options?: DispatchOptions): Promise<Results<T>> {
    return this.dispatch(timeout, options);
  }

  /** Same as {@link dispatch}. @deprecated Use `dispatch`. */
  getswait(timeout?: number, options?: DispatchOptions): Promise<Results<T>> {
    return this.dispatch(timeout, options);
  }

  /**
   * Waits for completion only. @throws the error of the first member that failed, unless told not
   * to.
   */
  wait(timeout?: number, reraise = true): Promise<void> {
    this.#dispatched = true;
    const all = Promise.all(this.#futures.map((future) => future.wait(timeout, reraise)));
    return quiet(all.then(() => {}));
  }

  /** As {@link dispatch}; a failure ends the request that is being answered. @throws {HttpError} */
  dispatchOrThrow(...args: OrThrowArguments): Promise<Results<T>> {
    return this.#all((future) => future.getwaitOrThrow(...args));
  }

  /** As {@link dispatchOrThrow}, without a value. @throws {HttpError} */
  waitOrThrow(...args: OrThrowArguments): Promise<void> {
    return quiet(this.dispatchOrThrow(...args).then(() => {}));
  }

  /**
   * As {@link dispatchOrThrow}, but gives the data of each member. @throws {HttpError} also when they
   * cannot be decoded.
   */
  dataOrThrow(...args: OrThrowArguments): Promise<T[]> {
    this.#dispatched = true;
    return quiet(Promise.all(this.#futures.map((future) => future.dataOrThrow(...args))));
  }

  /** Same as {@link dispatchOrThrow}, for templates. */
  dispatch_or_throw(...args: OrThrowArguments): Promise<Results<T>> {
    return this.dispatchOrThrow(...args);
  }

  /** Same as {@link waitOrThrow}, for templates. */
  wait_or_throw(...args: OrThrowArguments): Promise<void> {
    return this.waitOrThrow(...args);
  }

  /** Same as {@link dataOrThrow}, for templates. */
  data_or_throw(...args: OrThrowArguments): Promise<T[]> {
    return this.dataOrThrow(...args);
  }

  /** Makes `await` the same as `dispatch()`. */
  then<A = Results<T>, B = never>(
    onResults?: ((results: Results<T>) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.dispatch().then(onResults, onError);
  }

  #all(wait: (future: Future<T>) => Promise<Result<T>>): Promise<Results<T>> {
    this.#dispatched = true;
    return quiet(Promise.all(this.#futures.map(wait)).then((results) => new Results(results)));
  }
}
