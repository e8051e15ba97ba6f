/**
 * The nonces of this worker: those of its engine, or its own where no engine runs.
 *
 * @module
 */

import { NONCE_BYTES, NonceTable } from "../store/nonce_table.ts";
import { REVOCATION_BYTES } from "../store/revocations.ts";
import { behindCounters } from "../store/shared_counters.ts";
import { STATE_BYTES } from "../store/shared_state.ts";

let shared: SharedArrayBuffer | undefined;
let table: NonceTable | undefined;

/** Nonces of digest authentication, opened on first use. */
export function nonces(): NonceTable {
  if (table !== undefined) return table;
  if (shared === undefined) return table = new NonceTable();
  const byteOffset = behindCounters(shared) + STATE_BYTES + REVOCATION_BYTES;
  return table = shared.byteLength < byteOffset + NONCE_BYTES
    ? new NonceTable()
    : new NonceTable({ buffer: shared, byteOffset });
}

/** Takes the memory an engine has handed over. What gives it back is returned. @internal */
export function openNonces(memory: SharedArrayBuffer): Disposable {
  shared = memory;
  table = undefined;
  return {
    [Symbol.dispose]() {
      if (shared !== memory) return;
      shared = undefined;
      table = undefined;
    },
  };
}
