/**
 * What a service module registers, kept together so that it can be taken away again.
 *
 * @module
 */

import { asyncFrames } from "../core/async_frame.ts";

/** How the routes of a service are registered. */
export interface ScopeOptions {
  /** Prefix of its rules, without a final slash. Default none. */
  readonly point?: string;
  /** Namespace of its handler names. Default none. */
  readonly ns?: string;
  /** Authentication of its routes that name none. Default: that of the app. */
  readonly authenticate?: unknown;
}

/** The registrations of one service. */
export class Scope {
  /** How its routes are registered. */
  readonly options: ScopeOptions;
  /** The app it belongs to. */
  readonly owner: object;
  #undo: (() => void)[] = [];

  /** Begins a scope of an app. */
  constructor(owner: object, options: ScopeOptions) {
    this.owner = owner;
    this.options = options;
  }

  /** Notes how something that was registered is taken away. */
  onEnd(undo: () => void): void {
    this.#undo.push(undo);
  }

  /** Takes everything away, the last thing first. */
  end(): void {
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) undo();
  }

  /** Runs a function; what it registers, also after waiting, belongs to the scope. */
  run<T>(fn: () => T): T {
    return current.run(this, fn, undefined, undefined, undefined);
  }
}

const current = asyncFrames<Scope>("scope");

/** The scope whose function is running for this app, if there is one. */
export function scopeOf(owner: object): Scope | undefined {
  const scope = current.get();
  return scope?.owner === owner ? scope : undefined;
}
