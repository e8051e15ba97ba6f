/**
 * Several backend requests, and one function that makes the response of all answers.
 *
 * @module
 */

import { HttpError } from "../core/errors.ts";
import type { DispatchOptions } from "../was/future.ts";

/** Options of `was.futures`. */
export interface FuturesOptions {
  /** Seconds from the start of each request. Default: that of each request. */
  readonly timeout?: number;
  /** Keep each result in this worker for so many seconds; see `Result.cache`. Default: not. */
  readonly cache?: number;
  /** Status codes to keep. Default only 200. */
  readonly cacheIf?: readonly number[];
}

/** Marks the answers of a list of requests. */
export const ANSWERS: unique symbol = Symbol("answers");

/** The answers of {@link FuturesResponse}; as a response, they are 205 without content. */
export class Answers extends Array<unknown> {
  /** Nothing at run time: keeps other lists from passing for one. */
  declare readonly [ANSWERS]: true;
}

/** What the requests of a list give, in its order. */
export type AnswersOf<F extends readonly unknown[]> =
  & { -readonly [K in keyof F]: Awaited<F[K]> }
  & Pick<Answers, typeof ANSWERS>;

/** A future, of one request or of several. */
interface Dispatchable {
  dispatch(timeout?: number, options?: DispatchOptions): PromiseLike<unknown>;
}

const OPTIONS = ["timeout", "cache", "cacheIf"];

/**
 * Requests whose answers make a response together. A handler returns it, as a rule after `then` with the
 * function that gets the answers; waiting for it gives the answers. Requests that failed are among
 * them, as results that say so.
 *
 * @example
 * ```ts ignore
 * app.route("/", (was) =>
 *   was.futures([was.get("@users/1"), was.get("@orders/1")]).then(([user, orders]) =>
 *     was.response.API({ user: user.data, orders: orders.data })
 *   ));
 * ```
 */
export class FuturesResponse<const F extends readonly PromiseLike<unknown>[]>
  implements PromiseLike<AnswersOf<F>> {
  readonly #answers: Promise<Answers>;

  /** Takes requests that have been started. @throws {TypeError} for anything else. */
  constructor(futures: F, options: FuturesOptions = {}) {
    if (!Array.isArray(futures)) throw new TypeError("was.futures takes a list of requests");
    for (const [i, future] of futures.entries()) {
      if (typeof future?.then === "function") continue;
      throw new TypeError(`was.futures takes requests: item ${i} is ${describe(future)}`);
    }
    for (const name of Object.keys(options)) {
      if (OPTIONS.includes(name)) continue;
      throw new TypeError(
        `was.futures: unknown option "${name}"; known are ${OPTIONS.join(", ")}`,
      );
    }
    const { timeout, cache, cacheIf } = options;
    const dispatching: DispatchOptions | undefined = cache === undefined
      ? undefined
      : { cache, cacheIf };
    const pending = futures.map((future) =>
      isDispatchable(future) ? future.dispatch(timeout, dispatching) : future
    );
    this.#answers = Promise.all(pending).then((all) => Answers.from(all) as Answers);
    // Nobody may be waiting; whoever does still gets it.
    this.#answers.catch(() => {});
  }

  /**
   * Calls a function with the answers; what it returns is the response. An `HttpError` it throws is the
   * response, anything else is logged and answered 502.
   */
  then<A = AnswersOf<F>, B = never>(
    onAnswers?: ((answers: AnswersOf<F>) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    if (typeof onAnswers !== "function") {
      return this.#answers.then(onAnswers as undefined, onError);
    }
    return this.#answers.then(async (answers) => {
      try {
        return await onAnswers(answers as unknown as AnswersOf<F>);
      } catch (error) {
        throw asHttpError(error);
      }
    }, onError ?? ((error) => Promise.reject(asHttpError(error))));
  }
}

function isDispatchable(value: unknown): value is Dispatchable {
  return typeof (value as Partial<Dispatchable>).dispatch === "function";
}

function asHttpError(error: unknown): HttpError {
  return error instanceof HttpError ? error : new HttpError(502, "", { cause: error });
}

function describe(value: unknown): string {
  return value === null || typeof value !== "object" ? String(value) : "an object without then()";
}
