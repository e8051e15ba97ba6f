import assert from "node:assert/strict";
import { behindCounters, createShared } from "../../src/store/shared_counters.ts";
import { SharedState, STATE_BYTES } from "../../src/store/shared_state.ts";
import { linkSharedState, openSharedState, takeLock } from "../../src/was/shared.ts";

Deno.test("IPC-05 OPS-22 a lock whose worker has stood still for too long is given back to the cluster all the same", async () => {
  const memory = createShared(1, STATE_BYTES);
  using _worker = openSharedState(memory, 0);
  using other = new SharedState(memory, behindCounters(memory));
  let unlocked = 0;
  linkSharedState({
    updated: () => {},
    assigned: () => {},
    lock: () => Promise.resolve(() => void unlocked++),
  });
  const { now } = Date;
  try {
    const lock = await takeLock("x");
    Date.now = () => now() + 60_000;
    const theirs = await other.lock("x");
    assert.equal(lock.held, false, "taken over");
    lock.release();
    lock.release();
    assert.deepEqual([unlocked, theirs.held], [1, true]);
    theirs.release();
  } finally {
    Date.now = now;
    linkSharedState(undefined);
  }
});

Deno.test("IPC-05 a lock with options that would not be heeded is refused", async () => {
  const take = (options: unknown) => takeLock("options", options as { timeoutMs?: number });
  await assert.rejects(
    take({ timeout: 1 }),
    /Cannot lock options: unknown option "timeout"; known/,
  );
  for (const timeoutMs of [-1, NaN, "5"]) await assert.rejects(take({ timeoutMs }), RangeError);
  (await take({ timeoutMs: 0 })).release();
});
