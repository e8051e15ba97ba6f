/**
 * A request that is on its way.
 *
 * @module
 */

import { Deadline, type Expiring } from "../core/deadline.ts";
import { isDevel } from "../core/environment.ts";
import {
  asError,
  BackendTimeoutError,
  HttpError,
  ProtocolError,
  reasonOfAny,
} from "../core/errors.ts";
import type { Outcome, RequestStatus, Send } from "../clients/contract.ts";
import { Flight } from "../store/result_cache.ts";
import {
  checkCaching,
  isKeepable,
  keep,
  type KeptOutcome,
  KeptView,
  resultCache,
} from "./kept_outcome.ts";
import { type RequestFacts, Result, type ResultOrigin } from "./result.ts";
import { Results } from "./results.ts";

/** Where a future reports what nobody waits for. `Was` is one. */
export interface FutureOwner {
  /** Writes to a log. */
  log(message: string, category?: string, at?: string): void;
  /** Writes an error with its stack. */
  traceback(error: unknown): void;
}

/** A function that is called with the result, alone or followed by further arguments for it. */
export type ResultCallback<T = unknown> =
  // deno-lint-ignore no-explicit-any -- the further arguments are the caller's own
  | ((result: Result<T>, ...args: any[]) => unknown)
  | readonly [
    // deno-lint-ignore no-explicit-any -- see above
    (result: Result<T>, ...args: any[]) => unknown,
    ...unknown[],
  ];

/** What a future is made of. */
export interface FutureInit<T = unknown> extends RequestFacts {
  /** Logs failures and errors of callbacks. */
  readonly owner: FutureOwner;
  /** Seconds from now. Default 10. */
  readonly timeout?: number;
  /** Run on the result before anyone else gets it, unless the request failed. */
  readonly filter?: (result: Result<T>) => unknown;
  /** Called with the result when it is there. */
  readonly callback?: ResultCallback<T>;
  /** Tells who is being asked, for the result of a request that has run out of time. */
  readonly asked?: Asked;
  /** Tells the same requests apart from others; without it the result cannot be kept. */
  readonly cacheable?: Cacheable;
  /**
   * Whether a kept result may be used: false never, a number (milliseconds since 1970) only one
   * requested after that time; an older one is forgotten. Default true.
   */
  readonly useCache?: boolean | number;
}

/** A request that knows who is being asked. */
export interface Asked {
  /** The member, or the server; `undefined` when none has been asked yet. */
  readonly node: string | undefined;
}

/** A request that knows what the same requests have in common. */
export interface Cacheable {
  /** The key; `undefined` for a request whose result cannot be kept. Called when it is needed. */
  cacheKey(): string | undefined;
}

/** Options of the waiting forms. */
export interface DispatchOptions {
  /** Throw when the request failed or its code is 300 or above. Default false. */
  readonly reraise?: boolean;
  /** Keep the result in this worker for so many seconds; see `Result.cache`. Default: not. */
  readonly cache?: number;
  /** Status codes to keep. Default only 200. */
  readonly cacheIf?: readonly number[];
}

/** Seconds a request may take where nobody says otherwise. */
export const DEFAULT_TIMEOUT_SECONDS = 10;

/** Ends a request at its deadline, which is nobody else's to do. */
let expire: <T>(future: Future<T>) => void;

class Expiry<T> implements Expiring {
  readonly #future: Future<T>;

  constructor(future: Future<T>) {
    this.#future = future;
  }

  expire(): void {
    expire(this.#future);
  }
}

const NO_HEADERS = new Headers();
const FAILED = "502 Bad Gateway";

/**
 * A request that has been started, and the result it will have.
 *
 * It starts when it is made and its time counts from then. Awaiting it is the same as
 * {@link dispatch}: it gives a result, also of a request that failed, and never throws. The forms
 * that throw say so in their names. A future nobody waits for does no harm.
 *
 * At the deadline the connection is closed and the result has status 1; an answer after that is lost.
 */
export class Future<T = unknown> implements PromiseLike<Result<T>>, ResultOrigin {
  static {
    expire = (future) => future.#expire();
  }

