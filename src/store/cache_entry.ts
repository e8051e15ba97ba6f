/**
 * A kept response as bytes: facts, body and a checksum.
 *
 * @module
 */

import { crc32 } from "node:zlib";

/** A response that is kept. */
export interface CacheEntry {
  /** Method, URL and whatever else tells requests apart. */
  readonly key: string;
  /** Headers, names in lower case and values in turn. */
  readonly headers: readonly string[];
  /** Names and values of the request headers the response depends on, in turn. */
  readonly vary: readonly string[];
  /** Milliseconds since 1970 when it was made, going by its age. */
  readonly madeAt: number;
  /** Milliseconds since 1970 when it ends. */
  readonly expiresAt: number;
  /** Whether everybody may have it. */
  readonly isPublic: boolean;
  /** Whether the body is compressed here. */
  readonly gzipped: boolean;
  /** The body. */
  readonly body: Uint8Array;
}

const MAGIC = 0x534b4301;
const HEAD_BYTES = 12;
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder("utf-8", { fatal: true });

/** Writes an entry. */
export function encodeEntry({ body, ...facts }: CacheEntry): Uint8Array {
  const text = ENCODER.encode(JSON.stringify({ ...facts, length: body.length }));
  const bytes = new Uint8Array(HEAD_BYTES + text.length + body.length);
  const view = new DataView(bytes.buffer);
  bytes.set(text, HEAD_BYTES);
  bytes.set(body, HEAD_BYTES + text.length);
  view.setUint32(0, MAGIC);
  view.setUint32(4, text.length);
  view.setUint32(8, crc32(bytes.subarray(HEAD_BYTES)));
  return bytes;
}

/** Reads an entry; `undefined` when the bytes are not what was written. */
export function decodeEntry(bytes: Uint8Array): CacheEntry | undefined {
  if (bytes.length < HEAD_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = HEAD_BYTES + view.getUint32(4);
  if (view.getUint32(0) !== MAGIC || end > bytes.length) return undefined;
  if (view.getUint32(8) !== crc32(bytes.subarray(HEAD_BYTES))) return undefined;
  const { length, ...facts } = JSON.parse(DECODER.decode(bytes.subarray(HEAD_BYTES, end)));
  const body = bytes.subarray(end);
  return body.length === length ? { ...facts, body } : undefined;
}
