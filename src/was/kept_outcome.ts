/**
 * What the result cache of a worker keeps: outcomes that no handler can change for others.
 *
 * @module
 */

import type { Outcome, RequestStatus } from "../clients/contract.ts";
import { isPlainObject } from "../core/plain_object.ts";
import { ResultCache } from "../store/result_cache.ts";

/** Answers larger than that are not kept, in bytes. */
const MAX_KEPT_BYTES = 10_000_000;

/** The result cache of this worker. */
export const resultCache: ResultCache<Outcome, KeptOutcome> = new ResultCache();

/**
 * Sets how many results a worker keeps at most. When there are more, a fifth of them is dropped, those
 * closest to their end.
 *
 * @param max Default 200; 0 keeps none.
 * @throws {RangeError} unless it is a whole number from 0.
 */
export function setMaxRcache(max: number): void {
  resultCache.setMax(max);
}

/**
 * Checks what a result is to be kept by: when it is there, nobody could be told what is wrong.
 *
 * @throws {RangeError} unless the seconds are a number. @throws {TypeError} unless the codes are a
 * list.
 */
export function checkCaching(seconds: number, cacheIf: readonly number[] | undefined): void {
  if (typeof seconds !== "number" || Number.isNaN(seconds)) {
    throw new RangeError(`Cannot keep a result for ${String(seconds)} seconds`);
  }
  if (cacheIf !== undefined && !Array.isArray(cacheIf)) {
    throw new TypeError(`Cannot keep a result: cacheIf is a list of codes, not ${String(cacheIf)}`);
  }
}

/** An answer that is kept: a copy of its own, which no handler ever gets hold of. */
export interface KeptOutcome {
  /** The answer itself. */
  readonly origin: Outcome;
  /** Its body. */
  readonly content: Uint8Array | null;
  /** Its data. */
  readonly data: unknown;
}

/** Makes the copy that is kept. */
export function keep(origin: Outcome): KeptOutcome {
  const content = origin.content === null ? null : origin.content.slice();
  return { origin, content, data: copyOf(origin.data) };
}

/** A kept answer as one result sees it: whatever can be changed is copied when it is asked for. */
export class KeptView implements Outcome {
  /** What it shows. */
  readonly kept: KeptOutcome;
  /**
   * Milliseconds since 1970 when the request was made in which this one took part; `undefined` when it
   * came out of the cache.
   */
  readonly sharedSince: number | undefined;
  #headers: Headers | undefined;
  #content: Uint8Array | null | undefined;
  #data: { readonly value: unknown } | undefined;

  /** Shows it. */
  constructor(kept: KeptOutcome, sharedSince?: number) {
    this.kept = kept;
    this.sharedSince = sharedSince;
  }

  get status(): RequestStatus {
    return this.kept.origin.status;
  }

  get statusCode(): number {
    return this.kept.origin.statusCode;
  }

  get reason(): string {
    return this.kept.origin.reason;
  }

  get headers(): Headers {
    return this.#headers ??= new Headers(this.kept.origin.headers);
  }

  get rawHeaders(): readonly string[] | undefined {
    return this.kept.origin.rawHeaders;
  }

  get content(): Uint8Array | null {
    return this.#content ??= this.kept.content === null ? null : this.kept.content.slice();
  }

  get data(): unknown {
    return (this.#data ??= { value: copyOf(this.kept.data) }).value;
  }

  get error(): Error | undefined {
    return this.kept.origin.error;
  }

  get node(): string | undefined {
    return this.kept.origin.node;
  }

  get version(): string | undefined {
    return this.kept.origin.version;
  }

  get url(): string | undefined {
    return this.kept.origin.url;
  }

  get history(): readonly Outcome[] | undefined {
    return this.kept.origin.history;
  }
}

/** Whether an outcome can be kept at all: answered, not a stream, and not too large. */
export function isKeepable(outcome: Outcome): boolean {
  return outcome.status === 3 && outcome.body === undefined &&
    (outcome.content?.length ?? 0) <= MAX_KEPT_BYTES;
}

/**
 * A copy of data as databases give it. Rows of plain values are copied by hand, which is several times
 * faster than the general way.
 */
export function copyOf(data: unknown): unknown {
  if (typeof data !== "object" || data === null) return data;
  if (Array.isArray(data)) {
    const copy = new Array(data.length);
    for (let i = 0; i < data.length; i++) copy[i] = copyOf(data[i]);
    return copy;
  }
  if (isPlainObject(data)) {
    const copy: Record<string, unknown> = Object.getPrototypeOf(data) === Object.prototype
      ? { ...data }
      : { __proto__: null, ...data };
    for (const name in copy) {
      const value = copy[name];
      if (typeof value !== "object" || value === null || !Object.hasOwn(copy, name)) continue;
      copy[name] = copyOf(value);
    }
    return copy;
  }
  if (data instanceof Date) return new Date(data);
  if (data instanceof Uint8Array) return data.slice();
  const cloned = data instanceof Map || data instanceof Set || ArrayBuffer.isView(data) ||
    data instanceof ArrayBuffer;
  // instances of other classes, such as the identifiers of a driver, are values that do not change
  return cloned ? structuredClone(data) : data;
}

/**
 * A text that two values share only when they are the same, types included.
 *
 * @throws {TypeError} for what cannot be told apart, such as functions and streams.
 */
export function keyOf(value: unknown): string {
  switch (typeof value) {
    case "string":
      return `${value.length}:${value}`;
    case "number":
    case "boolean":
    case "undefined":
      return Object.is(value, -0) ? "-0" : String(value);
    case "bigint":
      return `${value}n`;
    case "object":
      break;
    default:
      throw new TypeError(`Cannot make a key of a ${typeof value}`);
  }
  if (value === null) return "null";
  if (Array.isArray(value)) return `[${value.map(keyOf).join(",")}]`;
  if (value instanceof Uint8Array) return `b${value.toBase64()}`;
  if (value instanceof Date) return `d${value.getTime()}`;
  if (isPlainObject(value)) {
    const parts: string[] = [];
    for (const name of Object.keys(value)) {
      parts.push(`${JSON.stringify(name)}:${keyOf((value as Record<string, unknown>)[name])}`);
    }
    return `{${parts.join(",")}}`;
  }
  throw new TypeError(`Cannot make a key of a ${value.constructor?.name ?? "value"}`);
}
