/**
 * Sessions and tokens that ended before their time, known to all workers of an engine at once.
 *
 * They are kept in shared memory: a logout that one worker has answered is in force in every other one
 * before the client can send its next request. With a directory they outlive the engine, too, and reach
 * one that takes over while the old one drains.
 *
 * @module
 */

import { join } from "../core/file_path.ts";
import type { Log } from "../core/log.ts";

const MAGIC = 0x534b5231;
const HEADER_BYTES = 64;
const SLOTS = 1 << 19;
const WORDS = 4;
/** How far an entry may lie behind its place. */
const WINDOW = 32;

/**
 * Size of the memory: half a million places, of which a quarter can be taken before one that is in force
 * may have to go. Pages that are not used take none.
 */
export const REVOCATION_BYTES: number = HEADER_BYTES + SLOTS * WORDS * 4;

// words of the header
const HEADER_MAGIC = 0;
const HEADER_ADDED = 1;
const HEADER_LOST = 2;
const FIRST_SLOT = HEADER_BYTES / 4;

const DAY = 86_400;
/** The memory counts seconds from 2020 on, so that 31 bits last until 2088. */
const EPOCH = 1_577_836_800;
/** Entries that wait to be kept; of more, the oldest are known to this engine only. */
const MAX_WAITING = 10_000;
/** Seconds between two lines in the log about the same trouble. */
const COMPLAIN_SECONDS = 60;

/** What it is told when it is opened. */
export interface RevocationOptions {
  /** Memory of the engine, zeroed when opened for the first time. Default: memory of its own. */
  readonly buffer?: SharedArrayBuffer;
  /** Where in it the table begins, a multiple of 64. Default 0. */
  readonly byteOffset?: number;
  /** Directory to keep them in; made with the first entry. Default: they end with the engine. */
  readonly directory?: string;
  /** Makes the directory above that one, when the first entry is to be kept and it is not there. */
  readonly prepare?: () => Promise<unknown>;
  /** Where trouble is told. */
  readonly log?: Log;
}

/** Says what ended. */
export class Revocations {
  #words: Int32Array<SharedArrayBuffer>;
  #directory: string | undefined;
  #prepare: (() => Promise<unknown>) | undefined;
  /** Entries that could not be kept so far: the directory is not there yet, or the disk is full. */
  #waiting: Entry[] = [];
  #preparing: Promise<void> | undefined;
  /** The directory has just been made, or cannot be. */
  #isPrepared = false;
  #log: Log | undefined;
  /** What was kept has been read once. */
  #isRead = false;
  /** What was read of each file so far. */
  #read = new Map<string, number>();
  #complained = 0;
  #listeners = new Set<(mark: string, until: number) => void>();

