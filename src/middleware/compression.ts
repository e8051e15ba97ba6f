/**
 * Compression of responses.
 *
 * @module
 */

import { nodeBuffer } from "../core/node_builtins.ts";
import type { Gzip } from "node:zlib";
import { type ContentCoding, preferredCoding } from "../core/accept.ts";
import {
  bodySizeOf,
  isIncompressible,
  SharedBody,
  sharedBodyOf,
  sharedResponse,
  staticBodyOf,
} from "../core/body_size.ts";
import { headerOf, type RequestContext } from "../core/context.ts";
import { EmptyChunks, isEmpty } from "../core/empty_chunks.ts";
import { weakEtag } from "../core/etag.ts";
import { type Handler, isThenable, type Layer } from "../core/handler.ts";

/** Bodies up to this many bytes stay plain: the gain would not pay for the work. */
export const MIN_COMPRESSED_BYTES = 2048;

/**
 * Bodies known to be larger than this many bytes stay plain: they would occupy the machine too
 * long.
 */
export const MAX_COMPRESSED_BYTES = 1024 * 1024;

/** Bodies up to this many bytes are compressed at once, larger ones on another thread. */
const MAX_SYNC_BYTES = 32 * 1024;

/** Beyond this level the time grows much faster than the gain. */
const LEVEL = 5;

const COMPRESSIBLE = /^\s*(?:text\/(?!event-stream\b)|application\/json\s*(?:;|$))/i;
const NO_TRANSFORM = /(?:^|,)\s*no-transform\s*(?:,|$)/i;

/**
 * Loaded with the first response to compress: importing it would double the time of a small start.
 */
let zlib: typeof import("node:zlib");
let loading: Promise<void> | undefined;

const live = new WeakSet<Response>();

/** Compressed forms of shared content, mostly of files kept in memory. */
const compressed = new WeakMap<SharedBody, Partial<Record<ContentCoding, SharedBody>>>();

/** Marks a response whose stream must reach the client as it comes: it is never compressed. */
export function markLive(res: Response): Response {
  live.add(res);
  return res;
}

/** True when a body of that type, and size if it is known, is one to compress. */
export function isCompressible(type: string, size: number | undefined): boolean {
  if (size !== undefined && (size <= MIN_COMPRESSED_BYTES || size > MAX_COMPRESSED_BYTES)) {
    return false;
  }
  return COMPRESSIBLE.test(type);
}

/**
 * Compresses text and JSON with gzip, or deflate for clients that want only that. Bodies of up to
 * 2048 bytes, of a known length above 1 MiB, live streams, event streams, partial and encoded
 * content stay as they are. Streams of unknown length are flushed with every chunk, so nothing is
 * held back.
 *
 * Responses that depend on `Accept-Encoding` say so in `Vary`; a strong `ETag` becomes a weak one.
 */
export function compression(): Layer {
  return (next: Handler): Handler =>
    function compression(req, ctx) {
      const result = next(req, ctx);
      return isThenable(result)
        ? Promise.resolve(result).then((res) => compress(req, ctx, res))
        : compress(req, ctx, result);
    };
}

function compress(req: Request, ctx: RequestContext, res: Response): Response | Promise<Response> {
  const { status } = res;
  if (status < 200 || status === 204 || status === 206 || status === 304) return res;
  const size = bodySizeOf(res);
  // Most bodies are small, and for those nothing else needs to be looked at.
  if (size !== undefined && (size <= MIN_COMPRESSED_BYTES || size > MAX_COMPRESSED_BYTES)) {
    return res;
  }
  if (isIncompressible(res)) return res;
  const { headers } = res;
  const type = headers.get("content-type");
  if (type === null || !isCompressible(type, size)) return res;
  if (headers.has("content-encoding") || headers.has("content-range") || live.has(res)) return res;
  const cacheControl = headers.get("cache-control");
  if (cacheControl !== null && NO_TRANSFORM.test(cacheControl)) return res;

  const coding = preferredCoding(headerOf(req, ctx, "accept-encoding"));
  if (coding === undefined || res.bodyUsed) return varied(res);

  if (zlib === undefined) {
    loading ??= import("node:zlib").then((module) => {
      zlib = module;
    });
    return loading.then(() => compressBody(res, coding));
  }
  return compressBody(res, coding);
}

