/**
 * Counters of all workers of an engine in one piece of shared memory.
 *
 * Each worker adds to a row of its own, so counting does not make the processors fight for a cache line;
 * totals are summed when somebody asks. Rows belong to worker numbers, not to worker lives: a worker that
 * replaces a crashed one goes on counting where that one stopped, and two of the same number may
 * overlap while one drains, which is why even a row of its own is added to atomically.
 *
 * @module
 */

/** Counts of one worker or of all of them, since the engine started. */
export interface Counts {
  /** Client connections accepted. */
  readonly connections: number;
  /** Requests taken. */
  readonly requests: number;
  /** Bytes of request bodies. */
  readonly bytesIn: number;
  /** Bytes of response bodies. */
  readonly bytesOut: number;
  /** Unhandled exceptions of handlers. */
  readonly exceptions: number;
  /** Connections killed for being idle or slow. */
  readonly zombies: number;
}

/** A snapshot of the counters of an engine. */
export interface CountersStatus {
  /** Sums over all workers, also those that are gone. */
  readonly total: Counts;
  /** Counts of each worker that was ever opened, by worker number. */
  readonly workers: ReadonlyMap<number, Counts>;
}

const MAGIC = 0x534b4331n;
/** 64-bit words of the header and of a row: one cache line each, so that rows share none. */
const WORDS = 8;
const ROW_BYTES = WORDS * BigInt64Array.BYTES_PER_ELEMENT;
const HEADER_MAGIC = 0;
const HEADER_CONNECTION_BLOCK = 1;
const HEADER_REQUEST_BLOCK = 2;
const HEADER_ROWS = 3;

const CONNECTIONS = 0;
const REQUESTS = 1;
const BYTES_IN = 2;
const BYTES_OUT = 3;
const EXCEPTIONS = 4;
const ZOMBIES = 5;
const OPENED = 6;

/** Numbers a worker takes at once, so that the shared word is touched once in that many requests. */
const BLOCK = 256;

/**
 * Makes the memory for the counters of an engine, all zero.
 *
 * @param workers Highest number of workers it is for. Default 64; each takes 64 bytes.
 * @param behind Bytes behind the counters for other uses, see {@link behindCounters}. Default 0.
 * @throws {RangeError} when that is not a whole number from 1 to 4096.
 */
export function createShared(workers = 64, behind = 0): SharedArrayBuffer {
  if (!Number.isInteger(workers) || workers < 1 || workers > 4096) {
    throw new RangeError(`Cannot count for ${workers} workers: expected 1 to 4096`);
  }
  const buffer = new SharedArrayBuffer((1 + workers) * ROW_BYTES + Math.ceil(behind / 64) * 64);
  const words = new BigInt64Array(buffer);
  words[HEADER_MAGIC] = MAGIC;
  words[HEADER_ROWS] = BigInt(workers);
  return buffer;
}

/** Where in the memory of {@link createShared} the bytes behind the counters begin. */
export function behindCounters(buffer: SharedArrayBuffer): number {
  return (1 + Number(new BigInt64Array(buffer)[HEADER_ROWS])) * ROW_BYTES;
}

/**
 * Opens the counters for a worker.
 *
 * @param buffer What {@link createShared} made, as handed from the master to the worker.
 * @param worker Number of the worker, from 0. Default 0.
 * @throws {TypeError} for any other memory, {RangeError} for a worker there is no row for.
 */
export function openCounters(buffer: SharedArrayBuffer, worker = 0): SharedCounters {
  return new SharedCounters(buffer, worker);
}

/** The counters as one worker sees them: it adds to its own row and can read all. */
export class SharedCounters {
  #words: BigInt64Array<SharedArrayBuffer>;
  #row: number;
  #connection = 0;
  #connectionEnd = 0;
  #request = 0;
  #requestEnd = 0;

