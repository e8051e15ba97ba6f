/**
 * Bytes out of several pieces.
 *
 * @module
 */

/**
 * All pieces in one, copied.
 *
 * @param size Their bytes together, where that is known. Default: counted.
 */
export function concatBytes(
  pieces: readonly Uint8Array[],
  size: number = pieces.reduce((sum, { length }) => sum + length, 0),
): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** The same, but one piece is returned as it is. */
export function joinBytes(pieces: readonly Uint8Array[], size?: number): Uint8Array {
  return pieces.length === 1 ? pieces[0]! : concatBytes(pieces, size);
}
