/**
 * Waiting inside templates whose engine cannot wait: a render that meets a promise is given up and
 * started again when the promise has settled. What it called is remembered, so that the second pass
 * does not call it again.
 *
 * @module
 */

import { isThenable } from "../../core/handler.ts";
import { TemplateError } from "./template_error.ts";

/** Most passes of one render: a page that waits more often than that goes round in circles. */
export const MAX_PASSES = 1000;

/**
 * Thrown through the engine to end a pass. What is waited for stands in the state of the render,
 * because the engine copies errors.
 */
export const SUSPENDED = {
  /** Called by the engine on errors it passes on. */
  Update(): unknown {
    return SUSPENDED;
  },
};

/**
 * A thenable with `dispatch()`: something to hold and to wait for later, not a value on its way.
 */
export interface FutureLike extends PromiseLike<unknown> {
  /** Waits for the result. */
  dispatch(...args: unknown[]): unknown;
  /** The result, if it is there. */
  readonly settled?: unknown;
}

/** True for a future, which templates wait for by calling a method of it. */
export function isFutureLike(value: unknown): value is FutureLike {
  return typeof value === "object" && value !== null && isThenable(value) &&
    typeof (value as { dispatch?: unknown }).dispatch === "function";
}

type Settled = { readonly value: unknown } | { readonly error: unknown };

interface Call {
  readonly name: string;
  readonly value: PromiseLike<unknown>;
}

/** What one render knows across its passes. */
export class Suspension {
  readonly #calls = new Map<number, Call>();
  readonly #settled = new Map<PromiseLike<unknown>, Settled>();
  #next = 0;
  #waiting: PromiseLike<unknown> | undefined;
  #waitingFor = "";

  /** Whether the pass ended because something has not arrived. */
  get suspended(): boolean {
    return this.#waiting !== undefined;
  }

  /** Begins a pass. */
  restart(): void {
    this.#next = 0;
    this.#waiting = undefined;
  }

  /**
   * Makes a call of the template. Calls are counted: one that gave a promise or a future in an
   * earlier pass is not made again. All others are, so that what a template builds up for itself
   * comes out the same.
   *
   * @throws what the call throws, and {@link SUSPENDED}.
   */
  call(
    name: string,
    fn: (...args: unknown[]) => unknown,
    receiver: unknown,
    args: unknown[],
  ): unknown {
    const number = this.#next++;
    const before = this.#calls.get(number);
    if (before !== undefined) {
      if (before.name !== name) {
        throw new Error(
          `${name}() was called where an earlier pass called ${before.name}(): ` +
            "a template that waits has to take the same course each time",
        );
      }
      return this.#hand(before.value, name);
    }
    const value = fn.apply(receiver, args);
    if (typeof value !== "object" || value === null || !isThenable(value)) return value;
    this.#calls.set(number, { name, value });
    return this.#hand(value, name);
  }

  /** A promise the template has looked up: unless it is a future, it is waited for. */
  value(value: PromiseLike<unknown>, name: string): unknown {
    return this.#hand(value, name);
  }

  /**
   * Waits for what the pass was given up for.
   *
   * @throws {TemplateError} when that takes longer than `timeoutMs`.
   */
  async wait(template: string, timeoutMs: number): Promise<void> {
    const waiting = this.#waiting!;
    const expired = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const problem = `gave up waiting for ${this.#waitingFor} after ${timeoutMs} ms`;
      expired.reject(new TemplateError(problem, { template, line: 0 }));
    }, timeoutMs);
    const settled = Promise.resolve(waiting).then(
      (value): Settled => ({ value }),
      (error: unknown): Settled => ({ error }),
    );
    try {
      this.#settled.set(waiting, await Promise.race([settled, expired.promise]));
    } finally {
      clearTimeout(timer);
    }
  }

  #hand(value: PromiseLike<unknown>, name: string): unknown {
    if (isFutureLike(value)) return value;
    const settled = this.#settled.get(value);
    if (settled === undefined) {
      this.#waiting = value;
      this.#waitingFor = name;
      throw SUSPENDED;
    }
    if ("error" in settled) throw settled.error;
    return settled.value;
  }
}

/** Parameters of the waiting methods, for arguments given by name. */
const WAITING: Readonly<Record<string, readonly string[]>> = {
  dispatch: ["timeout"],
  getwait: ["timeout"],
  getswait: ["timeout"],
  wait: ["timeout", "reraise"],
  dispatch_or_throw: ["status", "timeout"],
  wait_or_throw: ["status", "timeout"],
  data_or_throw: ["status", "timeout"],
  one_or_throw: ["status", "timeout"],
  dispatchOrThrow: ["status", "timeout"],
  waitOrThrow: ["status", "timeout"],
  dataOrThrow: ["status", "timeout"],
  oneOrThrow: ["status", "timeout"],
};

/**
 * A method of a future as templates call it: `dispatch(timeout=3)` works, and a result that is
 * there is given at once, which saves a pass.
 */
export function futureMethod(future: FutureLike, method: string): (...args: unknown[]) => unknown {
  return (...args) => {
    if (args.length === 0 && (method === "dispatch" || method === "getwait")) {
      if (future.settled !== undefined) return future.settled;
    }
    const named = args.at(-1) as Record<string, unknown> | undefined;
    const order = WAITING[method];
    if (order && typeof named === "object" && named !== null) {
      const { ...options } = named;
      const positional = args.slice(0, -1);
      for (const [i, name] of order.entries()) {
        if (!Object.hasOwn(options, name)) continue;
        positional[i] = options[name];
        delete options[name];
      }
      args = positional;
      if (Object.keys(options).length > 0) args[order.length] = options;
    }
    const members = future as unknown as Record<string, (...args: unknown[]) => unknown>;
    return members[method]!(...args);
  };
}
