import assert from "node:assert/strict";
import { Backoff } from "../../../src/server/supervision/backoff.ts";

Deno.test("SRV-05 a failed start waits 1, 2, 4 … 30 seconds", () => {
  const backoff = new Backoff();
  const waits = Array.from({ length: 7 }, () => backoff.next(0));
  assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
});

Deno.test("SRV-05 single deaths in service are answered at once, a row of them is a loop", () => {
  const backoff = new Backoff();
  assert.deepEqual([1, 500, 10_000].map((ms) => backoff.next(ms)), [0, 0, 0]);
  assert.deepEqual([1, 500].map((ms) => backoff.next(ms)), [1000, 2000]);
  assert.equal(backoff.next(60_000), 0, "who served a minute is not in a loop");
  assert.equal(backoff.next(0), 1000);
});
