import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { PoolExhaustedError } from "../../src/core/errors.ts";
import { Pool, type Poolable } from "../../src/net/pool.ts";

class FakeConnection implements Poolable {
  usable = true;
  closed = false;
  expiresAt = Number.POSITIVE_INFINITY;
  onDead: (() => void) | undefined;
  park(onDead: () => void): void {
    this.onDead = onDead;
  }
  unpark(): void {
    this.onDead = undefined;
  }
  close(): void {
    this.closed = true;
    this.usable = false;
  }
}

const never = new AbortController().signal;

function pool(options: { max?: number; maxWaiting?: number; idleSeconds?: number } = {}) {
  const opened: FakeConnection[] = [];
  const made = new Pool<FakeConnection>({
    name: "peer",
    max: options.max,
    maxWaiting: options.maxWaiting,
    idleSeconds: () => options.idleSeconds ?? 60,
    open: () => {
      const connection = new FakeConnection();
      opened.push(connection);
      return Promise.resolve(connection);
    },
  });
  return { pool: made, opened };
}

Deno.test("WAS-22 a released connection is used again, the newest first", async () => {
  const { pool: p, opened } = pool();
  const [a, b] = [await p.lease(never), await p.lease(never)];
  deepEqual([a.reused, b.reused, p.open, p.busy], [false, false, 2, 2]);
  p.release(a.connection);
  p.release(b.connection);
  deepEqual([p.open, p.busy], [2, 0]);
  const again = await p.lease(never);
  ok(again.reused && again.connection === b.connection);
  equal(opened.length, 2);
  await p[Symbol.asyncDispose]();
  ok(opened.every((one) => one.closed));
});

Deno.test("WAS-21 a connection that was idle for too long, or that expires, is not reused", async () => {
  const old = pool({ idleSeconds: 0 });
  const first = await old.pool.lease(never);
  old.pool.release(first.connection);
  equal((await old.pool.lease(never)).reused, false);
  ok(first.connection.closed);

  const announced = pool();
  const lease = await announced.pool.lease(never);
  lease.connection.expiresAt = performance.now() - 1;
  announced.pool.release(lease.connection);
  announced.pool.maintain();
  ok(lease.connection.closed);
  equal(announced.pool.open, 0);
  await old.pool[Symbol.asyncDispose]();
});

Deno.test("WAS-22 maintain keeps what is still fresh", async () => {
  const { pool: p } = pool();
  const { connection } = await p.lease(never);
  p.release(connection);
  p.maintain();
  equal(p.open, 1);
  await p[Symbol.asyncDispose]();
});

Deno.test("WAS-21 a connection that dies while idle leaves at once", async () => {
  const { pool: p } = pool();
  const { connection } = await p.lease(never);
  p.release(connection);
  connection.onDead!();
  deepEqual([p.open, connection.closed], [0, true]);
});

Deno.test("WAS-22 at its limit a pool lets requests wait, in order", async () => {
  const { pool: p, opened } = pool({ max: 1 });
  const first = await p.lease(never);
  const order: number[] = [];
  const second = p.lease(never).then((lease) => (order.push(2), lease));
  const third = p.lease(never).then((lease) => (order.push(3), lease));
  await Promise.resolve();
  equal(p.load, 3);
  p.release(first.connection);
  const two = await second;
  ok(two.reused);
  two.connection.usable = false;
  p.release(two.connection);
  const three = await third;
  ok(!three.reused);
  deepEqual(order, [2, 3]);
  equal(opened.length, 2);
  await p[Symbol.asyncDispose]();
});

Deno.test("WAS-22 who waits for too long or among too many is told", async () => {
  const { pool: p } = pool({ max: 1, maxWaiting: 1 });
  const { connection } = await p.lease(never);
  const abort = new AbortController();
  const waiting = p.lease(abort.signal);
  await rejects(p.lease(never), (error) => {
    ok(error instanceof PoolExhaustedError);
    equal(error.message, "Cannot lease a connection to peer: 1 of 1 busy, 1 waiting");
    return true;
  });
  const gaveUp = rejects(waiting, { message: "enough" });
  abort.abort(new Error("enough"));
  await gaveUp;
  p.release(connection);
  equal((await p.lease(never)).reused, true);
  await p[Symbol.asyncDispose]();
});

Deno.test("WAS-22 who gives up in the moment it is his turn leaves it to the next", async () => {
  for (const usable of [true, false]) {
    const { pool: p } = pool({ max: 1 });
    const { connection } = await p.lease(never);
    const abort = new AbortController();
    const gaveUp = rejects(p.lease(abort.signal), { message: "enough" });
    const next = p.lease(never);
    connection.usable = usable;
    p.release(connection);
    abort.abort(new Error("enough"));
    await gaveUp;
    // without a place he would wait for ever
    p.release((await next).connection);
    deepEqual([p.open, p.busy], [1, 0]);
    await p[Symbol.asyncDispose]();
  }
});

Deno.test("WAS-22 a failure to open frees its place for who waits", async () => {
  let fail = true;
  const p = new Pool<FakeConnection>({
    name: "peer",
    max: 1,
    idleSeconds: () => 60,
    open: async () => {
      await Promise.resolve();
      if (fail) throw new Error("refused");
      return new FakeConnection();
    },
  });
  const first = p.lease(never);
  const second = p.lease(never);
  const refused = rejects(first, { message: "refused" });
  queueMicrotask(() => queueMicrotask(() => fail = false));
  await refused;
  fail = false;
  equal((await second).reused, false);
  await p[Symbol.asyncDispose]();
});

Deno.test("WAS-22 a closed pool closes what is leased, refuses, and waits for what is opening", async () => {
  let open!: (connection: FakeConnection) => void;
  const p = new Pool<FakeConnection>({
    name: "peer",
    idleSeconds: () => 60,
    open: () => new Promise((resolve) => open = resolve),
  });
  const lease = p.lease(never);
  const failed = rejects(lease, /pool is closed/);
  const end = p[Symbol.asyncDispose]();
  const late = new FakeConnection();
  open(late);
  await end;
  await failed;
  ok(late.closed);
  await rejects(p.lease(never), /pool is closed/);
});
