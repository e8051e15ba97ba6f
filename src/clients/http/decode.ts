/**
 * Undoes the content coding of a response body, never beyond the size allowed.
 *
 * @module
 */

import { asError, ProtocolError } from "../../core/errors.ts";

type Zlib = typeof import("node:zlib");

type Decode = (
  bytes: Uint8Array,
  options: { maxOutputLength: number },
  done: (error: Error | null, result: Uint8Array) => void,
) => void;

/** Bodies up to this size are decoded in place; handing them to a thread would cost more. */
const SYNC_BYTES = 32 * 1024;
/** Most codings of one body; nobody uses more than two, and there are bodies that stay the same. */
const MAX_CODINGS = 5;

const CODINGS = ["gzip", "x-gzip", "deflate", "br", "identity", ""];

/** Whether all codings of a `Content-Encoding` are known here. */
export function isDecodable(encoding: string): boolean {
  return codingsOf(encoding).every((coding) => CODINGS.includes(coding));
}

function codingsOf(encoding: string): string[] {
  return encoding.toLowerCase().split(",").map((name) => name.trim());
}

/**
 * Decodes a body by its `Content-Encoding`. A coding nobody announced is left as it is.
 *
 * @throws {ProtocolError} 719 when it grows beyond `maxBytes`, 701 when it is damaged or has more
 * than five codings.
 */
export async function decodeContent(
  content: Uint8Array,
  encoding: string,
  maxBytes: number,
): Promise<Uint8Array> {
  let bytes = content;
  const codings = codingsOf(encoding);
  if (codings.length > MAX_CODINGS) {
    const message = `The backend's answer is encoded ${codings.length} times`;
    throw new ProtocolError(`${message}, more than ${MAX_CODINGS}`, 701);
  }
  for (const coding of codings.reverse()) {
    if (coding === "identity" || coding === "" || bytes.length === 0) continue;
    if (!CODINGS.includes(coding)) return bytes;
    bytes = await decodeOne(await import("node:zlib"), bytes, coding, maxBytes);
  }
  return bytes;
}

async function decodeOne(
  zlib: Zlib,
  bytes: Uint8Array,
  coding: string,
  maxBytes: number,
): Promise<Uint8Array> {
  const options = { maxOutputLength: Math.max(1, maxBytes) };
  try {
    if (bytes.length <= SYNC_BYTES) {
      if (coding === "br") return plain(zlib.brotliDecompressSync(bytes, options));
      if (coding !== "deflate") return plain(zlib.gunzipSync(bytes, options));
      return plain(
        isZlib(bytes) ? zlib.inflateSync(bytes, options) : zlib.inflateRawSync(bytes, options),
      );
    }
    const decode: Decode = coding === "br"
      ? zlib.brotliDecompress
      : coding !== "deflate"
      ? zlib.gunzip
      : isZlib(bytes)
      ? zlib.inflate
      : zlib.inflateRaw;
    return await new Promise((resolve, reject) => {
      decode(bytes, options, (error, result) => error ? reject(error) : resolve(plain(result)));
    });
  } catch (thrown) {
    const cause = asError(thrown);
    if ((cause as { code?: string }).code === "ERR_BUFFER_TOO_LARGE") {
      throw new ProtocolError(`The backend's answer is larger than ${maxBytes} bytes`, 719, {
        cause,
      });
    }
    throw new ProtocolError(`The backend's answer is not ${coding}: ${cause.message}`, 701, {
      cause,
    });
  }
}

/** Some servers call raw deflate data `deflate`; the two are told apart by the zlib header. */
function isZlib(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && (bytes[0]! & 15) === 8 && ((bytes[0]! << 8) | bytes[1]!) % 31 === 0;
}

function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
