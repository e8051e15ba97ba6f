/**
 * A page that is sent part by part while the answers of backends arrive: the older way, beside
 * `was.futures`.
 *
 * @module
 */

import { escapeHtml, tracebackOf } from "../core/error_page.ts";
import type { Future } from "../was/future.ts";
import type { ReqOptions } from "../was/http_requests.ts";
import { MapFuture } from "../was/map_future.ts";
import type { Result } from "../was/result.ts";
import { type Chunk, LIVE } from "./body.ts";
import type { AtilaWas } from "./was.ts";

/** An answer with the id of its request. */
export type NamedResult<T = unknown> = Result<T> & {
  /** Id the request was made with. */
  readonly id: string;
};

/** Called with each answer, in the order they arrive and one after the other. */
export type PromiseHandler = (promise: ResponsePromise, response: NamedResult) => unknown;

/** Initial data of a promise; `prolog` and `epilog` are sent around everything else. */
export interface PromiseData {
  /** Sent first. */
  readonly prolog?: string;
  /** Sent last, however the promise ends. */
  readonly epilog?: string;
  /** Values for {@link ResponsePromise.get} and templates. */
  readonly [name: string]: unknown;
}

/** A request method whose first argument is the id of the request. */
export type NamedMethod = (id: string, uri: string, data?: unknown, options?: ReqOptions) => void;

type Kind = "get" | "head" | "options" | "delete" | "post" | "put" | "patch" | "upload";

/**
 * Named requests and one function that is called with each answer. A handler makes the requests and
 * returns the promise, alone or as the body of `was.response(…)`; the function sends parts of the page
 * and has to end it with {@link settle} or {@link reject}.
 *
 * @deprecated Use `was.futures`.
 */
export class ResponsePromise implements AsyncIterable<Chunk> {
  /** What it sends reaches the client as it comes. */
  readonly [LIVE] = true;
  readonly #was: AtilaWas;
  readonly #handler: PromiseHandler;
  readonly #data: Map<string, unknown>;
  readonly #epilog: string | undefined;
  readonly #requests = new Map<string, PromiseLike<unknown>>();
  readonly #pieces: Chunk[] = [];
  #state: "pending" | "settled" | "rejected" = "pending";
  #isSending = false;
  #answers = 0;
  #changed = Promise.withResolvers<void>();
  #methods: Partial<Record<Kind, NamedMethod>> | undefined;

  /** Made by `was.promise`. @throws {TypeError} when the handler is not a function. */
  constructor(was: AtilaWas, handler: PromiseHandler, data: PromiseData = {}) {
    if (typeof handler !== "function") {
      throw new TypeError("was.promise takes the function that is called with each answer");
    }
    const { prolog, epilog, ...values } = data;
    this.#was = was;
    this.#handler = handler;
    this.#data = new Map(Object.entries(values));
    this.#epilog = epilog;
    if (prolog !== undefined) this.#pieces.push(prolog);
  }

  // -- requests ----------------------------------------------------------------------------------

  /** A value of the data. */
  get(name: string): unknown;
  /** Starts a GET request. @throws {TypeError} for an id that is none or taken. */
  get(id: string, uri: string, data?: unknown, options?: ReqOptions): void;
  get(name: string, ...rest: [uri?: string, data?: unknown, options?: ReqOptions]): unknown {
    if (rest.length === 0) return this.#data.get(name);
    return this.#method("get")(name, ...rest as [string]);
  }

  /** Starts a HEAD request. */
  get head(): NamedMethod {
    return this.#method("head");
  }

  /** Starts an OPTIONS request. */
  get options(): NamedMethod {
    return this.#method("options");
  }

  /** Starts a DELETE request. */
  get delete(): NamedMethod {
    return this.#method("delete");
  }

  /** Starts a POST request. */
  get post(): NamedMethod {
    return this.#method("post");
  }

