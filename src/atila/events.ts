/**
 * Events of an app and of all apps of a host: names, subscriptions, calling the handlers.
 *
 * Events stay inside one worker. What has to cross workers goes through shared state.
 *
 * @module
 */

import { isThenable } from "../core/handler.ts";
import type { Scope } from "./scope.ts";

/** Names of the events the container itself emits. */
export interface EventNames {
  /** Before the apps are mounted; handlers get `wac`. */
  readonly appStarting: "app:starting";
  /** When all apps are mounted; handlers get `wac`. */
  readonly appStarted: "app:started";
  /** In an app that is about to be replaced; handlers get `wac`. */
  readonly appRestarting: "app:restarting";
  /** In an app that has replaced another; handlers get `wac`. */
  readonly appRestarted: "app:restarted";
  /** When the app is mounted, at first and after a reload; handlers get `was`. */
  readonly appMounted: "app:mounted";
  /** When the server begins to stop; handlers get `was`. */
  readonly appUnmounting: "app:unmounting";
  /** Before the hooks and the handler of a request; handlers get `was`. */
  readonly requestStarting: "request:started";
  /** After a handler succeeded; handlers get `was`. */
  readonly requestSuccess: "request:success";
  /** After an error; handlers get `was` and the error. */
  readonly requestFailed: "request:failed";
  /** Before the teardown hooks; handlers get `was`. */
  readonly requestTearingDown: "request:teardown";
  /** After the teardown hooks; handlers get `was`. */
  readonly requestFinished: "request:finished";
  /** Before a template is rendered; handlers get `was`, its name and the values, which they may change. */
  readonly templateRendering: "template:rendering";
  /** After a template was rendered; handlers get `was` and the text. */
  readonly templateRendered: "template:rendered";
}

/** Names of the events the container itself emits. */
export const events: EventNames = {
  appStarting: "app:starting",
  appStarted: "app:started",
  appRestarting: "app:restarting",
  appRestarted: "app:restarted",
  appMounted: "app:mounted",
  appUnmounting: "app:unmounting",
  requestStarting: "request:started",
  requestSuccess: "request:success",
  requestFailed: "request:failed",
  requestTearingDown: "request:teardown",
  requestFinished: "request:finished",
  templateRendering: "template:rendering",
  templateRendered: "template:rendered",
};

/** Listens to an event: gets `was`, or `wac` for some life-cycle events, and the arguments. */
// deno-lint-ignore no-explicit-any -- what comes along differs by event
export type EventHandler = (was: any, ...args: any[]) => unknown;

/** Writes the error of a handler to a log. */
type Report = (error: unknown, event: string) => void;

/** Subscriptions by event name. */
export class EventBus {
  #handlers = new Map<string, EventHandler[]>();

  /**
   * Subscribes a handler. The same function subscribes to an event once. With a scope, it is taken
   * away when the scope ends.
   *
   * @throws {TypeError} without an event name, for an empty one, and for a handler that is none.
   */
  on(names: readonly string[], handler: EventHandler, scope?: Scope): void {
    if (typeof handler !== "function") {
      throw new TypeError("Cannot subscribe: the last argument is the handler, a function");
    }
    if (names.length === 0) throw new TypeError("Cannot subscribe: no event is named");
    for (const name of names) {
      if (typeof name !== "string" || name === "") {
        throw new TypeError(`Cannot subscribe to ${JSON.stringify(name)}: expected an event name`);
      }
      const handlers = this.#handlers.get(name) ?? [];
      if (handlers.includes(handler)) continue;
      // A list that is being called is never changed; a handler may subscribe another one.
      this.#handlers.set(name, [...handlers, handler]);
      scope?.onEnd(() => this.#off(name, handler));
    }
  }

  /** Whether anybody listens to an event. */
  has(name: string): boolean {
    return this.#handlers.has(name);
  }

  /** Whether the function listens to anything. */
  knows(handler: EventHandler): boolean {
    return [...this.#handlers.values()].some((handlers) => handlers.includes(handler));
  }

  /**
   * Calls the handlers of an event in order; one that returns a promise is waited for before the
   * next. Errors are reported and the others run. Never throws and never rejects.
   */
  emit(
    name: string,
    was: unknown,
    args: readonly unknown[],
    report: Report,
  ): undefined | Promise<void> {
    const handlers = this.#handlers.get(name);
    return handlers === undefined ? undefined : call(handlers, 0, name, was, args, report);
  }

  #off(name: string, handler: EventHandler): void {
    const left = this.#handlers.get(name)?.filter((other) => other !== handler) ?? [];
    if (left.length === 0) this.#handlers.delete(name);
    else this.#handlers.set(name, left);
  }
}

/** Calls handlers from one on, synchronously for as long as none returns a promise. */
function call(
  handlers: readonly EventHandler[],
  from: number,
  name: string,
  was: unknown,
  args: readonly unknown[],
  report: Report,
): undefined | Promise<void> {
  for (let i = from; i < handlers.length; i++) {
    try {
      const result = handlers[i]!(was, ...args);
      if (!isThenable(result)) continue;
      return Promise.resolve(result)
        .catch((error) => report(error, name))
        .then(() => call(handlers, i + 1, name, was, args, report));
    } catch (error) {
      report(error, name);
    }
  }
  return undefined;
}