  /**
   * Opens the memory; what was kept is read when it is first needed.
   *
   * @throws {RangeError} when there is too little memory.
   */
  constructor(options: RevocationOptions = {}) {
    const { buffer = new SharedArrayBuffer(REVOCATION_BYTES), byteOffset = 0 } = options;
    this.#words = new Int32Array(buffer, byteOffset, REVOCATION_BYTES / 4);
    Atomics.compareExchange(this.#words, HEADER_MAGIC, 0, MAGIC);
    this.#directory = options.directory;
    this.#prepare = options.prepare;
    this.#log = options.log;
  }

  /**
   * Ends something from now on.
   *
   * @param id What it is known by; something nobody can guess or choose.
   * @param until Seconds since 1970 when it would have ended anyway.
   */
  revoke(id: string, until: number): void {
    const end = endOf(until);
    if (!(end > Date.now() / 1000)) return;
    const [a, b, c] = hashOf(id);
    this.#add(a, b, c, end);
    this.#keep(a, b, c, end);
    for (const listener of this.#listeners) listener(markOf(a, b, c), end);
  }

  /** Whether it was ended. */
  isRevoked(id: string): boolean {
    if (!this.#isRead) this.refresh();
    const words = this.#words;
    if (Atomics.load(words, HEADER_ADDED) === 0) return false;
    const [a, b, c] = hashOf(id);
    const now = Date.now() / 1000 - EPOCH;
    for (let i = 0; i < WINDOW; i++) {
      const at = slotAt(a, i);
      const until = Atomics.load(words, at + 3);
      if (until === 0) return false;
      if (words[at] === a && words[at + 1] === b && words[at + 2] === c && until > now) return true;
    }
    return false;
  }

  /** Waits until everything is kept that can be. */
  async settle(): Promise<void> {
    await this.#preparing;
    this.#keepWaiting();
  }

  /** How many were dropped while they were in force, because the table was full. */
  get dropped(): number {
    return Atomics.load(this.#words, HEADER_LOST);
  }

  /**
   * Tells what is ended here, to pass it on to other machines: its mark, 24 hexadecimal digits from
   * which nobody finds the id, and the seconds since 1970 when it would have ended anyway. Returns what
   * takes the listener away.
   */
  onRevoked(listener: (mark: string, until: number) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Takes over what was ended on another machine, without passing it on.
   *
   * @throws {TypeError} for what is no mark, or no time.
   */
  accept(mark: string, until: number): void {
    const words = wordsOf(mark);
    if (words === undefined || !Number.isSafeInteger(until)) {
      throw new TypeError(`Cannot take over ${JSON.stringify([mark, until])} as a revocation`);
    }
    const end = endOf(until);
    if (end <= Date.now() / 1000) return;
    const [a, b, c] = words;
    // whichever worker hears of it first keeps it for all
    if (this.#add(a, b, c, end)) this.#keep(a, b, c, end);
  }

  /** Marks of all that are in force, each with its end. */
  *inForce(): Generator<[mark: string, until: number]> {
    if (!this.#isRead) this.refresh();
    const words = this.#words;
    if (Atomics.load(words, HEADER_ADDED) === 0) return;
    const now = Date.now() / 1000 - EPOCH;
    for (let at = FIRST_SLOT; at < words.length; at += WORDS) {
      const until = Atomics.load(words, at + 3);
      if (until <= now || until === BUSY) continue;
      yield [markOf(words[at]!, words[at + 1]!, words[at + 2]!), until + EPOCH];
    }
  }

  /**
   * Reads what other engines of the service have added to the directory since the last time, and
   * removes the files of days that are over.
   */
  refresh(): void {
    this.#isRead = true;
    const directory = this.#directory;
    if (directory === undefined) return;
    if (this.#preparing === undefined) this.#keepWaiting();
    try {
      const today = Math.floor(Date.now() / 1000 / DAY);
      for (const { name } of Deno.readDirSync(directory)) {
        if (/^\d{4,6}$/.test(name)) this.#refreshDay(join(directory, name), name, today);
      }
    } catch (error) {
      // Nothing was ended yet.
      if (!(error instanceof Deno.errors.NotFound)) this.#complain(error);
    }
  }

  #refreshDay(path: string, name: string, today: number): void {
    try {
      if (Number(name) >= today) return this.#readFile(path, name);
      this.#read.delete(name);
      Deno.removeSync(path);
    } catch (error) {
      // Another engine or worker was quicker in removing the file. Those of other days count all the same.
      if (!(error instanceof Deno.errors.NotFound)) this.#complain(error);
    }
  }

  /** Adds an entry; false for one that is known already. */
  #add(a: number, b: number, c: number, until: number): boolean {
    const words = this.#words;
    const wanted = Math.min(until - EPOCH, BUSY - 1);
    for (;;) {
      // The first place that is free, else the one that is free next; or that of an earlier entry.
      let at = -1;
      let end = Infinity;
      let isKnown = false;
      for (let i = 0; i < WINDOW && end !== 0 && !isKnown; i++) {
        const candidate = slotAt(a, i);
        const theirs = Atomics.load(words, candidate + 3);
        isKnown = theirs !== 0 && words[candidate] === a && words[candidate + 1] === b &&
          words[candidate + 2] === c;
        if (isKnown && theirs >= wanted) return false;
        if (isKnown || theirs < end) {
          at = candidate;
          end = theirs;
        }
      }
      // An entry that is being written belongs to the worker that writes it.
      if (Atomics.compareExchange(words, at + 3, end, BUSY) !== end) continue;
      words[at] = a;
      words[at + 1] = b;
      words[at + 2] = c;
      Atomics.store(words, at + 3, wanted);
      Atomics.add(words, HEADER_ADDED, 1);
      if (!isKnown && end > Date.now() / 1000 - EPOCH) this.#dropped();
      return true;
    }
  }

  #dropped(): void {
    Atomics.add(this.#words, HEADER_LOST, 1);
    this.#complain(new RangeError("The table of revocations is full: the oldest one was dropped"));
  }

  #keep(a: number, b: number, c: number, until: number): void {
    if (this.#directory === undefined) return;
    if (this.#waiting.length >= MAX_WAITING) this.#waiting.shift();
    this.#waiting.push({
      path: join(this.#directory, String(Math.floor(until / DAY))),
      line: `${markOf(a, b, c)} ${until}`,
      until,
    });
    if (this.#preparing === undefined) this.#keepWaiting();
  }

  /** Writes what waits. What cannot be written waits for the next time. */
  #keepWaiting(): void {
    try {
      for (let entry = this.#waiting[0]; entry !== undefined; entry = this.#waiting[0]) {
        if (entry.until > Date.now() / 1000) append(entry);
        this.#waiting.shift();
      }
    } catch (error) {
      const isMissing = error instanceof Deno.errors.NotFound;
      if (isMissing && !this.#isPrepared) this.#preparing = this.#makeDirectory(this.#directory!);
      else this.#complain(error);
    }
  }

  async #makeDirectory(directory: string): Promise<void> {
    try {
      await this.#prepare?.();
      Deno.mkdirSync(directory, { recursive: this.#prepare === undefined, mode: 0o700 });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) this.#complain(error);
    }
    this.#isPrepared = true;
    this.#keepWaiting();
    this.#isPrepared = false;
    this.#preparing = undefined;
  }

  #readFile(path: string, name: string): void {
    const from = this.#read.get(name) ?? 0;
    const { size } = Deno.statSync(path);
    if (size <= from) return;
    using file = Deno.openSync(path);
    file.seekSync(from, Deno.SeekMode.Start);
    const bytes = new Uint8Array(size - from);
    let filled = 0;
    for (
      let n = file.readSync(bytes);
      n !== null && n > 0;
      n = file.readSync(bytes.subarray(filled))
    ) {
      filled += n;
      if (filled === bytes.length) break;
    }
    const text = new TextDecoder().decode(bytes.subarray(0, filled));
    // A line that is being written is read when it is complete.
    const complete = text.lastIndexOf("\n") + 1;
    this.#read.set(name, from + complete);
    for (const line of text.slice(0, complete).split("\n")) {
      const [, mark, end] = /^(\S+) (\d{1,10})$/.exec(line) ?? [];
      const words = mark === undefined ? undefined : wordsOf(mark);
      const until = Number(end);
      if (words !== undefined && until > Date.now() / 1000) this.#add(...words, until);
    }
  }

  #complain(error: unknown): void {
    const now = Date.now() / 1000;
    if (now - this.#complained < COMPLAIN_SECONDS) return;
    this.#complained = now;
    this.#log?.trace(error, "revocations");
  }
}

/** Says that an entry is being written: an end nobody waits for. */
const BUSY = 0x7fffffff;

/**
 * Whole seconds, and no later than the memory can say: a file for the day of an `exp` in milliseconds
 * would have a name that is never read again.
 */
function endOf(until: number): number {
  return Math.min(Math.ceil(until), EPOCH + BUSY - 1);
}

/** One that is to be kept. */
interface Entry {
  readonly path: string;
  readonly line: string;
  readonly until: number;
}

/**
 * Adds a line. It begins with a break of its own: where a full disk has cut what was written before,
 * this line stays whole.
 */
function append({ path, line }: Entry): void {
  Deno.writeTextFileSync(path, `\n${line}\n`, { append: true, mode: 0o600 });
}

function slotAt(hash: number, step: number): number {
  return FIRST_SLOT + (((hash >>> 0) + step) % SLOTS) * WORDS;
}

/** The words of an entry as text. */
function markOf(...words: [a: number, b: number, c: number]): string {
  return words.map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

function wordsOf(mark: string): [a: number, b: number, c: number] | undefined {
  const match = /^([0-9a-f]{8})([0-9a-f]{8})([0-9a-f]{8})$/.exec(mark);
  if (match === null) return undefined;
  return match.slice(1).map((word) => Number.parseInt(word, 16) | 0) as [number, number, number];
}

/** 96 bits of an id. Ids are random or come out of SHA-256, so nobody can make two collide. */
function hashOf(id: string): [number, number, number] {
  let a = 0x811c9dc5;
  let b = 0x9e3779b9;
  let c = 0x85ebca6b;
  for (let i = 0; i < id.length; i++) {
    const code = id.charCodeAt(i);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x85ebca6b) ^ (b >>> 13);
    c = Math.imul(c + code, 0xc2b2ae35) ^ (c >>> 16);
  }
  return [a, b, c];
}
