/**
 * Several results in the order of the requests.
 *
 * @module
 */

import type { RequestStatus } from "../clients/contract.ts";
import { checkCaching } from "./kept_outcome.ts";
import type { Result } from "./result.ts";

const ONLY_OK: readonly number[] = [200];

/** A list of results, with the columns that are asked for most. */
export class Results<T = unknown> implements Iterable<Result<T>> {
  readonly #results: readonly Result<T>[];

  /** Wraps the results. */
  constructor(results: readonly Result<T>[]) {
    this.#results = results;
  }

  /** How many there are. */
  get length(): number {
    return this.#results.length;
  }

  /** Request status of each. */
  get status(): RequestStatus[] {
    return this.#results.map((result) => result.status);
  }

  /** Status code of each. */
  get statusCode(): number[] {
    return this.#results.map((result) => result.statusCode);
  }

  /** Status code of each, for templates. */
  get status_code(): number[] {
    return this.statusCode;
  }

  /** Data of each. */
  get data(): T[] {
    return this.#results.map((result) => result.data);
  }

  /**
   * Keeps all of them in this worker, if every member has answered with a listed code; see
   * `Result.cache`.
   *
   * @param seconds Default 60; 0 or less forgets what is kept.
   * @param cacheIf Status codes to keep. Default only 200.
   * @throws {RangeError} when `seconds` is not a number. @throws {TypeError} unless the codes are a
   * list.
   */
  cache(seconds = 60, cacheIf: readonly number[] = ONLY_OK): this {
    checkCaching(seconds, cacheIf);
    const all = this.#results.every(({ status, statusCode }) =>
      status === 3 && cacheIf.includes(statusCode)
    );
    if (all || seconds <= 0) { for (const result of this.#results) result.cache(seconds, cacheIf); }
    return this;
  }

  /** Forgets what is kept of these requests. */
  expire(): this {
    for (const result of this.#results) result.expire();
    return this;
  }

  /** The result at an index, negative ones from the end. */
  at(index: number): Result<T> | undefined {
    return this.#results.at(index);
  }

  /** Returns itself when all succeeded. @throws the error of the first that did not. */
  reraise(): this {
    for (const result of this.#results) result.reraise();
    return this;
  }

  /** Goes through the results. */
  [Symbol.iterator](): Iterator<Result<T>> {
    return this.#results[Symbol.iterator]();
  }
}
