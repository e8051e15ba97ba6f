/**
 * Several results in the order of the requests.
 *
 * @module
 */

import type { RequestStatus } from "../clients/contract.ts";
import type { Result } from "./result.ts";

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
