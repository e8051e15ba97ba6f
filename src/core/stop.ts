/**
 * What tells work that is under way to stop: lighter than an `AbortController`, whose event targets
 * cost more than many a request to a backend.
 *
 * @module
 */

/** What is called: a function, or an object with a method for it, as with event targets. */
export type StopListener = (() => void) | { handleEvent(): void };

/** Tells when to stop. Every `AbortSignal` is one. */
export interface StopSignal {
  /** True once it has been given. */
  readonly aborted: boolean;
  /** Why. */
  // deno-lint-ignore no-explicit-any -- as with AbortSignal
  readonly reason: any;
  /** Throws the reason once it has been given. */
  throwIfAborted(): void;
  /** Calls the listener when it is given, at most once. */
  addEventListener(type: "abort", listener: StopListener, options?: { once?: boolean }): void;
  /** Forgets a listener. */
  removeEventListener(type: "abort", listener: StopListener): void;
}

/** A signal and what gives it, in one object. */
export class Stop implements StopSignal {
  /** True once it has been given. */
  aborted = false;
  /** Why. */
  reason: unknown = undefined;
  #listeners: StopListener | StopListener[] | undefined;
  #standard: AbortController | undefined;

  /** Gives the signal; later calls do nothing. */
  abort(reason: unknown = new DOMException("The request was given up", "AbortError")): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    // one that is taken away by another before its turn is not called
    for (let next = this.#shift(); next !== undefined; next = this.#shift()) {
      try {
        call(next);
      } catch (error) {
        // as with AbortSignal: the others have to stop all the same
        reportError(error);
      }
    }
    this.#standard?.abort(reason);
  }

  /** Takes the first listener out. */
  #shift(): StopListener | undefined {
    const listeners = this.#listeners;
    if (!Array.isArray(listeners)) {
      this.#listeners = undefined;
      return listeners;
    }
    const [first, ...others] = listeners;
    this.#listeners = others;
    return first;
  }

  /** Throws the reason once it has been given. */
  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }

  /** See {@link StopSignal}. */
  addEventListener(_type: "abort", listener: StopListener): void {
    // as with AbortSignal: who comes late hears nothing
    if (this.aborted) return;
    const before = this.#listeners;
    if (before === undefined) this.#listeners = listener;
    else if (!Array.isArray(before)) {
      if (before !== listener) this.#listeners = [before, listener];
    } else if (!before.includes(listener)) this.#listeners = [...before, listener];
  }

  /** See {@link StopSignal}. */
  removeEventListener(_type: "abort", listener: StopListener): void {
    const before = this.#listeners;
    if (before === listener) this.#listeners = undefined;
    else if (Array.isArray(before)) this.#listeners = before.filter((one) => one !== listener);
  }

  /** The same as an `AbortSignal`, for those who need one. */
  get signal(): AbortSignal {
    if (this.#standard === undefined) {
      this.#standard = new AbortController();
      if (this.aborted) this.#standard.abort(this.reason);
    }
    return this.#standard.signal;
  }
}

function call(listener: StopListener): void {
  if (typeof listener === "function") listener();
  else listener.handleEvent();
}

/** The signal as an `AbortSignal`, for functions of the runtime and of libraries. */
export function abortSignalOf(signal: StopSignal): AbortSignal {
  if (signal instanceof AbortSignal) return signal;
  if (signal instanceof Stop) return signal.signal;
  const controller = new AbortController();
  if (signal.aborted) controller.abort(signal.reason);
  else signal.addEventListener("abort", () => controller.abort(signal.reason), { once: true });
  return controller.signal;
}
