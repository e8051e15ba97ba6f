/**
 * The revocations of this worker: those of its engine, or its own where no engine runs.
 *
 * @module
 */

import { behindCounters } from "../store/shared_counters.ts";
import { type RevocationOptions, Revocations } from "../store/revocations.ts";
import { STATE_BYTES } from "../store/shared_state.ts";

let opened: Revocations | undefined;

/** Sessions and tokens that ended before their time. */
export function revocations(): Revocations {
  return opened ??= new Revocations();
}

/** Takes the memory an engine has handed over. What gives it back is returned. @internal */
export function openRevocations(
  shared: SharedArrayBuffer,
  options: Pick<RevocationOptions, "directory" | "log">,
): Disposable & { refresh(): void } {
  const byteOffset = behindCounters(shared) + STATE_BYTES;
  const mine = new Revocations({ ...options, buffer: shared, byteOffset });
  opened = mine;
  return {
    refresh: () => mine.refresh(),
    [Symbol.dispose]() {
      if (opened === mine) opened = undefined;
    },
  };
}
