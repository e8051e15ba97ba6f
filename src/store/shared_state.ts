/**
 * Numbers and locks that all workers of an engine see, in one piece of shared memory.
 *
 * Keys and locks are found by name in tables of the memory itself, so workers need not agree on any
 * order of declaration.
 *
 * @module
 */

/** A lock that is held. It ends with the block it was taken in by `await using`. */
export interface HeldLock extends AsyncDisposable {
  /** Name it was taken by. */
  readonly name: string;
  /** False once it was released, or lost because its worker stood still for too long. */
  readonly held: boolean;
  /** Gives it back; harmless when called again. */
  release(): void;
}

/** Options of {@link SharedState.lock}. */
export interface LockOptions {
  /** Milliseconds to wait for it. Default: as long as it takes. */
  readonly timeoutMs?: number;
  /** Gives up when it aborts. */
  readonly signal?: AbortSignal;
}

const MAGIC = 0x534b5331;
const HEADER_BYTES = 64;
const KEYS = 1024;
const KEY_BYTES = 128;
const NAME_AT = 12;
const MAX_NAME = KEY_BYTES - NAME_AT;
const LOCKS = 256;
const LOCK_BYTES = 64;
const LOCKS_AT = HEADER_BYTES + KEYS * KEY_BYTES;

/** Size of the memory of a {@link SharedState}. */
export const STATE_BYTES: number = LOCKS_AT + LOCKS * LOCK_BYTES;

// words of the header
const HEADER_MAGIC = 0;
const HEADER_GUARD = 1;
const HEADER_SERIAL = 2;
/** Milliseconds since 1970 when the first worker was started; a 64-bit word. */
const HEADER_STARTED = 2;

// words of a lock
const LOCK_VERSION = 0;
const LOCK_OWNER = 1;
const LOCK_HASH = 2;
/** Milliseconds since 1970 until which the owner is believed to live; a 64-bit word. */
const LOCK_LEASE = 3;
const LOCK_HOLDER = 8;

/** An owner that has not renewed a lock for that long is taken for dead. */
const LEASE_MS = 15_000;
const RENEW_MS = 3000;
/** The guard is held for microseconds; whoever keeps it for that long died inside. */
const GUARD_MS = 1000;

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/** The shared memory as one worker sees it. */
export class SharedState implements Disposable {
  readonly #i32: Int32Array<SharedArrayBuffer>;
  readonly #i64: BigInt64Array<SharedArrayBuffer>;
  readonly #bytes: Uint8Array<SharedArrayBuffer>;
  readonly #serial: number;
  readonly #holder: number;
  readonly #slots = new Map<string, number>();
  /** Locks this worker holds: owner number by position. */
  readonly #held = new Map<number, number>();
  readonly #queues = new Map<string, Promise<void>>();
  #renewal: ReturnType<typeof setInterval> | undefined;

