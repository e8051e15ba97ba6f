/**
 * Keeps connections to one peer for reuse: newest first, limited in number, with a queue of those who
 * wait for one.
 *
 * @module
 */

import { type Linked, LinkedList } from "../core/linked_list.ts";
import { abortSignalOf, type StopSignal } from "../core/stop.ts";
import { PoolExhaustedError } from "../core/errors.ts";

/** What can be pooled. */
export interface Poolable {
  /** False once it can carry nothing more: closed by the peer, broken, or told to close. */
  readonly usable: boolean;
  /** `performance.now()` after which the peer is expected to have closed it. */
  readonly expiresAt: number;
  /** Called when it goes idle; it calls back once when it becomes unusable while idle. */
  park(onDead: () => void): void;
  /** Called when it is taken out again. */
  unpark(): void;
  /** Closes it; harmless when called again. */
  close(): void;
}

/** Options of a {@link Pool}. */
export interface PoolOptions<C> {
  /** What the messages call the peer. */
  readonly name: string;
  /** Opens a connection; rejects when the signal aborts. */
  readonly open: (signal: AbortSignal) => Promise<C>;
  /** Most connections at once, idle ones included. Default 256. */
  readonly max?: number;
  /** Most who may wait for a connection. Default 10 000. */
  readonly maxWaiting?: number;
  /** Seconds after which an idle connection is not reused; asked each time. */
  readonly idleSeconds: () => number;
}

/** A connection out of the pool. */
export interface Lease<C> {
  /** The connection. */
  readonly connection: C;
  /** True when it has carried a request before. */
  readonly reused: boolean;
}

interface Waiter<C> extends Linked<Waiter<C>> {
  give(lease: Lease<C>): void;
  /** A place has become free: open one of your own. */
  retry(): void;
}

interface Idle<C> {
  readonly connection: C;
  readonly since: number;
}

/**
 * A pool of connections to one peer.
 *
 * Every lease goes back with {@link release}. A connection that dies while idle is dropped at once.
 * Closing the pool closes what is leased too, so whoever uses it then sees an error.
 */
export class Pool<C extends Poolable> implements AsyncDisposable {
  readonly #options: PoolOptions<C>;
  readonly #max: number;
  readonly #maxWaiting: number;
  readonly #idle: Idle<C>[] = [];
  readonly #busy = new Set<C>();
  readonly #waiting = new LinkedList<Waiter<C>>();
  readonly #opening = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();
  #usedAt = performance.now();

  /** Makes an empty pool. */
  constructor(options: PoolOptions<C>) {
    this.#options = options;
    this.#max = options.max ?? 256;
    this.#maxWaiting = options.maxWaiting ?? 10_000;
  }

  /** Connections open now. */
  get open(): number {
    return this.#idle.length + this.#busy.size;
  }

  /** Connections leased now. */
  get busy(): number {
    return this.#busy.size;
  }

  /** Leased connections, those being opened, and those who wait: the load balancers go by this. */
  get load(): number {
    return this.#busy.size + this.#opening.size + this.#waiting.size;
  }

  /** `performance.now()` of the last lease. */
  get usedAt(): number {
    return this.#usedAt;
  }

  /** Takes an idle connection, or `undefined` when there is none that is good. Never waits. */
  take(): C | undefined {
    const now = this.#usedAt = performance.now();
    const oldest = now - this.#options.idleSeconds() * 1000;
    for (let entry = this.#idle.pop(); entry !== undefined; entry = this.#idle.pop()) {
      const { connection, since } = entry;
      connection.unpark();
      if (connection.usable && since > oldest && connection.expiresAt > now) {
        this.#busy.add(connection);
        return connection;
      }
      connection.close();
    }
    return undefined;
  }

