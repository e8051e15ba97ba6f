/**
 * Multipart bodies as bytes, well-formed or not.
 *
 * @module
 */

/** One part. */
export interface RawPart {
  /** Header lines, without line ends. */
  readonly headers: readonly string[];
  /** Content. */
  readonly content: string | Uint8Array;
}

/** Boundary of the bodies made here. */
export const BOUNDARY = "----frontier7MA4YWxkTrZu0gW";

/** Content type that goes with them. */
export const CONTENT_TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

const encoder = new TextEncoder();

/** A text field. */
export function field(name: string, content: string | Uint8Array): RawPart {
  return { headers: [`Content-Disposition: form-data; name="${name}"`], content };
}

/** A file, its name put between quotes as it stands. */
export function file(
  name: string,
  filename: string,
  content: string | Uint8Array,
  type = "application/octet-stream",
): RawPart {
  return {
    headers: [
      `Content-Disposition: form-data; name="${name}"; filename="${filename}"`,
      `Content-Type: ${type}`,
    ],
    content,
  };
}

/** A whole body. */
export function multipart(
  parts: readonly RawPart[],
  { boundary = BOUNDARY, isClosed = true }: { boundary?: string; isClosed?: boolean } = {},
): Uint8Array<ArrayBuffer> {
  const pieces: Uint8Array[] = [];
  for (const { headers, content } of parts) {
    pieces.push(encoder.encode(`--${boundary}\r\n${headers.join("\r\n")}\r\n\r\n`));
    pieces.push(typeof content === "string" ? encoder.encode(content) : content);
    pieces.push(encoder.encode("\r\n"));
  }
  if (isClosed) pieces.push(encoder.encode(`--${boundary}--\r\n`));
  return join(pieces);
}

/** Joins bytes. */
export function join(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  return bytes;
}

/** Gives bytes in pieces of the sizes in turn. */
export function inPieces(bytes: Uint8Array, sizes: readonly number[]): ReadableStream<Uint8Array> {
  let at = 0;
  let turn = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.byteLength) return controller.close();
      const size = sizes[turn++ % sizes.length]!;
      // Copies, because a reader may take the memory of what it was given.
      controller.enqueue(bytes.slice(at, at + size));
      at += size;
    },
  });
}
