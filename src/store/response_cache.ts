/**
 * The cache file system: responses of backends in memory and on disk, for requests of `was` and for
 * proxies.
 *
 * @module
 */

import { gunzip, gunzipSync, gzip, gzipSync } from "node:zlib";
import { CacheDisk } from "./cache_disk.ts";
import type { CacheEntry } from "./cache_entry.ts";
import {
  type CacheRequest,
  type HeaderLookup,
  namesOf,
  readRequest,
  readResponse,
} from "./freshness.ts";

/** Options of a {@link ResponseCache}. */
export interface ResponseCacheOptions {
  /** Most bytes in the memory of this worker. Default 0: none. */
  readonly memmax?: number;
  /** Most bytes on disk, of all workers together. Default 0: none. */
  readonly diskmax?: number;
  /** Directory on disk. */
  readonly path?: string;
  /** Workers that use the directory. Default 1. */
  readonly workers?: number;
  /** Told once a minute at most that the disk cannot be used. */
  readonly failed?: (error: Error) => void;
  /** Clock, milliseconds since 1970. */
  readonly now?: () => number;
}

/** A response as it goes in. */
export interface ResponseToKeep {
  /** Status code. */
  readonly status: number;
  /** Headers, names in lower case and values in turn. */
  readonly headers: readonly string[];
  /** The whole body. */
  readonly body: Uint8Array;
  /** Milliseconds since 1970 when it was asked for. Default: now. */
  readonly requestedAt?: number;
}

/** A response as it comes out. */
export interface KeptResponse {
  /** Headers, names in lower case and values in turn, with the age and the mark of the cache. */
  readonly headers: readonly string[];
  /** The whole body; a copy. */
  readonly body: Uint8Array;
}

/** Counts of a {@link ResponseCache}. */
export interface ResponseCacheStatus {
  /** Entries in memory. */
  readonly entries: number;
  /** Bytes in memory. */
  readonly bytes: number;
  /** Answers from memory. */
  readonly memoryHits: number;
  /** Answers from disk. */
  readonly diskHits: number;
  /** Requests that looked in vain. */
  readonly misses: number;
}

/** Name of the header that tells where an answer came from: `MEM_HIT` or `HIT`. */
export const LOOKUP_HEADER = "x-skitaid-cache-lookup";

/** Larger responses are not kept. */
const MAX_BODY_BYTES = 10_000_000;
/** What an entry takes besides its body. */
const ENTRY_BYTES = 512;
const SWEEP_MS = 600_000;
const TEXT = /^(?:text\/|application\/(?:[a-z.+-]*json|[a-z.+-]*xml|javascript)|image\/svg)/i;
const MIN_GZIP_BYTES = 512;
/** Bodies up to this size are compressed in place; handing them to a thread would cost more. */
const SYNC_BYTES = 64 * 1024;

/** The cache of a worker. */
export class ResponseCache implements AsyncDisposable {
  readonly #now: () => number;
  readonly #memmax: number;
  readonly #disk: CacheDisk | undefined;
  /** The one used longest ago comes first. */
  readonly #memory = new Map<string, CacheEntry>();
  readonly #writes = new Set<Promise<unknown>>();
  /** What is being compressed in a thread, unless something newer has come since. */
  readonly #zipping = new Map<string, CacheEntry>();
  #bytes = 0;
  #sweptAt: number;
  #memoryHits = 0;
  #diskHits = 0;
  #misses = 0;

  /** Makes an empty cache; what is on disk already is used. */
  constructor(options: ResponseCacheOptions) {
    const { memmax = 0, diskmax = 0, path, workers, failed = () => {} } = options;
    this.#now = options.now ?? Date.now;
    this.#memmax = memmax;
    this.#sweptAt = this.#now();
    if (diskmax > 0 && path !== undefined) {
      this.#disk = new CacheDisk({ path, maxBytes: diskmax, workers, failed, now: this.#now });
    }
  }

  /** Counts. */
  get status(): ResponseCacheStatus {
    return {
      entries: this.#memory.size,
      bytes: this.#bytes,
      memoryHits: this.#memoryHits,
      diskHits: this.#diskHits,
      misses: this.#misses,
    };
  }