  /** Starts a PUT request. */
  get put(): NamedMethod {
    return this.#method("put");
  }

  /** Starts a PATCH request. */
  get patch(): NamedMethod {
    return this.#method("patch");
  }

  /** Posts a multipart form. */
  get upload(): NamedMethod {
    return this.#method("upload");
  }

  /**
   * A database by its alias; what is called on it is the request of that id:
   * `promise.backend("q", "@db").execute("select 1")`.
   */
  backend<Database extends object = AnyDatabase>(id: string, alias: string): Database {
    this.#check(id);
    const name = alias.replace(/^@/, "");
    const { type } = this.#was.findAlias(name);
    const open = (this.#was as unknown as Record<string, unknown>)[type];
    if (typeof open !== "function") {
      throw new TypeError(`Cannot use @${name} here: it is of type ${type}, not a database`);
    }
    const database = open.call(this.#was, `@${name}`) as object;
    return new Proxy(database, {
      get: (target, member) => {
        const value = Reflect.get(target, member, target);
        return typeof value !== "function" || typeof member === "symbol"
          ? value
          : (...args: unknown[]) => this.add(id, value.apply(target, args));
      },
    }) as Database;
  }

  /**
   * Adds a request that was started elsewhere.
   *
   * @throws {TypeError} for an id that is none or taken, and for a request to all members of an alias.
   * @throws {Error} once the response is being sent.
   */
  add(id: string, future: Future | PromiseLike<unknown>): void {
    this.#check(id);
    if (future instanceof MapFuture) {
      throw new TypeError(`Cannot add request "${id}": a promise takes no request to all members`);
    }
    this.#requests.set(id, future);
    // It may fail before the page is sent, which is when its failure is looked at.
    if (future instanceof Promise) future.catch(() => {});
  }

  #method(kind: Kind): NamedMethod {
    const methods = this.#methods ??= {};
    const known = methods[kind];
    if (known !== undefined) return known;
    const method: NamedMethod = (id, uri, data, options) => {
      this.#check(id);
      const start = this.#was[kind] as (
        uri: string,
        data?: unknown,
        options?: ReqOptions,
      ) => Future;
      this.add(id, start(uri, data, options));
    };
    Object.defineProperty(method, "map", NO_MAP);
    return methods[kind] = method;
  }

