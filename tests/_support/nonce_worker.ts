/**
 * A thread that takes counts of nonces as fast as it can, for the test of the table.
 *
 * @module
 */

import { NonceTable } from "../../src/store/nonce_table.ts";

/** What a thread is told. */
export interface NonceTask {
  /** The shared memory. */
  readonly buffer: SharedArrayBuffer;
  /** How many counts to take. */
  readonly counts: number;
}

interface Scope {
  onmessage: ((event: MessageEvent<NonceTask>) => void) | null;
  postMessage(message: unknown): void;
}

const scope = globalThis as unknown as Scope;
scope.onmessage = ({ data: { buffer, counts } }) => {
  const table = new NonceTable({ buffer });
  const id = new Uint8Array(16).fill(7);
  const taken: number[] = [];
  for (let count = 1; count <= counts; count++) {
    if (table.use(id, 1000, 0, count)) taken.push(count);
  }
  scope.postMessage({ taken, key: table.key });
};