  /** Looks for a fresh response. Never rejects. */
  async lookup(
    key: string,
    header: HeaderLookup,
    request: CacheRequest = readRequest("GET", header),
  ): Promise<KeptResponse | undefined> {
    if (!request.reads) return undefined;
    const own = this.#memory.get(key);
    if (own !== undefined) {
      if (own.expiresAt <= this.#now()) this.#forget(key);
      else if (fits(own, header, request)) {
        this.#memory.delete(key);
        this.#memory.set(key, own);
        this.#memoryHits++;
        return await this.#show(own, "MEM_HIT");
      }
    }
    const stored = await this.#disk?.get(key);
    if (stored !== undefined && fits(stored, header, request)) {
      this.#diskHits++;
      return await this.#show(stored, "HIT");
    }
    this.#misses++;
    return undefined;
  }

  /**
   * Keeps a response if its headers allow that; tells whether it may be used for others. Writing to disk
   * goes on in the background.
   */
  store(
    key: string,
    header: HeaderLookup,
    response: ResponseToKeep,
    request: CacheRequest = readRequest("GET", header),
  ): boolean {
    const { status, headers, body } = response;
    const look = (name: string) => valueOf(headers, name);
    const now = this.#now();
    const { seconds, isPublic, age } = readResponse(status, look, request, now);
    if (seconds <= 0 || body.length > MAX_BODY_BYTES) return false;
    const isText = TEXT.test(look("content-type") ?? "") && look("content-encoding") === undefined;
    const gzipped = isText && body.length >= MIN_GZIP_BYTES;
    const entry: CacheEntry = {
      key,
      headers,
      vary: namesOf(look("vary")).flatMap((name) => [name, header(name) ?? ""]),
      madeAt: (response.requestedAt ?? now) - age * 1000,
      expiresAt: now + seconds * 1000,
      isPublic,
      gzipped,
      body,
    };
    this.#zipping.delete(key);
    if (!gzipped) this.#keep({ ...entry, body: body.slice() });
    else if (body.length <= SYNC_BYTES) this.#keep({ ...entry, body: gzipSync(body) });
    // in a thread: that much would make other requests wait
    else this.#track(this.#keepZipped({ ...entry, body: body.slice() }));
    return true;
  }

  /** Forgets a response. */
  async delete(key: string): Promise<void> {
    this.#zipping.delete(key);
    this.#forget(key);
    await this.#disk?.delete(key);
  }

  /** Drops what has expired, about every ten minutes; called more often. */
  maintain(): void {
    const now = this.#now();
    if (now - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = now;
    for (const [key, { expiresAt }] of this.#memory) if (expiresAt <= now) this.#forget(key);
    if (this.#disk !== undefined) this.#track(this.#disk.sweep());
  }

  /** Waits for what is being written. */
  async settled(): Promise<void> {
    while (this.#writes.size > 0) await Promise.all(this.#writes);
  }

  /** Waits for what is being written and forgets what is in memory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.settled();
    this.#memory.clear();
    this.#bytes = 0;
  }

  async #keepZipped(entry: CacheEntry): Promise<void> {
    const { key } = entry;
    this.#zipping.set(key, entry);
    const body = await inThread(gzip, entry.body);
    if (this.#zipping.get(key) !== entry) return;
    this.#zipping.delete(key);
    this.#keep({ ...entry, body });
  }

  #keep(entry: CacheEntry): void {
    this.#forget(entry.key);
    const size = sizeOf(entry);
    const fitsInMemory = this.#bytes + size <= this.#memmax;
    if (!fitsInMemory && this.#disk !== undefined) return this.#track(this.#disk.set(entry));
    if (size > this.#memmax) return;
    for (const key of this.#memory.keys()) {
      if (this.#bytes + size <= this.#memmax) break;
      this.#forget(key);
    }
    this.#memory.set(entry.key, entry);
    this.#bytes += size;
    // an older answer there would outlive this one
    if (this.#disk !== undefined) this.#track(this.#disk.delete(entry.key));
  }

  #forget(key: string): void {
    const entry = this.#memory.get(key);
    if (entry === undefined) return;
    this.#memory.delete(key);
    this.#bytes -= sizeOf(entry);
  }

  async #show(entry: CacheEntry, where: "MEM_HIT" | "HIT"): Promise<KeptResponse> {
    const headers: string[] = [];
    for (let i = 0; i < entry.headers.length; i += 2) {
      if (entry.headers[i] !== "age") headers.push(entry.headers[i]!, entry.headers[i + 1]!);
    }
    const age = Math.max(0, Math.floor((this.#now() - entry.madeAt) / 1000));
    headers.push("age", String(age), LOOKUP_HEADER, where);
    const { body } = entry;
    if (!entry.gzipped) return { headers, body: body.slice() };
    return {
      headers,
      body: plain(body.length <= SYNC_BYTES ? gunzipSync(body) : await inThread(gunzip, body)),
    };
  }

  #track(write: Promise<unknown>): void {
    const done = write.finally(() => this.#writes.delete(done));
    this.#writes.add(done);
  }
}

type Zip = (bytes: Uint8Array, done: (error: Error | null, result: Uint8Array) => void) => void;

function inThread(zip: Zip, bytes: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    zip(bytes, (error, result) => error === null ? resolve(result) : reject(error));
  });
}

/** Bytes as a plain array, which a `Buffer` is not. */
function plain({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function sizeOf({ key, headers, body }: CacheEntry): number {
  let size = ENTRY_BYTES + key.length + body.length;
  for (const text of headers) size += text.length;
  return size;
}

function fits(
  { vary, isPublic, madeAt }: CacheEntry,
  header: HeaderLookup,
  request: CacheRequest,
): boolean {
  if (request.isPrivate && !isPublic) return false;
  if (request.since && madeAt <= request.since) return false;
  for (let i = 0; i < vary.length; i += 2) {
    if ((header(vary[i]!) ?? "") !== vary[i + 1]) return false;
  }
  return true;
}

/** Values of a header, joined by commas where there are several. */
function valueOf(flat: readonly string[], name: string): string | undefined {
  let value: string | undefined;
  for (let i = 0; i < flat.length; i += 2) {
    if (flat[i] === name) value = value === undefined ? flat[i + 1] : `${value}, ${flat[i + 1]}`;
  }
  return value;
}