function compressBody(res: Response, coding: ContentCoding): Response | Promise<Response> {
  const body = staticBodyOf(res);
  if (body !== undefined) return compressStatic(res, body, coding);
  const stream = res.body;
  // A large file asked for with HEAD. With no stream at all the runtime would claim a length of 0.
  const result = stream === null ? new Blob().stream() : compressStream(stream, coding);
  return new Response(result, initOf(res, coding));
}

function compressStatic(
  res: Response,
  body: string | Uint8Array,
  coding: ContentCoding,
): Response | Promise<Response> {
  const shared = sharedBodyOf(res);
  const ready = shared && compressed.get(shared)?.[coding];
  if (ready !== undefined) return sharedResponse(ready, initOf(res, coding));
  const finish = (bytes: Uint8Array): Response => {
    const result = new SharedBody(bytes);
    if (shared !== undefined) {
      compressed.set(shared, { ...compressed.get(shared), [coding]: result });
    }
    return sharedResponse(result, initOf(res, coding));
  };
  const bytes = typeof body === "string" ? nodeBuffer().from(body) : body;
  const options = { level: LEVEL };
  if (bytes.byteLength <= MAX_SYNC_BYTES) {
    return finish((coding === "gzip" ? zlib.gzipSync : zlib.deflateSync)(bytes, options));
  }
  return new Promise<Uint8Array>((resolve, reject) => {
    (coding === "gzip" ? zlib.gzip : zlib.deflate)(
      bytes,
      options,
      (error, result) => error === null ? resolve(result) : reject(error),
    );
  }).then(finish);
}

/** Says that the response would have been another one for another `Accept-Encoding`. */
function varied(res: Response): Response {
  try {
    addVary(res.headers);
    return res;
  } catch (error) {
    // Responses of fetch() cannot be changed.
    if (!(error instanceof TypeError)) throw error;
    const headers = new Headers(res.headers);
    addVary(headers);
    return new Response(res.body, { status: res.status, statusText: res.statusText, headers });
  }
}

function addVary(headers: Headers): void {
  const vary = headers.get("vary");
  if (vary === null) headers.set("vary", "Accept-Encoding");
  else if (!/(?:^|,)\s*(?:\*|accept-encoding)\s*(?:,|$)/i.test(vary)) {
    headers.append("vary", "Accept-Encoding");
  }
}

function initOf(res: Response, coding: ContentCoding): ResponseInit {
  const headers = new Headers(res.headers);
  headers.set("content-encoding", coding);
  headers.delete("content-length");
  // Ranges and digests of a file are those of its plain content.
  headers.delete("accept-ranges");
  headers.delete("content-md5");
  headers.delete("digest");
  const etag = headers.get("etag");
  if (etag !== null) headers.set("etag", weakEtag(etag));
  addVary(headers);
  return { status: res.status, statusText: res.statusText, headers };
}

/** Compresses chunk by chunk. Reads the source only as fast as the client takes the result. */
function compressStream(
  source: ReadableStream<Uint8Array>,
  coding: ContentCoding,
): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  const empty = new EmptyChunks();
  let codec: Gzip;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      const options = { level: LEVEL, flush: zlib.constants.Z_SYNC_FLUSH };
      codec = coding === "gzip" ? zlib.createGzip(options) : zlib.createDeflate(options);
      codec.on("data", (chunk: Uint8Array) => controller.enqueue(chunk));
      codec.once("end", () => controller.close());
      codec.once("error", (error) => {
        controller.error(error);
        reader.cancel(error).catch(() => {});
      });
    },
    async pull() {
      try {
        for (;;) {
          const { done, value } = await reader.read();
          if (done) return void codec.end();
          if (!((value as unknown) instanceof Uint8Array)) {
            throw new TypeError("A response stream gave something that is not a Uint8Array");
          }
          // Of an empty chunk nothing comes out, and a pull that gives nothing is the last one.
          if (isEmpty(value)) {
            await empty.next();
            continue;
          }
          return await new Promise<void>((resolve) => codec.write(value, () => resolve()));
        }
      } catch (error) {
        codec.destroy();
        // A source that has failed by itself only says so once more.
        reader.cancel(error).catch(() => {});
        throw error;
      }
    },
    cancel(reason) {
      codec.destroy();
      return reader.cancel(reason);
    },
  });
}