  /**
   * Opens the memory.
   *
   * @param buffer Zeroed when opened for the first time. Default: memory of its own.
   * @param byteOffset Where in the buffer it begins, a multiple of 64.
   * @param holder Who takes locks here, so that others can release them when he is gone; 0 for nobody
   * who could be named.
   * @throws {RangeError} when there is less than {@link STATE_BYTES}.
   */
  constructor(
    buffer: SharedArrayBuffer = new SharedArrayBuffer(STATE_BYTES),
    byteOffset = 0,
    holder = 0,
  ) {
    this.#holder = holder;
    this.#i32 = new Int32Array(buffer, byteOffset, STATE_BYTES / 4);
    this.#i64 = new BigInt64Array(buffer, byteOffset, STATE_BYTES / 8);
    this.#bytes = new Uint8Array(buffer, byteOffset, STATE_BYTES);
    if (Atomics.compareExchange(this.#i32, HEADER_MAGIC, 0, MAGIC) === 0) {
      Atomics.store(this.#i64, HEADER_STARTED, BigInt(Math.floor(performance.timeOrigin)));
    }
    this.#serial = Atomics.add(this.#i32, HEADER_SERIAL, 1) + 1;
  }

  /** Milliseconds since 1970 when the first worker that opened it was started. */
  get startedAt(): number {
    return Number(Atomics.load(this.#i64, HEADER_STARTED));
  }

  /**
   * Declares a key; one that exists keeps its value, which is 0 at first.
   *
   * @throws {TypeError} for an empty or too long name. @throws {RangeError} when the table is full.
   */
  declare(key: string): void {
    if (this.#slots.has(key)) return;
    const name = ENCODER.encode(key);
    if (name.length === 0 || name.length > MAX_NAME) {
      throw new TypeError(
        `Cannot share ${JSON.stringify(key)}: a name has 1 to ${MAX_NAME} bytes`,
      );
    }
    this.#slots.set(key, this.#guarded(() => this.#findKey(key, name)));
  }

  /** Keys declared in any worker. */
  keys(): string[] {
    const names: string[] = [];
    for (let i = 0; i < KEYS; i++) {
      const name = this.#nameAt(i);
      if (name === "") break;
      names.push(name);
    }
    return names;
  }

  /** Value of a key; `undefined` when this worker has not declared it. */
  get(key: string): number | undefined {
    const slot = this.#slots.get(key);
    return slot === undefined ? undefined : Number(Atomics.load(this.#i64, slot));
  }

  /** Sets a value, a safe integer. @throws {RangeError} for a key that is not declared. */
  set(key: string, value: number): void {
    Atomics.store(this.#i64, this.#slot(key), BigInt(value));
  }

  /** Sets a value unless it is larger already; gives what it is then. */
  raise(key: string, value: number): number {
    const slot = this.#slot(key);
    const wanted = BigInt(value);
    for (;;) {
      const before = Atomics.load(this.#i64, slot);
      if (before >= wanted) return Number(before);
      if (Atomics.compareExchange(this.#i64, slot, before, wanted) === before) return value;
    }
  }

  /** Sets a value; gives what it was. */
  exchange(key: string, value: number): number {
    return Number(Atomics.exchange(this.#i64, this.#slot(key), BigInt(value)));
  }

  /** Adds to a value; gives what it is then. */
  add(key: string, change: number): number {
    return Number(Atomics.add(this.#i64, this.#slot(key), BigInt(change))) + change;
  }

  /**
   * Takes a lock by its name. Those of one worker get it in the order they asked.
   *
   * @throws {DOMException} `TimeoutError` when it did not become free in time, or the reason of the
   * signal. @throws {RangeError} when too many names are locked.
   */
  async lock(name: string, options: LockOptions = {}): Promise<HeldLock> {
    const { timeoutMs = Infinity, signal } = options;
    signal?.throwIfAborted();
    const before = this.#queues.get(name);
    const turn = Promise.withResolvers<void>();
    const queue = (before ?? Promise.resolve()).then(() => turn.promise);
    this.#queues.set(name, queue);
    const leave = () => {
      turn.resolve();
      if (this.#queues.get(name) === queue) this.#queues.delete(name);
    };
    const deadline = performance.now() + timeoutMs;
    try {
      if (before !== undefined) await bounded(before, deadline, name, signal);
      const hash = hashOf(name);
      for (;;) {
        const taken = this.#guarded(() => this.#tryLock(hash, name));
        if (taken.owner !== 0) return this.#handle(name, taken.at, taken.owner, leave);
        const waiting = waitFor(this.#i32, taken.at + LOCK_VERSION, taken.version, taken.waitMs);
        try {
          await bounded(waiting.promise, deadline, name, signal);
        } finally {
          waiting.end();
        }
      }
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** Gives back what a holder has left who is gone. */
  releaseAllOf(holder: number): void {
    const left: [at: number, owner: number][] = [];
    this.#guarded(() => {
      for (let i = 0; i < LOCKS; i++) {
        const at = (LOCKS_AT + i * LOCK_BYTES) / 4;
        const owner = this.#i32[at + LOCK_OWNER]!;
        if (owner !== 0 && this.#i32[at + LOCK_HOLDER] === holder) left.push([at, owner]);
      }
    });
    for (const [at, owner] of left) this.#unlock(at, owner);
  }

  /** Gives back what this worker holds. */
  [Symbol.dispose](): void {
    for (const [at, owner] of [...this.#held]) this.#unlock(at, owner);
  }

  #slot(key: string): number {
    const slot = this.#slots.get(key);
    if (slot === undefined) throw new RangeError(`Cannot set ${JSON.stringify(key)}: not declared`);
    return slot;
  }

  #findKey(key: string, name: Uint8Array): number {
    for (let i = 0; i < KEYS; i++) {
      const at = HEADER_BYTES + i * KEY_BYTES;
      const known = this.#nameAt(i);
      if (known === "") {
        this.#bytes.set(name, at + NAME_AT);
        this.#i32[at / 4 + 2] = name.length;
      } else if (known !== key) continue;
      return at / 8;
    }
    throw new RangeError(`Cannot share ${JSON.stringify(key)}: there are ${KEYS} keys already`);
  }

  #nameAt(index: number): string {
    const at = HEADER_BYTES + index * KEY_BYTES;
    const length = Atomics.load(this.#i32, at / 4 + 2);
    // a decoder does not take shared memory
    return length === 0
      ? ""
      : DECODER.decode(this.#bytes.slice(at + NAME_AT, at + NAME_AT + length));
  }

  #tryLock(hash: Hash, name: string): Attempt {
    const i32 = this.#i32;
    const now = BigInt(Date.now());
    let free = -1;
    for (let i = 0; i < LOCKS; i++) {
      const at = (LOCKS_AT + i * LOCK_BYTES) / 4;
      const lease = (LOCKS_AT + i * LOCK_BYTES) / 8 + LOCK_LEASE;
      const idle = i32[at + LOCK_OWNER] === 0 || this.#i64[lease]! < now;
      if (i32[at + LOCK_HASH] === hash[0] && i32[at + LOCK_HASH + 1] === hash[1]) {
        if (idle) return this.#own(at, lease, hash);
        const waitMs = Number(this.#i64[lease]! - now) + 1;
        return { owner: 0, at, version: Atomics.load(i32, at + LOCK_VERSION), waitMs };
      }
      if (idle && free === -1) free = at;
    }
    if (free === -1) {
      throw new RangeError(`Cannot lock ${JSON.stringify(name)}: ${LOCKS} names are locked`);
    }
    return this.#own(free, free / 2 + LOCK_LEASE, hash);
  }

  #own(at: number, lease: number, hash: Hash): Attempt {
    const i32 = this.#i32;
    // a number of its own for each holding: one that was taken over cannot release its successor
    const owner = Atomics.add(i32, HEADER_SERIAL, 1) + 1;
    i32[at + LOCK_HASH] = hash[0];
    i32[at + LOCK_HASH + 1] = hash[1];
    i32[at + LOCK_OWNER] = owner;
    i32[at + LOCK_HOLDER] = this.#holder;
    this.#i64[lease] = BigInt(Date.now() + LEASE_MS);
    return { owner, at, version: 0, waitMs: 0 };
  }

  #handle(name: string, at: number, owner: number, leave: () => void): HeldLock {
    this.#held.set(at, owner);
    this.#renewal ??= this.#startRenewal();
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      this.#unlock(at, owner);
      leave();
    };
    const isHeld = () => !released && this.#i32[at + LOCK_OWNER] === owner;
    return {
      name,
      get held() {
        return isHeld();
      },
      release,
      [Symbol.asyncDispose]: () => {
        release();
        return Promise.resolve();
      },
    };
  }

  #unlock(at: number, owner: number): void {
    if (this.#held.get(at) === owner) this.#held.delete(at);
    if (this.#held.size === 0) {
      clearInterval(this.#renewal);
      this.#renewal = undefined;
    }
    this.#guarded(() => {
      if (this.#i32[at + LOCK_OWNER] !== owner) return;
      this.#i32[at + LOCK_OWNER] = 0;
      Atomics.add(this.#i32, at + LOCK_VERSION, 1);
    });
    Atomics.notify(this.#i32, at + LOCK_VERSION);
  }

  #startRenewal(): ReturnType<typeof setInterval> {
    const timer = setInterval(() => {
      const until = BigInt(Date.now() + LEASE_MS);
      this.#guarded(() => {
        for (const [at, owner] of this.#held) {
          if (this.#i32[at + LOCK_OWNER] === owner) this.#i64[at / 2 + LOCK_LEASE] = until;
        }
      });
    }, RENEW_MS);
    Deno.unrefTimer(Number(timer));
    return timer;
  }

  /** Runs a few memory operations while no other worker runs any. */
  #guarded<R>(run: () => R): R {
    const i32 = this.#i32;
    const serial = this.#serial;
    let since = 0;
    for (;;) {
      const owner = Atomics.compareExchange(i32, HEADER_GUARD, 0, serial);
      if (owner === 0) break;
      const now = performance.now();
      if (since === 0) since = now;
      else if (now - since > GUARD_MS) {
        if (Atomics.compareExchange(i32, HEADER_GUARD, owner, serial) === owner) break;
        since = now;
      }
    }
    try {
      return run();
    } finally {
      Atomics.compareExchange(i32, HEADER_GUARD, serial, 0);
    }
  }
}

type Hash = readonly [number, number];

interface Attempt {
  /** Number of the holding; 0 when somebody else has it. */
  readonly owner: number;
  /** Position of the lock in 32-bit words. */
  readonly at: number;
  /** What to wait on when it was not free. */
  readonly version: number;
  /** After so long the holder counts as dead, unless it has renewed. */
  readonly waitMs: number;
}

/** Waits until the word changes, or the time is over. */
function waitFor(
  words: Int32Array<SharedArrayBuffer>,
  at: number,
  value: number,
  ms: number,
): { readonly promise: Promise<unknown>; end(): void } {
  const wait = Atomics.waitAsync(words, at, value);
  if (!wait.async) return { promise: Promise.resolve(), end: () => {} };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
  return { promise: Promise.race([wait.value, late]), end: () => clearTimeout(timer) };
}

/** Waits for a promise, at most until the deadline (of `performance.now()`) or the signal. */
async function bounded(
  promise: Promise<unknown>,
  deadline: number,
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (deadline === Infinity && signal === undefined) {
    await promise;
    return;
  }
  const stop = Promise.withResolvers<never>();
  const abort = () => stop.reject(signal!.reason);
  const late = () =>
    stop.reject(new DOMException(`The lock ${name} did not become free in time`, "TimeoutError"));
  signal?.addEventListener("abort", abort, { once: true });
  const timer = deadline === Infinity
    ? undefined
    : setTimeout(late, Math.max(0, deadline - performance.now()));
  try {
    await Promise.race([promise, stop.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** Two independent 32-bit hashes of a name, neither 0 together. */
function hashOf(name: string): Hash {
  let a = 0x811c9dc5;
  let b = 0x9e3779b9;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x85ebca6b) ^ (b >>> 13);
  }
  return [a | 0, (b | 0) || 1];
}
