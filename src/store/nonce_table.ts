/**
 * Nonces of digest authentication that were used, and the key they are signed with, known to all workers
 * of an engine: a client may meet another worker with every connection.
 *
 * @module
 */

const MAGIC = 0x534b4e31;
const HEADER_BYTES = 64;
const SLOT_BYTES = 32;
const SLOTS = 8192;

/** Size of the memory: room for 8192 nonces that are in use. Pages that are not touched take none. */
export const NONCE_BYTES: number = HEADER_BYTES + SLOTS * SLOT_BYTES;

// words of the header
const HEADER_MAGIC = 0;
const HEADER_GUARD = 1;
/** A 64-bit word: nonces handed out until then, in milliseconds since 1970, are not good any more. */
const HEADER_FORGOTTEN = 1;
const KEY_AT = 16;
const KEY_BYTES = 32;

// words of a slot: three of the id, the highest count, then two 64-bit words
const SLOT_HIGHEST = 3;
/** Which of the counts before the highest were used. */
const SLOT_BEFORE = 2;
/** When it was handed out, in milliseconds since 1970; 0 where the slot is free. */
const SLOT_ISSUED = 3;

/** How far a nonce may lie behind its place. */
const WINDOW = 16;
/** How far behind the highest count another one may come: requests overtake each other. */
const COUNTS = 64;
/** The guard is held for microseconds; whoever keeps it for that long died inside. */
const GUARD_MS = 200;

/** Options of {@link NonceTable}. */
export interface NonceTableOptions {
  /** Memory of the engine, zeroed when opened for the first time. Default: memory of its own. */
  readonly buffer?: SharedArrayBuffer;
  /** Where in it the table begins, a multiple of 64. Default 0. */
  readonly byteOffset?: number;
  /** Room for so many nonces, of memory of its own. Default 8192. */
  readonly slots?: number;
}

/** Remembers which counts of which nonces were used. */
export class NonceTable {
  readonly #slots: number;
  readonly #words: Uint32Array<SharedArrayBuffer>;
  readonly #guard: Int32Array<SharedArrayBuffer>;
  readonly #wide: BigUint64Array<SharedArrayBuffer>;
  readonly #key: Uint8Array<SharedArrayBuffer>;

