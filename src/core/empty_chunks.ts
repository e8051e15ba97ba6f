/**
 * Empty chunks of response streams: nothing of them goes to the client, so that nothing makes their
 * producer wait, and one that gives them for ever would let nobody else work.
 *
 * @module
 */

/** So many are taken before everybody else has a turn. */
const IN_A_ROW = 64;

/** True for a chunk without bytes. */
export function isEmpty(chunk: Uint8Array): boolean {
  return (chunk as Uint8Array | undefined)?.byteLength === 0;
}

/** The empty chunks of one stream. */
export class EmptyChunks {
  #count = 0;

  /** Notes one; gives something to wait for when there were many. */
  next(): Promise<void> | undefined {
    if (++this.#count % IN_A_ROW !== 0) return undefined;
    return new Promise((resolve) => setTimeout(resolve, 0));
  }
}
