/**
 * Functions an app runs around its requests and along its life.
 *
 * @module
 */

import type { LifecyclePhase } from "../core/app.ts";
import type { Wac } from "../was/wac.ts";
import type { Body } from "./atila.ts";
import type { AnyHandler, Guard } from "./route.ts";
import type { Scope } from "./scope.ts";
import type { AtilaWas } from "./was.ts";

/** What a hook may return that can answer: a response, or nothing. */
export type Answer = Body | null | undefined | void;

/** A hook whose return value, unless null or undefined, is the response. */
export type BeforeHook = (was: AtilaWas) => Answer | Promise<Answer>;

/** A hook whose return value is ignored. */
export type RequestHook = (was: AtilaWas) => unknown;

/** A hook that is told of an error; what it returns, unless null or undefined, is the response. */
export type FailedHook = (was: AtilaWas, error: unknown) => Answer | Promise<Answer>;

/** A life-cycle hook that gets the server-wide object. */
export type WacHook = (wac: Wac) => unknown;

/** A life-cycle hook that gets a service object without a request. */
export type WasHook = (was: AtilaWas) => unknown;

/** Hooks of one app. */
export class Hooks {
  /** Before each handler. */
  readonly before: BeforeHook[] = [];
  /** After success. */
  readonly finish: RequestHook[] = [];
  /** After an error. */
  readonly failed: FailedHook[] = [];
  /** Always last. */
  readonly teardown: RequestHook[] = [];
  /** By phase. */
  readonly lifecycle: Map<LifecyclePhase, (WacHook | WasHook)[]> = new Map();

  /** Whether a request has anything to run besides its handler. */
  get any(): boolean {
    return this.before.length + this.finish.length + this.failed.length + this.teardown.length > 0;
  }

  #pinned: RequestHook | undefined;

  /** Adds a life-cycle hook; with a scope, until that ends. */
  on(phase: LifecyclePhase, hook: WacHook | WasHook, scope?: Scope): void {
    const hooks = this.lifecycle.get(phase) ?? [];
    this.lifecycle.set(phase, hooks);
    this.add(hooks, hook, scope);
  }

  /** Adds a hook to a list; with a scope, until that ends. */
  add<H>(hooks: H[], hook: H, scope?: Scope): void {
    checkHook(hook);
    hooks.push(hook);
    if (this.#pinned !== undefined && (hooks as unknown[]) === this.teardown) {
      hooks.splice(hooks.indexOf(this.#pinned as H), 1);
      hooks.push(this.#pinned as H);
    }
    scope?.onEnd(() => {
      const at = hooks.lastIndexOf(hook);
      if (at !== -1) hooks.splice(at, 1);
    });
  }

  /** Adds a teardown hook that stays the last one whatever comes after. */
  pin(hook: RequestHook): void {
    this.#pinned = hook;
    this.teardown.push(hook);
  }
}

/** Refuses what could not be called when its time comes. @throws {TypeError} */
export function checkHook(hook: unknown): void {
  if (typeof hook !== "function") throw new TypeError(`A hook is a function, not ${String(hook)}`);
}

/** Whether a hook answered instead of the handler. */
export function isAnswer(value: unknown): boolean {
  return value !== null && value !== undefined;
}

/** Refuses nothing as an answer, before hooks are told of a success. @throws {TypeError} */
export function checkReturned(value: unknown): void {
  if (isAnswer(value)) return;
  throw new TypeError(
    "A handler returned nothing: return text, an empty one if there is nothing to say",
  );
}

/** A guard that leaves the type of what it wraps as it is. */
// deno-lint-ignore no-explicit-any -- any handler
export type TransparentGuard = <H extends (was: any, ...args: any[]) => unknown>(next: H) => H;

/** Makes a guard whose handlers are to the outside what they wrap, in type and in name. */
export function transparent(wrap: Guard): TransparentGuard {
  const guard = (next: AnyHandler): AnyHandler =>
    Object.defineProperty(wrap(next), "name", { value: next.name });
  return guard as TransparentGuard;
}

/** Guard that runs functions in order before a handler; the first non-null return is the response. */
export function runBefore(...hooks: BeforeHook[]): TransparentGuard {
  hooks.forEach(checkHook);
  return transparent((next) => async (was, args) => {
    for (const hook of hooks) {
      const answer = await hook(was);
      if (isAnswer(answer)) return answer;
    }
    return await next(was, args);
  });
}

/** Guard that runs functions in order after a handler; what they return is ignored. */
export function runAfter(...hooks: RequestHook[]): TransparentGuard {
  hooks.forEach(checkHook);
  return transparent((next) => async (was, args) => {
    const body = await next(was, args);
    for (const hook of hooks) await hook(was);
    return body;
  });
}
