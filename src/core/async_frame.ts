/**
 * Values that asynchronous code finds again after it has waited.
 *
 * @module
 */

import type { AsyncLocalStorage } from "node:async_hooks";
import { nodeAsyncHooks } from "./node_builtins.ts";

/** Keeps a value for all that a function sets off. */
export interface AsyncFrames<T> {
  /** Runs a function to whose code, also after it has waited, {@link AsyncFrames.get} gives the value. */
  run<A, B, C, R>(value: T, fn: (a: A, b: B, c: C) => R, a: A, b: B, c: C): R;
  /** The value of the frame that the running code belongs to. */
  get(): T | undefined;
}

/** What the runtime lets continue with every callback and every `await`: a record by name. */
type Frame = Readonly<Record<string, unknown>>;

/** The functions of the runtime that its own `AsyncLocalStorage` is made of. */
interface Contexts {
  getAsyncContext(): Frame | null | undefined;
  setAsyncContext(frame: Frame | null | undefined): void;
}

/**
 * Makes frames of a name, which no others may have.
 *
 * `AsyncLocalStorage` adds an entry to a weak map for every run, and with thousands of them the
 * collector takes longer than all the requests. Here a frame is an object of one member, where the
 * runtime shows what it builds on; where it does not, `AsyncLocalStorage` it is.
 */
export function asyncFrames<T>(name: string): AsyncFrames<T> {
  const contexts = runtimeContexts();
  return contexts === undefined ? new StoredFrames() : new PlainFrames(name, contexts);
}

class PlainFrames<T> implements AsyncFrames<T> {
  readonly #name: string;
  readonly #empty: Frame;
  readonly #get: Contexts["getAsyncContext"];
  readonly #set: Contexts["setAsyncContext"];

  constructor(name: string, { getAsyncContext, setAsyncContext }: Contexts) {
    this.#name = `skitai ${name}`;
    this.#empty = { [this.#name]: undefined };
    this.#get = getAsyncContext;
    this.#set = setAsyncContext;
  }

  run<A, B, C, R>(value: T, fn: (a: A, b: B, c: C) => R, a: A, b: B, c: C): R {
    const set = this.#set;
    const outer = (0, this.#get)();
    // to make a member by a computed name takes longer than all the rest of this
    const frame: Record<string, unknown> = { ...(outer ?? this.#empty) };
    frame[this.#name] = value;
    set(frame);
    try {
      return fn(a, b, c);
    } finally {
      set(outer);
    }
  }

  get(): T | undefined {
    return (0, this.#get)()?.[this.#name] as T | undefined;
  }
}

class StoredFrames<T> implements AsyncFrames<T> {
  readonly #storage: AsyncLocalStorage<T> = new (nodeAsyncHooks().AsyncLocalStorage)();

  run<A, B, C, R>(value: T, fn: (a: A, b: B, c: C) => R, a: A, b: B, c: C): R {
    return this.#storage.run(value, fn, a, b, c);
  }

  get(): T | undefined {
    return this.#storage.getStore();
  }
}

function runtimeContexts(): Contexts | undefined {
  const { internal } = Deno as unknown as { internal?: symbol };
  if (internal === undefined) return undefined;
  const { core } = (Deno as unknown as Record<symbol, { core?: Partial<Contexts> }>)[internal] ??
    {};
  const { getAsyncContext, setAsyncContext } = core ?? {};
  if (typeof getAsyncContext !== "function" || typeof setAsyncContext !== "function") {
    return undefined;
  }
  return isUsable({ getAsyncContext, setAsyncContext })
    ? { getAsyncContext, setAsyncContext }
    : undefined;
}

/** Whether a frame that is set is the one that is found. */
function isUsable({ getAsyncContext, setAsyncContext }: Contexts): boolean {
  const outer = getAsyncContext();
  if (outer !== null && outer !== undefined && typeof outer !== "object") return false;
  const frame = { ...outer };
  setAsyncContext(frame);
  const found = getAsyncContext();
  setAsyncContext(outer);
  return found === frame && getAsyncContext() === outer;
}
