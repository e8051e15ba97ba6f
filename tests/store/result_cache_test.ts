import assert from "node:assert/strict";
import { Flight, ResultCache } from "../../src/store/result_cache.ts";

Deno.test("CACHE-06 CACHE-12 entries live for their time, and a later request is not replaced by an earlier one", () => {
  let now = 1_000_000;
  const cache = new ResultCache<string, string>(() => now);
  assert.equal(cache.active, false);
  cache.put("a", "one", now, 10);
  assert.equal(cache.active, true);
  assert.equal(cache.get("a"), "one");
  cache.put("a", "older", now - 5, 100);
  assert.equal(cache.get("a"), "one");
  now += 10_000;
  assert.equal(cache.get("a"), undefined);
  assert.equal(cache.knows("a"), true, "expired, but known to be worth sharing");
  cache.put("a", "two", now, 10);
  assert.equal(cache.get("a"), "two");
  cache.put("a", "", now, 0);
  assert.equal(cache.knows("a"), false);
});

Deno.test("CACHE-11 an entry requested before a change is dropped, also in the same millisecond", () => {
  const cache = new ResultCache<string, string>(() => 500);
  cache.put("a", "one", 100, 10);
  assert.equal(cache.get("a", 99), "one");
  assert.equal(cache.get("a", 100), undefined);
  assert.equal(cache.get("a"), undefined, "it is gone for everybody");
});

Deno.test("CACHE-10 a full cache drops what has expired, else the fifth closest to its end", () => {
  let now = 1_000_000;
  const cache = new ResultCache<string, number>(() => now);
  cache.setMax(10);
  for (let i = 0; i < 10; i++) cache.put(`k${i}`, i, now, 100 - i);
  cache.put("more", 1, now, 50);
  assert.deepEqual([8, 9].map((i) => cache.knows(`k${i}`)), [false, false]);
  assert.equal(cache.status.entries, 9);
  now += 94_000;
  cache.put("x", 1, now, 1);
  cache.put("y", 1, now, 1);
  assert.ok(cache.status.entries <= 10);
  assert.equal(cache.get("k0"), 0, "what still lives stays while the expired go");
  cache.setMax(1);
  assert.equal(cache.status.entries, 1);
  cache.setMax(0);
  cache.put("z", 1, now, 1);
  assert.equal(cache.status.entries, 0);
  assert.throws(() => cache.setMax(-1), RangeError);
  assert.throws(() => cache.setMax(1.5), RangeError);
});

Deno.test("CACHE-06 a shared request is given up when the last caller has gone", async () => {
  const cache = new ResultCache<string, string>(() => 1000);
  const answer = Promise.withResolvers<string>();
  const abort = new AbortController();
  const flight = new Flight<string, string>(answer.promise, 1000, abort);
  cache.share("a", flight);
  assert.equal(cache.join("a", 1000), undefined, "it was made before the change");
  assert.equal(cache.join("a"), flight);
  flight.leave("first");
  assert.equal(abort.signal.aborted, false);
  flight.leave("second");
  assert.equal(abort.signal.reason, "second");
  assert.equal(cache.join("a"), undefined, "given up");
  answer.resolve("late");
  await answer.promise;
  await Promise.resolve();
  const next = new Flight<string, string>(Promise.resolve("x"), 1000, new AbortController());
  cache.share("a", next);
  await next.answer;
  await Promise.resolve();
  assert.equal(cache.join("a"), undefined, "over");
  assert.equal(cache.status.shared, 1);
});
