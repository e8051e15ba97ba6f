/**
 * Answers of backends that a worker keeps for a while, and requests under way that several callers
 * share.
 *
 * @module
 */

import type { Stop } from "../core/stop.ts";

/** Entries kept where nobody says otherwise. */
export const DEFAULT_MAX_RESULTS = 200;

interface Entry<V> {
  readonly value: V;
  /** Milliseconds since 1970 when the request was made. */
  readonly requestedAt: number;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** Counts of a {@link ResultCache}. */
export interface ResultCacheStatus {
  /** Entries, expired ones included until their place is needed. */
  readonly entries: number;
  /** Most entries. */
  readonly max: number;
  /** Requests answered from it. */
  readonly hits: number;
  /** Requests that looked and had to ask. */
  readonly misses: number;
  /** Requests that took part in one under way. */
  readonly shared: number;
}

/** A request under way that several callers wait for. It is given up when the last of them is gone. */
export class Flight<A, V> {
  /** What it will give; never rejects where the request does not. */
  readonly answer: Promise<A>;
  /** The answer as it is kept, made before anybody could change it. */
  kept: V | undefined;
  /** Milliseconds since 1970 when it was made. */
  readonly requestedAt: number;
  readonly #abort: Pick<Stop, "abort">;
  #callers = 1;

  /** Takes a request that has been started for one caller. */
  constructor(answer: Promise<A>, requestedAt: number, abort: Pick<Stop, "abort">) {
    this.answer = answer;
    this.requestedAt = requestedAt;
    this.#abort = abort;
  }

  /** Adds a caller; false when it has been given up already. */
  join(): boolean {
    if (this.#callers === 0) return false;
    this.#callers++;
    return true;
  }

  /** A caller has stopped waiting. */
  leave(reason: unknown): void {
    if (--this.#callers === 0) this.#abort.abort(reason);
  }
}

/** Values by key with a time to live each. `A` is what requests give, `V` what is kept of it. */
export class ResultCache<A, V> {
  readonly #entries = new Map<string, Entry<V>>();
  readonly #flights = new Map<string, Flight<A, V>>();
  readonly #now: () => number;
  #max = DEFAULT_MAX_RESULTS;
  #active = false;
  #hits = 0;
  #misses = 0;
  #shared = 0;

  /** Makes an empty one. @param now Clock, milliseconds since 1970. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** False until somebody has kept or shared something: then there is nothing to look for. */
  get active(): boolean {
    return this.#active;
  }

  /** Counts. */
  get status(): ResultCacheStatus {
    return {
      entries: this.#entries.size,
      max: this.#max,
      hits: this.#hits,
      misses: this.#misses,
      shared: this.#shared,
    };
  }

  /** Most entries; those closest to their end go first. @throws {RangeError} unless a whole number from 0. */
  setMax(max: number): void {
    if (!Number.isSafeInteger(max) || max < 0) {
      throw new RangeError(`Cannot keep ${String(max)} results: expected a whole number from 0`);
    }
    this.#max = max;
    if (this.#entries.size > max) this.#drop(this.#entries.size - max);
  }

  /**
   * The value of a key, if it is fresh.
   *
   * @param since Milliseconds since 1970: an entry requested then or before is dropped.
   */
  get(key: string, since = 0): V | undefined {
    const entry = this.#entries.get(key);
    if (entry !== undefined && entry.requestedAt > since && entry.expiresAt > this.#now()) {
      this.#hits++;
      return entry.value;
    }
    // an expired entry stays until its place is needed: it tells that the key is worth sharing
    if (entry !== undefined && entry.requestedAt <= since) this.#entries.delete(key);
    this.#misses++;
    return undefined;
  }

  /** Whether the key has been kept before. */
  knows(key: string): boolean {
    return this.#entries.has(key);
  }

  /**
   * Keeps a value, unless one of a later request is there; nothing when there may be no entries.
   *
   * @param requestedAt Milliseconds since 1970 when the request was made.
   * @param seconds From now. 0 or less takes the key away.
   */
  put(key: string, value: V, requestedAt: number, seconds: number): void {
    if (seconds <= 0) return this.delete(key);
    if (this.#max === 0) return;
    this.#active = true;
    const before = this.#entries.get(key);
    if (before !== undefined && before.requestedAt > requestedAt) return;
    if (before === undefined && this.#entries.size >= this.#max) {
      this.#drop(Math.max(1, Math.floor(this.#max / 5)));
    }
    this.#entries.set(key, { value, requestedAt, expiresAt: this.#now() + seconds * 1000 });
  }

  /** Takes a key away. */
  delete(key: string): void {
    this.#entries.delete(key);
  }

  /** Takes everything away. */
  clear(): void {
    this.#entries.clear();
  }

  /** Lets later callers of a key take part in a request, until it is over. */
  share(key: string, flight: Flight<A, V>): void {
    this.#active = true;
    this.#flights.set(key, flight);
    const over = () => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    flight.answer.then(over, over);
  }

  /** Takes part in a request under way that was made after `since`, if there is one. */
  join(key: string, since = 0): Flight<A, V> | undefined {
    const flight = this.#flights.get(key);
    if (flight === undefined || flight.requestedAt <= since || !flight.join()) return undefined;
    this.#shared++;
    return flight;
  }

  /** Makes room: expired entries, and of the others those closest to their end. */
  #drop(count: number): void {
    const now = this.#now();
    const left: [key: string, expiresAt: number][] = [];
    let dropped = 0;
    for (const [key, { expiresAt }] of this.#entries) {
      if (expiresAt > now) left.push([key, expiresAt]);
      else {
        this.#entries.delete(key);
        dropped++;
      }
    }
    if (dropped >= count) return;
    left.sort((a, b) => a[1] - b[1]);
    for (const [key] of left.slice(0, count - dropped)) this.#entries.delete(key);
  }
}