  /** Opens the memory. @throws {RangeError} when there is too little. */
  constructor(options: NonceTableOptions = {}) {
    const { slots = SLOTS, byteOffset = 0 } = options;
    const bytes = HEADER_BYTES + slots * SLOT_BYTES;
    const buffer = options.buffer ?? new SharedArrayBuffer(bytes);
    this.#slots = slots;
    this.#words = new Uint32Array(buffer, byteOffset, bytes / 4);
    this.#guard = new Int32Array(buffer, byteOffset, HEADER_BYTES / 4);
    this.#wide = new BigUint64Array(buffer, byteOffset, bytes / 8);
    this.#key = new Uint8Array(buffer, byteOffset + KEY_AT, KEY_BYTES);
    this.#guarded(() => {
      if (this.#words[HEADER_MAGIC] === MAGIC) return;
      this.#drawKey();
      this.#words[HEADER_MAGIC] = MAGIC;
    });
  }

  /** Signs nonces; the same for all who have opened the memory. */
  get key(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#key);
  }

  /**
   * Takes a count of a nonce; false when it was taken before, is too far behind, or what is known of the
   * nonce had to be forgotten.
   *
   * @param id At least twelve bytes that nobody can choose.
   * @param issued When the nonce was handed out, in milliseconds since 1970.
   * @param expired Nonces handed out until then, in the same unit, need not be remembered.
   * @param count Count of the request, from 1.
   * @param now Now, in the same unit. Default `Date.now()`.
   */
  use(
    id: Uint8Array,
    issued: number,
    expired: number,
    count: number,
    now: number = Date.now(),
  ): boolean {
    const view = new DataView(id.buffer, id.byteOffset, id.byteLength);
    const [a, b, c] = [view.getUint32(0), view.getUint32(4), view.getUint32(8)];
    return this.#guarded(() => {
      const words = this.#words;
      const wide = this.#wide;
      if (wide[HEADER_FORGOTTEN]! > BigInt(now)) return this.#beginAnew();
      if (BigInt(issued) <= wide[HEADER_FORGOTTEN]!) return false;
      let free = -1;
      let oldest = -1;
      for (let i = 0; i < Math.min(WINDOW, this.#slots); i++) {
        const at = HEADER_BYTES / SLOT_BYTES + (a + i) % this.#slots;
        const word = at * (SLOT_BYTES / 4);
        const since = wide[at * (SLOT_BYTES / 8) + SLOT_ISSUED]!;
        if (since === 0n || since <= BigInt(expired)) {
          if (free === -1) free = at;
        } else if (words[word] === a && words[word + 1] === b && words[word + 2] === c) {
          return this.#count(at, count);
        } else if (
          oldest === -1 || since < wide[oldest * (SLOT_BYTES / 8) + SLOT_ISSUED]!
        ) oldest = at;
      }
      if (free === -1) {
        free = oldest;
        const given = wide[free * (SLOT_BYTES / 8) + SLOT_ISSUED]!;
        if (given > BigInt(now)) return this.#beginAnew();
        // Nobody knows any more how often it was used, so it and those before it end here.
        if (given > wide[HEADER_FORGOTTEN]!) wide[HEADER_FORGOTTEN] = given;
        if (BigInt(issued) <= given) return false;
      }
      const word = free * (SLOT_BYTES / 4);
      words[word] = a;
      words[word + 1] = b;
      words[word + 2] = c;
      words[word + SLOT_HIGHEST] = 0;
      wide[free * (SLOT_BYTES / 8) + SLOT_BEFORE] = 0n;
      wide[free * (SLOT_BYTES / 8) + SLOT_ISSUED] = BigInt(issued);
      return this.#count(free, count);
    });
  }

  /**
   * The clock was set back: what was handed out before it stays in the way until the clock is there again,
   * and nobody could sign in. With another key none of that is good any more, and may be forgotten.
   */
  #beginAnew(): false {
    this.#drawKey();
    this.#wide.fill(0n, HEADER_BYTES / 8);
    this.#wide[HEADER_FORGOTTEN] = 0n;
    return false;
  }

  #drawKey(): void {
    // Random bytes cannot be drawn into shared memory.
    this.#key.set(crypto.getRandomValues(new Uint8Array(KEY_BYTES)));
  }

  /** Takes a count of the nonce in a slot. */
  #count(at: number, count: number): boolean {
    const word = at * (SLOT_BYTES / 4) + SLOT_HIGHEST;
    const before = at * (SLOT_BYTES / 8) + SLOT_BEFORE;
    const highest = this.#words[word]!;
    const used = this.#wide[before]!;
    if (count > highest) {
      const step = BigInt(count - highest);
      this.#wide[before] = step > COUNTS
        ? 0n
        : BigInt.asUintN(COUNTS, used << step | 1n << (step - 1n));
      this.#words[word] = count;
      return true;
    }
    const behind = highest - count;
    if (behind === 0 || behind > COUNTS) return false;
    const bit = 1n << BigInt(behind - 1);
    if ((used & bit) !== 0n) return false;
    this.#wide[before] = used | bit;
    return true;
  }

  /** Runs something while no other worker is inside. */
  #guarded<T>(run: () => T): T {
    const guard = this.#guard;
    if (Atomics.compareExchange(guard, HEADER_GUARD, 0, 1) !== 0) {
      const deadline = performance.now() + GUARD_MS;
      while (
        Atomics.compareExchange(guard, HEADER_GUARD, 0, 1) !== 0 && performance.now() < deadline
      );
    }
    try {
      return run();
    } finally {
      Atomics.store(guard, HEADER_GUARD, 0);
    }
  }
}