  #check(id: string): void {
    if (this.#isSending) {
      throw new Error(
        `Cannot start request "${id}": the response is being sent; start all requests before the ` +
          `handler returns`,
      );
    }
    if (typeof id !== "string" || !isIdentifier(id)) {
      throw new TypeError(
        `Cannot start request ${JSON.stringify(id)}: its id is not an identifier`,
      );
    }
    if (this.#requests.has(id)) {
      throw new TypeError(`Cannot start request "${id}": there is one of that id already`);
    }
  }

  // -- data --------------------------------------------------------------------------------------

  /** Sets a value of the data. */
  set(name: string, value: unknown): this {
    this.#data.set(name, value);
    return this;
  }

  /** Renders a template with the given values, or with the data; answers are there under their ids. */
  render(name: string, values?: Record<string, unknown>): Promise<string> {
    return this.#was.render(name, values ?? Object.fromEntries(this.#data));
  }

  // -- states ------------------------------------------------------------------------------------

  /** Neither settled nor rejected. */
  pending(): boolean {
    return this.#state === "pending";
  }

  /** Every request was answered. */
  fulfilled(): boolean {
    return this.#answers === this.#requests.size;
  }

  /** Ended in order. */
  settled(): boolean {
    return this.#state === "settled";
  }

  /** Ended with an error, or left by the client; answers that come later are ignored. */
  rejected(): boolean {
    return this.#state === "rejected";
  }

  // -- sending -----------------------------------------------------------------------------------

  /** Sends a part of the page. Nothing happens after the end. */
  send(content: Chunk): void {
    if (this.#state !== "pending") return;
    this.#pieces.push(content);
    this.#wake();
  }

  /** @deprecated Use {@link send}. */
  push(content: Chunk): void {
    this.send(content);
  }

  /** Ends the page, after a last part if one is given. */
  settle(content?: Chunk): void {
    this.#end("settled", content);
  }

  /** Ends the page with an error, after a last part. */
  reject(content?: Chunk): void {
    this.#end("rejected", content);
  }

  #end(state: "settled" | "rejected", content: Chunk | undefined): void {
    if (this.#state !== "pending") return;
    if (content !== undefined) this.#pieces.push(content);
    if (this.#epilog !== undefined) this.#pieces.push(this.#epilog);
    this.#state = state;
    this.#wake();
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  // -- the body ----------------------------------------------------------------------------------

  /** The parts of the page. Asking for the first one starts the calls of the function. */
  [Symbol.asyncIterator](): AsyncIterator<Chunk> {
    return {
      next: async () => {
        if (!this.#isSending) this.#begin();
        while (this.#pieces.length === 0) {
          if (this.#state !== "pending") return { done: true, value: undefined };
          await this.#changed.promise;
        }
        const value = this.#pieces.shift()!;
        this.#wake();
        return { done: false, value };
      },
      return: () => {
        if (this.#state === "pending") this.#state = "rejected";
        this.#pieces.length = 0;
        this.#wake();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  #begin(): void {
    this.#isSending = true;
    let turn = Promise.resolve();
    const calls = [...this.#requests].map(([id, future]) =>
      Promise.resolve(future).then(
        (response) => turn = turn.then(() => this.#deliver(id, response)),
        (error) => turn = turn.then(() => this.#failed(error)),
      )
    );
    Promise.all(calls).then(() => {
      if (this.#state !== "pending") return;
      this.#failed(new Error("A promise was neither settled nor rejected by its function"));
    });
  }

  /** Calls the function with one answer, when the client has taken what was sent before. */
  async #deliver(id: string, response: unknown): Promise<void> {
    while (this.#pieces.length > 0 && this.#state === "pending") await this.#changed.promise;
    if (this.#state !== "pending") return;
    this.#answers++;
    try {
      const named = withId(response, id);
      if (!this.#data.has(id)) this.#data.set(id, named);
      await this.#handler(this, named);
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.#was.traceback(error);
    if (this.#state !== "pending") return;
    const stack = this.#was.app.debug ? tracebackOf(error) : "";
    const type = this.#was.collected?.get("content-type") ?? "text/html";
    if (!type.startsWith("text/html")) return this.reject(stack || "Internal error");
    this.reject(
      `<div class="error"><p>Something went wrong here.</p>${
        stack === "" ? "" : `<pre>${escapeHtml(stack)}</pre>`
      }</div>`,
    );
  }
}

const NO_MAP: PropertyDescriptor = {
  get() {
    throw new TypeError("A promise takes no request to all members: use was.futures");
  },
};

// `get` is no property like the others, it also gives values
Object.defineProperty(ResponsePromise.prototype.get, "map", NO_MAP);

/** The answer with its id. @throws {TypeError} for what cannot have one, which no request gives. */
function withId(response: unknown, id: string): NamedResult {
  if (typeof response !== "object" || response === null || !Object.isExtensible(response)) {
    throw new TypeError(
      `Request "${id}" of a promise gave ${String(response)} instead of a result`,
    );
  }
  return Object.defineProperty(response as NamedResult, "id", {
    value: id,
    configurable: true,
    enumerable: true,
  });
}

/** A database of any type; what is called on it is a request. */
// deno-lint-ignore no-explicit-any -- the caller knows which database it is
export type AnyDatabase = Record<string, (...args: any[]) => void>;

/** The pattern stands here since making it takes long, and few services ever need it. */
function isIdentifier(text: string): boolean {
  return /^[\p{ID_Start}_$][\p{ID_Continue}$]*$/u.test(text);
}