  readonly #init: FutureInit<T>;
  readonly #startedAt = performance.now();
  // these two are for requests that are sent, not for those a kept result answers
  #deadline: Deadline | undefined;
  #caller: { stack?: string } | undefined;
  #arrival: Promise<Result<T>> | undefined;
  /** Called with the result, in this order. */
  #waiting: ((result: Result<T>) => void)[] | undefined;
  #over = false;
  #settled: Result<T> | undefined;
  /** The body, where it comes as a stream. */
  #body: ReadableStream<Uint8Array> | undefined;
  #dispatched = false;
  #key: { readonly value: string | undefined } | undefined;
  #flight: Flight<Outcome, KeptOutcome> | undefined;
  #sending: Promise<Outcome> | undefined;
  #caching: { readonly seconds: number; readonly codes: readonly number[] | undefined } | undefined;

  /**
   * Starts the request.
   *
   * @throws {RangeError} when the timeout is not a positive number. @throws {TypeError} for a callback
   * or filter that cannot be called, and a useCache that is neither true, false nor a time.
   */
  constructor(send: Send<Promise<Outcome> | Outcome>, init: FutureInit<T>) {
    const seconds = checkedSeconds(init.timeout ?? DEFAULT_TIMEOUT_SECONDS);
    checkInit(init);
    this.#init = init;
    if (init.callback !== undefined) this.#callBack(init.callback);
    if (resultCache.active && this.#takeKept()) return;
    this.#deadline = new Deadline(new Expiry(this));
    keepsCallers ??= isDevel();
    if (keepsCallers) {
      this.#caller = {};
      // the frames are kept in a raw form; making text of them is left to failures
      Error.captureStackTrace(this.#caller, Future);
    }
    if (!(resultCache.active && this.#startShared(send))) this.#start(send);
    if (!this.#over) this.#deadline.set(this.#startedAt, seconds * 1000);
  }

  /** What the same requests have in common; `undefined` when the result cannot be kept. */
  get cacheKey(): string | undefined {
    return (this.#key ??= { value: keyFrom(this.#init.cacheable) }).value;
  }

  /** Milliseconds since 1970 when it was made. */
  get requestedAt(): number {
    // rather a little too early: what changes while it is asked must count as later
    return Math.floor(Date.now() - (performance.now() - this.#startedAt)) - 1;
  }

  /** True for futures, wherever their class came from. */
  static isFuture(value: unknown): value is Future {
    return value instanceof Future;
  }

  /** The result, if it is there already. */
  get settled(): Result<T> | undefined {
    return this.#settled;
  }

  /**
   * Waits for the result. Calling it again gives the same one.
   *
   * @param timeout Seconds from the start of the request; replaces the deadline it was started with.
   * @throws only with `reraise`.
   */
  dispatch(timeout?: number, options?: DispatchOptions): Promise<Result<T>> {
    this.#prepare(timeout, options);
    return options?.reraise === true
      ? this.#andThen((result) => result.reraise())
      : this.#arrived();
  }

  /** Same as {@link dispatch}. @deprecated Use `dispatch`. */
  getwait(timeout?: number, options?: DispatchOptions): Promise<Result<T>> {
    return this.dispatch(timeout, options);
  }

  /** As {@link dispatch}, as a list. @deprecated Use `dispatch`. */
  async getswait(timeout?: number, options?: DispatchOptions): Promise<Results<T>> {
    return new Results([await this.dispatch(timeout, options)]);
  }

  /**
   * Waits for completion only.
   *
   * @throws the error of the result when it failed, unless `reraise` is false.
   */
  wait(timeout?: number, reraise = true): Promise<void> {
    this.#prepare(timeout);
    return this.#andThen((result) => {
      if (reraise) result.reraise();
    });
  }

  /**
   * As {@link dispatch}, but ends the request that is being answered with an HTTP error when this one
   * failed or its code is 300 or above.
   *
   * @param status Status for the client, such as `"404 Not Found"`; left out, 502. A number from 400
   * to 599 is a status, any other a timeout.
   * @throws {HttpError}
   */
  dispatchOrThrow(
    status?: string | number,
    timeout?: number,
    options?: DispatchOptions,
  ): Promise<Result<T>>;
  /** As above, with the status 502. @throws {HttpError} */
  dispatchOrThrow(timeout?: number, options?: DispatchOptions): Promise<Result<T>>;
  dispatchOrThrow(...args: unknown[]): Promise<Result<T>> {
    return this.#orThrow(args, (result) => result);
  }

  /** Same as {@link dispatchOrThrow}. @deprecated Use `dispatchOrThrow`. */
  getwaitOrThrow(...args: OrThrowArguments): Promise<Result<T>> {
    return this.#orThrow(args, (result) => result);
  }

  /** As {@link dispatchOrThrow}, as a list. @deprecated Use `dispatchOrThrow`. */
  getswaitOrThrow(...args: OrThrowArguments): Promise<Results<T>> {
    return this.#orThrow(args, (result) => new Results([result]));
  }

  /** As {@link dispatchOrThrow}, without a value. @throws {HttpError} */
  waitOrThrow(...args: OrThrowArguments): Promise<void> {
    return this.#orThrow(args, () => {});
  }

  /** As {@link dispatchOrThrow}, but gives the data. @throws {HttpError} also when it cannot be decoded. */
  dataOrThrow(...args: OrThrowArguments): Promise<T> {
    return this.#orThrow(args, (result, status) => dataOf(result, status));
  }

  /** Same as {@link dataOrThrow}. */
  fetch(...args: OrThrowArguments): Promise<T> {
    return this.dataOrThrow(...args);
  }

  /** As {@link dataOrThrow}, but gives the first row. @throws {HttpError} 404 when there is none. */
  oneOrThrow(...args: OrThrowArguments): Promise<RowOf<T>> {
    return this.#orThrow(args, (result, status) => {
      const data: unknown = dataOf(result, status);
      const row: unknown = Array.isArray(data) ? data[0] : data;
      const isNone = row === undefined || row === null || row === "" ||
        (row instanceof Uint8Array && row === data && row.length === 0);
      if (isNone) throw new HttpError(404);
      return row as RowOf<T>;
    });
  }

  /** Same as {@link oneOrThrow}. */
  one(...args: OrThrowArguments): Promise<RowOf<T>> {
    return this.oneOrThrow(...args);
  }

  /** Same as {@link dispatchOrThrow}, for templates. */
  dispatch_or_throw(...args: OrThrowArguments): Promise<Result<T>> {
    return this.getwaitOrThrow(...args);
  }

  /** Same as {@link waitOrThrow}, for templates. */
  wait_or_throw(...args: OrThrowArguments): Promise<void> {
    return this.waitOrThrow(...args);
  }

  /** Same as {@link dataOrThrow}, for templates. */
  data_or_throw(...args: OrThrowArguments): Promise<T> {
    return this.dataOrThrow(...args);
  }

  /** Same as {@link oneOrThrow}, for templates. */
  one_or_throw(...args: OrThrowArguments): Promise<RowOf<T>> {
    return this.oneOrThrow(...args);
  }

  /**
   * Keeps the result, when it is there, for the same requests to come; see `Result.cache`. Until then
   * they take part in this one.
   *
   * @param seconds Default 60; 0 or less forgets what is kept.
   * @param cacheIf Status codes to keep. Default only 200.
   * @throws {Error} before a dispatch. @throws {RangeError} when `seconds` is no number.
   */
  cache(seconds = 60, cacheIf?: readonly number[]): this {
    if (!this.#dispatched) throw new Error("Cannot cache a future: call dispatch first");
    checkCaching(seconds, cacheIf);
    if (this.#settled !== undefined) this.#settled.cache(seconds, cacheIf);
    else {
      this.#caching = { seconds, codes: cacheIf };
      if (seconds > 0) this.share();
    }
    return this;
  }

  /** Lets the same requests take part in this one, from now until it is answered. @internal */
  share(): void {
    if (this.#over || this.#flight !== undefined || this.#sending === undefined) return;
    const key = this.cacheKey;
    if (key === undefined) return;
    this.#flight = new Flight(this.#sending, this.requestedAt, this.#deadline!);
    resultCache.share(key, this.#flight);
  }

  /** Makes `await future` the same as `await future.dispatch()`. */
  then<A = Result<T>, B = never>(
    onResult?: ((result: Result<T>) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#dispatched = true;
    return this.#arrived().then(onResult, onError);
  }

  /** The promise of the result. */
  #arrived(): Promise<Result<T>> {
    return this.#arrival ??= this.#settled !== undefined
      ? Promise.resolve(this.#settled)
      : new Promise((resolve) => this.#whenSettled(resolve));
  }

  #whenSettled(call: (result: Result<T>) => void): void {
    if (this.#waiting === undefined) this.#waiting = [call];
    else this.#waiting.push(call);
  }

  /** A promise of what is made of the result. */
  #andThen<R>(make: (result: Result<T>) => R): Promise<R> {
    const settled = this.#settled;
    if (settled !== undefined) {
      try {
        return Promise.resolve(make(settled));
      } catch (error) {
        this.#refuse();
        return quiet(Promise.reject(error));
      }
    }
    const promise = new Promise<R>((resolve, reject) => {
      this.#whenSettled((result) => {
        let made: R;
        try {
          made = make(result);
        } catch (error) {
          this.#refuse();
          reject(error);
          quiet(promise);
          return;
        }
        resolve(made);
      });
    });
    return promise;
  }

  #prepare(timeout: number | undefined, options?: DispatchOptions): void {
    this.#dispatched = true;
    if (options !== undefined) {
      checkDispatchOptions(options);
      if (options.cache !== undefined) this.cache(options.cache, options.cacheIf);
    }
    if (timeout === undefined || timeout === null) return;
    const ms = checkedSeconds(timeout) * 1000;
    if (!this.#over) this.#deadline?.set(this.#startedAt, ms);
  }

  #orThrow<R>(
    args: readonly unknown[],
    value: (result: Result<T>, status: string | number) => R,
  ): Promise<R> {
    const first = args[0];
    const leads = typeof first === "string" || args.length > 2 ||
      (typeof first === "number" && Number.isInteger(first) && first >= 400 && first <= 599) ||
      (first === undefined && typeof args[1] === "number");
    const [timeout, options] = leads ? args.slice(1) : args;
    const status = (leads ? first as string | number | undefined : undefined) ?? FAILED;
    // a status that cannot be used is the caller's mistake, and must not wait for a failure to show
    if (status !== FAILED) new HttpError(status);
    this.#prepare(timeout as number | undefined, options as DispatchOptions | undefined);
    return this.#andThen((result) => {
      if (result.succeeded) return value(result, status);
      throw new HttpError(status, "", { cause: errorOf(result) });
    });
  }

  #start(send: Send<Promise<Outcome> | Outcome>): void {
    let sending: Promise<Outcome> | Outcome;
    try {
      sending = send(this.#deadline!);
    } catch (thrown) {
      return this.#thrown(thrown);
    }
    if (!(sending instanceof Promise)) return this.#answered(sending);
    this.#sending = sending;
    sending.then((outcome) => this.#answered(outcome), (thrown) => this.#thrown(thrown));
  }

  /** Clients report failures as outcomes; one that throws has a defect worth its stack. */
  #thrown(thrown: unknown): void {
    this.#init.owner.traceback(thrown);
    this.#answered(failedOutcome(asError(thrown), 2, 701));
  }

  #answered(outcome: Outcome): void {
    // this runs before any of those who take part goes on, and before filters can change the data
    if (this.#flight !== undefined && isKeepable(outcome)) this.#flight.kept = keep(outcome);
    if (!this.#over) this.#settle(outcome);
    else if (outcome.body !== undefined) this.#discard(outcome.body);
  }

  /** Whoever asked gets an error instead of the result, and so cannot read a body that is a stream. */
  #refuse(): void {
    // somebody else may have asked for the result as it is
    if (this.#body !== undefined && this.#arrival === undefined) this.#discard(this.#body);
    this.#body = undefined;
  }

  /** A body nobody will read: its connection would wait for that. */
  #discard(body: ReadableStream<Uint8Array>): void {
    // whoever has begun to read it has to end that
    if (body.locked) return;
    body.cancel().catch((error: unknown) => this.#init.owner.traceback(error));
  }

  #expire(): void {
    if (this.#over) return;
    const ms = Math.round(performance.now() - this.#startedAt);
    const { method, url, asked } = this.#init;
    const node = asked?.node;
    const error = new BackendTimeoutError(
      `${method} ${url} was not answered within ${ms} ms`,
      730,
      { member: node },
    );
    this.#settle({ ...failedOutcome(error, 1, 730), node });
    // others who take part in this request go on waiting
    if (this.#flight !== undefined) this.#flight.leave(error);
    else this.#deadline?.abort(error);
  }

  /** Takes a kept result, if there is one. */
  #takeKept(): boolean {
    const key = this.#init.useCache === false ? undefined : this.cacheKey;
    const kept = key === undefined ? undefined : resultCache.get(key, this.#since);
    if (kept !== undefined) this.#settle(new KeptView(kept));
    return kept !== undefined;
  }

  /** Results requested until then may not be used. */
  get #since(): number {
    const { useCache } = this.#init;
    return typeof useCache === "number" ? useCache : 0;
  }

  /** Takes part in the same request, or lets others take part in this one; false for neither. */
  #startShared(send: Send<Promise<Outcome> | Outcome>): boolean {
    const key = this.#init.useCache === false ? undefined : this.cacheKey;
    if (key === undefined) return false;
    const since = this.#since;
    const flight = resultCache.join(key, since);
    if (flight !== undefined) {
      this.#flight = flight;
      this.#takePart(flight);
      return true;
    }
    if (!resultCache.knows(key)) return false;
    // what was kept once is asked for by many: those who come now take part
    this.#start(send);
    this.share();
    return true;
  }

  #takePart(flight: Flight<Outcome, KeptOutcome>): void {
    const take = (outcome: Outcome) => {
      if (this.#over) return;
      const { kept, requestedAt } = flight;
      this.#settle(kept === undefined ? outcome : new KeptView(kept, requestedAt));
    };
    flight.answer.then(take, (thrown) => take(failedOutcome(asError(thrown), 2, 701)));
  }

  #settle(outcome: Outcome): void {
    this.#over = true;
    this.#deadline?.clear();
    const { filter } = this.#init;
    const result = new Result<T>(outcome, this.#init, this);
    this.#body = outcome.body;
    if (this.#caching !== undefined) result.cache(this.#caching.seconds, this.#caching.codes);
    if (outcome.status !== 3) this.#note(result);
    else if (filter !== undefined) {
      this.#filter(result, filter);
      return;
    }
    this.#deliver(result);
  }

  async #filter(result: Result<T>, filter: (result: Result<T>) => unknown): Promise<void> {
    let filtered = result;
    try {
      const made = this.#made();
      if (made !== undefined) await made;
      await filter(result);
    } catch (thrown) {
      this.#init.owner.traceback(thrown);
      if (this.#body !== undefined) this.#discard(this.#body);
      filtered = new Result<T>(failedOutcome(asError(thrown), 2, 701), this.#init);
    }
    this.#deliver(filtered);
  }

  /** Hands the result to those who wait. */
  #deliver(result: Result<T>): void {
    this.#settled = result;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) { for (const call of waiting) call(result); }
  }

  /** A result that needs no sending is there before whoever asked for it has his future. */
  #made(): Promise<void> | undefined {
    return this.#sending === undefined && this.#flight === undefined
      ? Promise.resolve()
      : undefined;
  }

  async #callBack(callback: ResultCallback<T>): Promise<void> {
    try {
      // waiting keeps it in the frame of its request: the end may come with that of somebody else's
      const result = await this.#arrived();
      if (typeof callback === "function") await callback(result);
      else await callback[0](result, ...callback.slice(1));
    } catch (thrown) {
      this.#init.owner.traceback(thrown);
    }
  }

  /** Tells the log who asked for what has failed. */
  #note(result: Result<T>): void {
    const { method, url } = this.#init;
    const { node } = result;
    const member = node === "" || url.includes(node) ? "" : ` at ${node}`;
    const place = this.#caller === undefined
      ? ""
      : ` (requested at ${callerIn(this.#caller.stack)})`;
    this.#init.owner.log(
      `backend request failed: ${method} ${url}${member} status ${result.status}, ` +
        `${result.statusCode} ${result.reason}: ${result.error?.message ?? "no reason given"}` +
        place,
      "debug",
    );
  }
}

/** Arguments of the forms that throw: `(status, timeout, options)` or `(timeout, options)`. */
export type OrThrowArguments =
  | [status?: string | number, timeout?: number, options?: DispatchOptions]
  | [timeout?: number, options?: DispatchOptions];

/** First row of data that is a list, else the data itself. */
export type RowOf<T> = T extends readonly (infer R)[] ? R : T;

/** Outcome of a request that failed before or beside any client. */
export function failedOutcome(
  error: Error,
  status: RequestStatus,
  statusCode: number,
): Outcome {
  return {
    status,
    statusCode,
    reason: reasonOfAny(statusCode),
    headers: NO_HEADERS,
    content: null,
    error,
  };
}

const DISPATCH_OPTIONS = ["reraise", "cache", "cacheIf"];

function checkDispatchOptions(options: DispatchOptions): void {
  for (const name in options) {
    if (DISPATCH_OPTIONS.includes(name)) continue;
    throw new TypeError(
      `Cannot dispatch: unknown option "${name}"; known are ${DISPATCH_OPTIONS.join(", ")}`,
    );
  }
}

function keyFrom(cacheable: Cacheable | undefined): string | undefined {
  try {
    return cacheable?.cacheKey();
  } catch (error) {
    // values that have no key, such as functions, and those that hold themselves; the request itself
    // tells what is wrong with them
    if (error instanceof TypeError || error instanceof RangeError) return undefined;
    throw error;
  }
}

function checkedSeconds(seconds: number): number {
  // beyond 2^31 ms a timer would fire at once
  if (typeof seconds === "number" && seconds > 0 && seconds <= 2_000_000) return seconds;
  const given = typeof seconds === "string" ? JSON.stringify(seconds) : String(seconds);
  throw new RangeError(`Cannot wait for ${given} seconds: expected a number above 0`);
}

/** Checks what would only show when the answer is there, or not at all. */
function checkInit<T>({ method, url, callback, filter, useCache }: FutureInit<T>): void {
  const bad = (what: string) => new TypeError(`Cannot start ${method} ${url}: ${what}`);
  const call: unknown = Array.isArray(callback) ? callback[0] : callback;
  if (callback !== undefined && typeof call !== "function") {
    throw bad("callback is a function, or a list that begins with one");
  }
  if (filter !== undefined && typeof filter !== "function") throw bad("filter is a function");
  const isTime = typeof useCache === "number" && !Number.isNaN(useCache);
  if (useCache !== undefined && typeof useCache !== "boolean" && !isTime) {
    throw bad(`useCache is true, false or a time in milliseconds, not ${String(useCache)}`);
  }
}

function errorOf(result: Result): Error {
  try {
    result.reraise();
  } catch (error) {
    return asError(error);
  }
  return new Error("The request succeeded");
}

function dataOf<T>(result: Result<T>, status: string | number): T {
  try {
    return result.data;
  } catch (cause) {
    if (cause instanceof ProtocolError) throw new HttpError(status, "", { cause });
    throw cause;
  }
}

/**
 * Keeps a rejection nobody waits for from ending the process: the failure is in the log already, and
 * whoever does wait still gets it. @internal
 */
export function quiet<R>(promise: Promise<R>): Promise<R> {
  promise.catch(() => {});
  return promise;
}

/**
 * Whether futures remember where they were made. That takes three microseconds, as much as many requests
 * take besides, so in production the log does without. Known with the first future.
 */
let keepsCallers: boolean | undefined;

/** Location of the first frame outside of this package: the generator of SQL starts requests, too. */
function callerIn(stack: string | undefined): string {
  const ownFolder = new URL("..", import.meta.url).href;
  for (const line of stack?.split("\n").slice(1) ?? []) {
    const location = /\(?((?:file|https?|jsr|npm|node):[^\s()]+:\d+:\d+)\)?$/.exec(line)?.[1];
    if (location !== undefined && !location.startsWith(ownFolder)) return location;
  }
  return "unknown";
}
