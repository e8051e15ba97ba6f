/**
 * The revocations of this worker: those of its engine, or its own where no engine runs.
 *
 * @module
 */

import { NONCE_BYTES } from "../store/nonce_table.ts";
import { REVOCATION_BYTES, type RevocationOptions, Revocations } from "../store/revocations.ts";
import { behindCounters } from "../store/shared_counters.ts";
import { STATE_BYTES } from "../store/shared_state.ts";

/** Bytes that the workers of an engine share behind their counters: state and locks, revocations, nonces. */
export const SHARED_BYTES: number = STATE_BYTES + REVOCATION_BYTES + NONCE_BYTES;

let opened: Revocations | undefined;

/** Sessions and tokens that ended before their time. */
export function revocations(): Revocations {
  return opened ??= new Revocations();
}

/** Takes the memory an engine has handed over. What gives it back is returned. @internal */
export function openRevocations(
  shared: SharedArrayBuffer,
  options: Omit<RevocationOptions, "buffer" | "byteOffset">,
): AsyncDisposable & { refresh(): void } {
  const byteOffset = behindCounters(shared) + STATE_BYTES;
  const mine = new Revocations({ ...options, buffer: shared, byteOffset });
  opened = mine;
  return {
    refresh: () => mine.refresh(),
    async [Symbol.asyncDispose]() {
      if (opened === mine) opened = undefined;
      await mine.settle();
    },
  };
}
