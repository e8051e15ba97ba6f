import assert from "node:assert/strict";
import { SharedState, STATE_BYTES } from "../../src/store/shared_state.ts";

Deno.test("CACHE-14 IPC-01 keys are found by name, whatever order they are declared in", () => {
  const buffer = new SharedArrayBuffer(STATE_BYTES + 64);
  using one = new SharedState(buffer, 64);
  using two = new SharedState(buffer, 64);
  one.declare("a");
  one.declare("b");
  two.declare("b");
  one.set("b", -3);
  assert.equal(two.get("b"), -3);
  assert.equal(two.get("a"), undefined, "not declared there");
  two.declare("a");
  assert.equal(two.get("a"), 0);
  two.declare("Größe");
  assert.deepEqual(one.keys(), ["a", "b", "Größe"]);
  assert.equal(one.raise("a", 10), 10);
  assert.equal(two.raise("a", 5), 10, "never back");
  assert.equal(two.add("a", 5), 15);
  assert.equal(one.startedAt, two.startedAt);
  assert.throws(() => one.set("c", 1), /not declared/);
  assert.throws(() => one.declare(""), TypeError);
  assert.throws(() => one.declare("x".repeat(200)), /1 to 116 bytes/);
});

Deno.test("IPC-01 a full table of keys says so", () => {
  using state = new SharedState();
  for (let i = 0; i < 1024; i++) state.declare(`key ${i}`);
  assert.throws(() => state.declare("one more"), /1024 keys already/);
  state.declare("key 7");
});

Deno.test("IPC-05 a lock is waited for in order, with a deadline and a signal", async () => {
  const buffer = new SharedArrayBuffer(STATE_BYTES);
  using one = new SharedState(buffer);
  using two = new SharedState(buffer);
  const order: string[] = [];
  const first = await one.lock("x");
  assert.equal(first.held, true);
  const waiting = ["a", "b", "c"].map(async (name) => {
    await using _lock = await two.lock("x");
    order.push(name);
  });
  const elsewhere = await two.lock("y", { timeoutMs: 1 });
  elsewhere.release();
  await assert.rejects(one.lock("x", { timeoutMs: 20 }), { name: "TimeoutError" });
  const gone = new AbortController();
  const given = one.lock("x", { signal: gone.signal });
  gone.abort(new Error("gone"));
  await assert.rejects(given, /gone/);
  assert.deepEqual(order, []);
  first.release();
  first.release();
  assert.equal(first.held, false);
  await Promise.all(waiting);
  assert.deepEqual(order, ["a", "b", "c"]);
  await (await one.lock("x", { timeoutMs: 1000 }))[Symbol.asyncDispose]();
});

Deno.test("IPC-05 the lock of a worker that died is taken over, and its ghost cannot release it", async () => {
  const buffer = new SharedArrayBuffer(STATE_BYTES);
  using dead = new SharedState(buffer);
  using alive = new SharedState(buffer);
  const now = Date.now;
  try {
    Date.now = () => now() - 16_000;
    const ghost = await dead.lock("x");
    Date.now = now;
    const lock = await alive.lock("x", { timeoutMs: 5000 });
    assert.equal(ghost.held, false);
    ghost.release();
    assert.equal(lock.held, true);
    lock.release();
  } finally {
    Date.now = now;
  }
});

Deno.test("IPC-05 what a worker held whose end is known is free at once", async () => {
  const buffer = new SharedArrayBuffer(STATE_BYTES);
  using dead = new SharedState(buffer, 0, 1);
  using alive = new SharedState(buffer, 0, 2);
  const ghosts = [await dead.lock("x"), await dead.lock("y")];
  const kept = await alive.lock("z");
  // a lease lasts fifteen seconds
  const waiting = ["x", "y"].map((name) => alive.lock(name, { timeoutMs: 5000 }));
  new SharedState(buffer).releaseAllOf(1);
  const locks = await Promise.all(waiting);
  for (const ghost of ghosts) {
    assert.equal(ghost.held, false);
    ghost.release();
  }
  assert.deepEqual([...locks, kept].map(({ held }) => held), [true, true, true]);
});

Deno.test("IPC-05 more names than places is an error, and places are used again", async () => {
  using state = new SharedState();
  const locks = await Promise.all(Array.from({ length: 256 }, (_, i) => state.lock(`name ${i}`)));
  await assert.rejects(state.lock("one more"), /256 names are locked/);
  for (const lock of locks) lock.release();
  (await state.lock("one more")).release();
});