  /** See {@link openCounters}. */
  constructor(buffer: SharedArrayBuffer, worker: number) {
    const size = buffer.byteLength;
    if (size < 2 * ROW_BYTES || size % ROW_BYTES !== 0 || new BigInt64Array(buffer)[0] !== MAGIC) {
      throw new TypeError("Cannot open counters: this memory was not made by createShared()");
    }
    const rows = Number(new BigInt64Array(buffer)[HEADER_ROWS]);
    const words = new BigInt64Array(buffer, 0, (1 + rows) * WORDS);
    if (!Number.isInteger(worker) || worker < 0 || worker >= rows) {
      throw new RangeError(`Cannot open counters of worker ${worker}: there are ${rows} rows`);
    }
    this.#words = words;
    this.#row = (1 + worker) * WORDS;
    Atomics.store(words, this.#row + OPENED, 1n);
  }

  /** Counts a connection and gives its number: unique within the engine, from 1, in no order across workers. */
  nextConnection(): number {
    Atomics.add(this.#words, this.#row + CONNECTIONS, 1n);
    if (this.#connection === this.#connectionEnd) {
      this.#connection = this.#takeBlock(HEADER_CONNECTION_BLOCK);
      this.#connectionEnd = this.#connection + BLOCK;
    }
    return ++this.#connection;
  }

  /** Counts a request and gives its number: unique within the engine, from 1, in no order across workers. */
  nextRequest(): number {
    Atomics.add(this.#words, this.#row + REQUESTS, 1n);
    if (this.#request === this.#requestEnd) {
      this.#request = this.#takeBlock(HEADER_REQUEST_BLOCK);
      this.#requestEnd = this.#request + BLOCK;
    }
    return ++this.#request;
  }

  /** Adds bytes of a request body. */
  received(bytes: number): void {
    if (bytes > 0) Atomics.add(this.#words, this.#row + BYTES_IN, bigintOf(bytes));
  }

  /** Adds bytes of a response body. */
  sent(bytes: number): void {
    if (bytes > 0) Atomics.add(this.#words, this.#row + BYTES_OUT, bigintOf(bytes));
  }

  /** Counts an unhandled exception of a handler. */
  exception(): void {
    Atomics.add(this.#words, this.#row + EXCEPTIONS, 1n);
  }

  /** Counts a connection that was killed for being idle or slow. */
  zombie(): void {
    Atomics.add(this.#words, this.#row + ZOMBIES, 1n);
  }

  /** Snapshot over all workers. Each count is exact; counts read one after the other may be moments apart. */
  status(): CountersStatus {
    const workers = new Map<number, Counts>();
    const total = { ...NOTHING };
    for (let row = WORDS; row < this.#words.length; row += WORDS) {
      if (Atomics.load(this.#words, row + OPENED) === 0n) continue;
      const counts = this.#read(row);
      workers.set(row / WORDS - 1, counts);
      for (const name of COUNT_NAMES) total[name] += counts[name];
    }
    return { total, workers };
  }

  #read(row: number): Counts {
    const read = (slot: number) => Number(Atomics.load(this.#words, row + slot));
    return {
      connections: read(CONNECTIONS),
      requests: read(REQUESTS),
      bytesIn: read(BYTES_IN),
      bytesOut: read(BYTES_OUT),
      exceptions: read(EXCEPTIONS),
      zombies: read(ZOMBIES),
    };
  }

  #takeBlock(word: number): number {
    return Number(Atomics.add(this.#words, word, 1n)) * BLOCK;
  }
}

/** Most bodies are small, and making a `BigInt` takes longer than adding it. */
const SMALL = new Array<bigint | undefined>(4096);

function bigintOf(bytes: number): bigint {
  return bytes < SMALL.length ? SMALL[bytes] ??= BigInt(bytes) : BigInt(bytes);
}

const NOTHING: Counts = {
  connections: 0,
  requests: 0,
  bytesIn: 0,
  bytesOut: 0,
  exceptions: 0,
  zombies: 0,
};
const COUNT_NAMES = Object.keys(NOTHING) as (keyof Counts)[];