  /**
   * Takes an idle connection, opens one, or waits for one.
   *
   * @throws {PoolExhaustedError} when too many wait already, or the pool is closed.
   * @throws whatever opening threw, or the signal's reason.
   */
  async lease(signal: StopSignal, fresh = false): Promise<Lease<C>> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#closing.signal.aborted) throw this.#refusal("the pool is closed");
      const idle = fresh ? undefined : this.take();
      if (idle !== undefined) return { connection: idle, reused: true };
      if (this.open + this.#opening.size < this.#max) {
        return { connection: await this.#open(signal), reused: false };
      }
      if (fresh && this.#idle.length > 0) {
        const entry = this.#idle.shift()!;
        entry.connection.unpark();
        entry.connection.close();
        continue;
      }
      const lease = await this.#wait(signal);
      if (signal.aborted) {
        // given up in the moment it was its turn: the turn is the next one's
        if (lease === undefined) this.#wakeOne();
        else this.release(lease.connection);
        continue;
      }
      if (lease === undefined) continue;
      if (!fresh) return lease;
      lease.connection.close();
      this.release(lease.connection);
    }
  }

  /** Gives a connection back. One that is not usable is closed. */
  release(connection: C): void {
    if (!this.#busy.delete(connection)) return;
    if (!connection.usable || this.#closing.signal.aborted) {
      connection.close();
      this.#wakeOne();
      return;
    }
    const { first: waiter } = this.#waiting;
    if (waiter !== undefined) {
      this.#waiting.remove(waiter);
      this.#busy.add(connection);
      waiter.give({ connection, reused: true });
      return;
    }
    const entry: Idle<C> = { connection, since: performance.now() };
    this.#idle.push(entry);
    connection.park(() => this.#drop(entry));
  }

  /** Closes connections that have been idle for too long. */
  maintain(): void {
    const now = performance.now();
    const oldest = now - this.#options.idleSeconds() * 1000;
    for (const entry of [...this.#idle]) {
      if (entry.since <= oldest || entry.connection.expiresAt <= now) this.#drop(entry);
    }
  }

  /** Closes everything and waits until nothing is being opened any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(this.#refusal("the pool is closed"));
    for (const entry of [...this.#idle]) this.#drop(entry);
    for (const connection of this.#busy) connection.close();
    for (let { first } = this.#waiting; first !== undefined; first = this.#waiting.first) {
      this.#waiting.remove(first);
      first.retry();
    }
    await Promise.allSettled(this.#opening);
  }

  async #open(signal: StopSignal): Promise<C> {
    const both = AbortSignal.any([abortSignalOf(signal), this.#closing.signal]);
    const opening = this.#options.open(both);
    this.#opening.add(opening);
    try {
      const connection = await opening;
      this.#busy.add(connection);
      if (both.aborted) {
        this.#busy.delete(connection);
        connection.close();
        throw both.reason;
      }
      return connection;
    } catch (error) {
      this.#wakeOne(opening);
      throw error;
    } finally {
      this.#opening.delete(opening);
    }
  }

  #wait(signal: StopSignal): Promise<Lease<C> | undefined> {
    if (this.#waiting.size >= this.#maxWaiting) {
      throw this.#refusal(`${this.#busy.size} of ${this.#max} busy, ${this.#waiting.size} waiting`);
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter<C> = {
        before: undefined,
        after: undefined,
        give: (lease) => {
          signal.removeEventListener("abort", onAbort);
          resolve(lease);
        },
        retry: () => {
          signal.removeEventListener("abort", onAbort);
          resolve(undefined);
        },
      };
      const onAbort = () => {
        this.#waiting.remove(waiter);
        reject(signal.reason);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.insert(waiter, this.#waiting.last);
    });
  }

  /** Lets the longest waiter try for the place that has become free. */
  #wakeOne(opened?: Promise<unknown>): void {
    if (opened !== undefined) this.#opening.delete(opened);
    const { first: waiter } = this.#waiting;
    if (waiter === undefined) return;
    this.#waiting.remove(waiter);
    waiter.retry();
  }

  #drop(entry: Idle<C>): void {
    const at = this.#idle.indexOf(entry);
    if (at === -1) return;
    this.#idle.splice(at, 1);
    entry.connection.unpark();
    entry.connection.close();
    this.#wakeOne();
  }

  #refusal(why: string): PoolExhaustedError {
    return new PoolExhaustedError(
      `Cannot lease a connection to ${this.#options.name}: ${why}`,
      714,
      { member: this.#options.name },
    );
  }
}
