/**
 * The pools of one client, by what connections are pooled by.
 *
 * @module
 */

import type { Pool, Poolable } from "./pool.ts";

/** A pool nobody used for that long is forgotten. */
const FORGET_MS = 20 * 60 * 1000;

/** Pools by key, counted, maintained and closed together. */
export class Pools<C extends Poolable, P extends Pool<C> = Pool<C>> implements AsyncDisposable {
  readonly #pools = new Map<string, P>();

  /** The pool of a key, if there is one. */
  get(key: string): P | undefined {
    return this.#pools.get(key);
  }

  /** Keeps a pool. */
  set(key: string, pool: P): void {
    this.#pools.set(key, pool);
  }

  /** Connections leased, being opened and waited for under a key. */
  load(key: string): number {
    return this.#pools.get(key)?.load ?? 0;
  }

  /** Connections of all pools. */
  stats(): { open: number; busy: number } {
    let open = 0;
    let busy = 0;
    for (const pool of this.#pools.values()) {
      open += pool.open;
      busy += pool.busy;
    }
    return { open, busy };
  }

  /** Closes connections that have been idle for too long, and forgets pools nobody uses. */
  maintain(): void {
    const oldest = performance.now() - FORGET_MS;
    for (const [key, pool] of this.#pools) {
      pool.maintain();
      if (pool.open === 0 && pool.load === 0 && pool.usedAt < oldest) this.#pools.delete(key);
    }
  }

  /** Closes all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool[Symbol.asyncDispose]()));
  }
}
