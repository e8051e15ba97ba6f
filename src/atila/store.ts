/**
 * Key-value storage that lives as long as its app, shared by the requests of one worker.
 *
 * @module
 */

import { MapLike } from "./map_like.ts";

interface Entry {
  readonly value: unknown;
  /** `Date.now()` after which it is gone; infinite without a timeout. */
  readonly expires: number;
}

/** Values of an app by key, by method or by property: `store.hits` is `store.get("hits")`. */
// deno-lint-ignore no-explicit-any -- the caller knows what was put there
export class AppStore extends MapLike<any> {
  #entries = new Map<string, Entry>();

  /** The values that have not expired. */
  // deno-lint-ignore no-explicit-any -- as above
  protected override current(): ReadonlyMap<string, any> {
    return new Map(this.keys().map((key) => [key, this.#entries.get(key)!.value]));
  }

  /** Keeps a value, for `timeout` seconds or, with 0, until it is removed. */
  override set(key: string, value: unknown, timeout = 0): void {
    if (!(timeout >= 0)) {
      throw new RangeError(`Cannot keep ${JSON.stringify(key)} for ${timeout} seconds`);
    }
    const expires = timeout === 0 ? Number.POSITIVE_INFINITY : Date.now() + timeout * 1000;
    this.#entries.set(key, { value, expires });
  }

  /** The value, or `fallback` when there is none any more. */
  // deno-lint-ignore no-explicit-any -- the caller knows what was put there
  override get<T = any>(key: string, fallback?: T): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return fallback;
    if (entry.expires > Date.now()) return entry.value as T;
    this.#entries.delete(key);
    return fallback;
  }

  /** Whether there is a value. */
  override has(key: string): boolean {
    this.get(key);
    return this.#entries.has(key);
  }

  /** Removes a value; true when there was one. */
  delete(key: string): boolean {
    return this.#entries.delete(key);
  }

  /** Removes everything. */
  clear(): void {
    this.#entries.clear();
  }

  /** Keys that have a value. */
  override keys(): string[] {
    return [...this.#entries.keys()].filter((key) => this.has(key));
  }
}
