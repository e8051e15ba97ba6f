/**
 * Kept responses on disk: a file each, shared by all workers and processes that use the directory.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { join } from "../core/file_path.ts";
import { asError } from "../core/errors.ts";
import { type CacheEntry, decodeEntry, encodeEntry } from "./cache_entry.ts";

/** Options of a {@link CacheDisk}. */
export interface CacheDiskOptions {
  /** Directory; made when it is missing. */
  readonly path: string;
  /** Most bytes of all files together. */
  readonly maxBytes: number;
  /** Workers that write to it. Default 1. */
  readonly workers?: number;
  /** Told once a minute at most that the disk cannot be used. */
  readonly failed: (error: Error) => void;
  /** Clock, milliseconds since 1970. */
  readonly now: () => number;
}

const SUFFIX = ".entry";
/** After an error nothing is written for so long. */
const REST_MS = 60_000;
/** An unfinished file of that age has nobody who will finish it. */
const ABANDONED_MS = 10 * 60_000;

let serial = 0;

/** A directory of entries. */
export class CacheDisk {
  readonly #options: CacheDiskOptions;
  /** Bytes in the directory when it was last counted; -1 before. */
  #counted = -1;
  /** Bytes this worker has written since. */
  #written = 0;
  #restUntil = 0;
  #sweeping: Promise<void> | undefined;
  /** The last change of each file that is under way: the next one must not overtake it. */
  readonly #changes = new Map<string, Promise<unknown>>();

  /** Nothing is touched before the first use. */
  constructor(options: CacheDiskOptions) {
    this.#options = options;
  }

  /** Reads the entry of a key. What is expired or damaged is removed. Never rejects. */
  async get(key: string): Promise<CacheEntry | undefined> {
    const file = this.#fileOf(key);
    let bytes: Uint8Array;
    try {
      bytes = await Deno.readFile(file);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) this.#fail(error);
      return undefined;
    }
    let entry: CacheEntry | undefined;
    try {
      entry = decodeEntry(bytes);
    } catch (error) {
      // damaged in a way the checksum has not seen, or written by somebody else
      if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
    }
    if (entry?.key === key && entry.expiresAt > this.#options.now()) return entry;
    if (entry === undefined || entry.expiresAt <= this.#options.now()) await this.#remove(file);
    return undefined;
  }

  /** Writes an entry; false when there is no room or the disk fails. Never rejects. */
  set(entry: CacheEntry): Promise<boolean> {
    const file = this.#fileOf(entry.key);
    return this.#inTurn(file, () => this.#write(file, entry));
  }

  async #write(file: string, entry: CacheEntry): Promise<boolean> {
    const { path, maxBytes, workers = 1, now } = this.#options;
    if (now() < this.#restUntil) return false;
    const bytes = encodeEntry(entry);
    if (bytes.length > maxBytes / 2) return false;
    try {
      // each worker knows what it has written itself, and takes the others to have written as much
      const room = (): number =>
        maxBytes - this.#counted - (this.#written + bytes.length) * workers;
      if (this.#counted < 0 || room() < 0) {
        await this.sweep();
        if (this.#counted < 0 || room() < 0) return false;
      }
      this.#written += bytes.length;
      const unfinished = join(path, `${Deno.pid}-${++serial}-${crypto.randomUUID()}.tmp`);
      try {
        await Deno.writeFile(unfinished, bytes);
        // the time of a file is its end: that is all a sweep has to look at
        await Deno.utime(unfinished, now() / 1000, entry.expiresAt / 1000);
        await Deno.rename(unfinished, file);
      } catch (error) {
        await this.#remove(unfinished);
        throw error;
      }
      return true;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  /** Removes the entry of a key. */
  async delete(key: string): Promise<void> {
    const file = this.#fileOf(key);
    await this.#inTurn(file, () => this.#remove(file));
  }

  /**
   * Removes what is expired or abandoned, and when there is too much, what is closest to its end. Never
   * rejects.
   */
  sweep(): Promise<void> {
    return this.#sweeping ??= this.#sweep().catch((error) => this.#fail(error))
      .finally(() => this.#sweeping = undefined);
  }

  async #sweep(): Promise<void> {
    const { path, maxBytes, now } = this.#options;
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
    const files: { file: string; size: number; endsAt: number }[] = [];
    let total = 0;
    for await (const { name, isFile } of Deno.readDir(path)) {
      if (!isFile) continue;
      const file = join(path, name);
      const stat = await Deno.stat(file).catch(absent);
      if (stat === undefined) continue;
      const endsAt = stat.mtime?.getTime() ?? 0;
      if (!name.endsWith(SUFFIX)) {
        // the end of its entry may be set already, and far ahead
        const touchedAt = stat.ctime?.getTime() ?? endsAt;
        if (name.endsWith(".tmp") && now() - touchedAt > ABANDONED_MS) await this.#remove(file);
        continue;
      }
      total += stat.size;
      files.push({ file, size: stat.size, endsAt });
    }
    files.sort((a, b) => a.endsAt - b.endsAt);
    for (const { file, size, endsAt } of files) {
      if (endsAt > now() && total <= maxBytes * 0.7) break;
      await this.#remove(file);
      total -= size;
    }
    this.#counted = total;
    this.#written = 0;
  }

  /** Makes a change, which does not reject, after those that were asked for before. */
  async #inTurn<R>(file: string, change: () => Promise<R>): Promise<R> {
    const before = this.#changes.get(file);
    const own = before === undefined ? change() : before.then(change);
    this.#changes.set(file, own);
    try {
      return await own;
    } finally {
      if (this.#changes.get(file) === own) this.#changes.delete(file);
    }
  }

  #fileOf(key: string): string {
    return join(this.#options.path, createHash("sha256").update(key).digest("hex") + SUFFIX);
  }

  async #remove(file: string): Promise<void> {
    try {
      await Deno.remove(file);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) this.#fail(error);
    }
  }

  #fail(thrown: unknown): void {
    const now = this.#options.now();
    if (now < this.#restUntil) return;
    this.#restUntil = now + REST_MS;
    // the directory may be another one by then, or gone: it is looked at first
    this.#counted = -1;
    this.#options.failed(asError(thrown));
  }
}

function absent(error: unknown): undefined {
  if (error instanceof Deno.errors.NotFound) return undefined;
  throw error;
}
