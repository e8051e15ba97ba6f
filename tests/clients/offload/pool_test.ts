import assert from "node:assert/strict";
import { OffloadPool, ThreadCrashError } from "../../../src/clients/offload/pool.ts";
import { PoolExhaustedError } from "../../../src/core/errors.ts";
import { until } from "../../_support/raw_backend.ts";

const jobs = new URL("../../_support/offload_jobs.ts", import.meta.url);

/** A cell to hold threads with: [0] lets them go, [1] counts those that wait. */
function gate(): { cell: Int32Array; open(): void; reached(n: number): Promise<void> } {
  const cell = new Int32Array(new SharedArrayBuffer(8));
  return {
    cell,
    open() {
      Atomics.store(cell, 0, 1);
      Atomics.notify(cell, 0);
    },
    async reached(n) {
      for (;;) {
        const now = Atomics.load(cell, 1);
        if (now >= n) return;
        const wait = Atomics.waitAsync(cell, 1, now, 10_000);
        if (wait.async && await wait.value === "timed-out") {
          throw new Error("threads are not there");
        }
      }
    },
  };
}

Deno.test("SRV-07 offload runs an exported function in another isolate and clones its values", async () => {
  await using pool = new OffloadPool({ threads: 2 });
  assert.deepEqual(pool.stats(), { open: 0, busy: 0 }, "nothing starts before first use");
  assert.equal(await pool.run(jobs, "add", [2, 3]), 5);
  assert.deepEqual(
    await pool.run(jobs.href, "default", [new Uint8Array([1, 2])]),
    new Uint8Array([0, 3]),
  );
  const here = (globalThis as { __isolate?: string }).__isolate ??= "main";
  assert.notEqual(await pool.run(jobs, "where"), here);
  assert.deepEqual(pool.stats(), { open: 1, busy: 0 }, "jobs in turn need one thread");
});

Deno.test("SRV-07 at most `threads` jobs run at once, the others wait in order", async () => {
  await using pool = new OffloadPool({ threads: 2 });
  const { cell, open, reached } = gate();
  const running = [1, 2, 3, 4].map(() => pool.run(jobs, "block", [cell]));
  await reached(2);
  assert.deepEqual(pool.stats(), { open: 2, busy: 2 });
  assert.equal(pool.waiting, 2);
  assert.equal(Atomics.load(cell, 1), 2);
  open();
  const isolates = await Promise.all(running) as string[];
  assert.equal(new Set(isolates).size, 2);
});

Deno.test("SRV-07 the event loop goes on while a job blocks its thread", async () => {
  await using pool = new OffloadPool({ threads: 1 });
  const { cell, open, reached } = gate();
  const job = pool.run(jobs, "block", [cell]);
  await reached(1);
  // The job ends only after a hundred turns of this loop: were it blocked, the job would never end.
  let ticks = 0;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      if (++ticks < 100) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  assert.equal(pool.stats().busy, 1);
  open();
  await job;
});

Deno.test("SRV-07 errors cross with class, code, fields and cause", async () => {
  await using pool = new OffloadPool({ threads: 1 });
  await assert.rejects(
    pool.run(jobs, "fail", ["too far"]),
    (error: Error & { code?: string; tries?: number }) => {
      assert.ok(error instanceof RangeError);
      assert.equal(error.message, "too far");
      assert.equal(error.code, "E_TEST");
      assert.equal(error.tries, 3);
      assert.ok(error.cause instanceof TypeError);
      assert.match(error.stack ?? "", /offload_jobs\.ts/);
      return true;
    },
  );
  await assert.rejects(pool.run(jobs, "failAll"), (error: AggregateError) => {
    assert.ok(error instanceof AggregateError);
    assert.deepEqual({ ...error }, { issues: [{ path: ["a"] }] });
    assert.ok(error.errors[0] instanceof TypeError);
    assert.match(error.errors[1].message, /two/);
    return true;
  });
  await assert.rejects(pool.run(jobs, "missing"), /exports no such function; it exports .*add/);
  await assert.rejects(pool.run(jobs, "constant"), /exports no such function/);
  await assert.rejects(pool.run(new URL("nowhere.ts", jobs), "x"), /nowhere\.ts/);
  await assert.rejects(pool.run(jobs, "closure"), /result of the job: it cannot be cloned/);
  await assert.rejects(pool.run(jobs, "add", [() => 1]), /an argument cannot be cloned/);
  assert.equal(await pool.run(jobs, "add", [1, 1]), 2, "the thread survives all of that");
  assert.deepEqual(pool.stats(), { open: 1, busy: 0 });
  assert.throws(() => pool.run("./relative.ts", "x"), TypeError);
  assert.throws(() => pool.run(jobs, ""), TypeError);
  assert.throws(() => new OffloadPool({ threads: -1 }), RangeError);
});

Deno.test("SRV-07 a crashed thread fails its job with the reason and is replaced", async () => {
  const lines: string[] = [];
  const log = {
    log: (text: string) => void lines.push(text),
    trace: (e: unknown) => void lines.push(String(e)),
  };
  await using pool = new OffloadPool({ threads: 1, log });
  for (
    const [fn, reason] of [["crash", /out of the blue/], ["crashLater", /late rejection/], [
      "exit",
      /Deno\.exit\(3\)/,
    ]] as const
  ) {
    const waiting = [pool.run(jobs, fn), pool.run(jobs, "add", [1, 2])];
    await assert.rejects(waiting[0]!, (error: Error) => {
      assert.ok(error instanceof ThreadCrashError);
      assert.equal(error.code, "THREAD_CRASH");
      assert.match(error.message, reason);
      assert.match(error.message, new RegExp(`${fn} of file:`));
      return true;
    });
    assert.equal(await waiting[1], 3, "the next job gets a new thread");
  }
  assert.equal(pool.crashes, 3);
});

Deno.test("SRV-07 a full queue and a long wait are PoolExhaustedError", async () => {
  await using pool = new OffloadPool({ threads: 1, maxQueue: 1, queueTimeoutMs: 50 });
  const { cell, open, reached } = gate();
  const first = pool.run(jobs, "block", [cell]);
  const second = pool.run(jobs, "add", [1, 1]);
  const expired = assert.rejects(second, (error: Error) => {
    assert.ok(error instanceof PoolExhaustedError);
    assert.match(error.message, /it waited 50 ms, 1 of 1 threads busy/);
    return true;
  });
  await assert.rejects(pool.run(jobs, "add", [1, 1]), (error: Error) => {
    assert.ok(error instanceof PoolExhaustedError);
    assert.match(error.message, /1 jobs are waiting already/);
    return true;
  });
  await reached(1);
  await expired;
  open();
  await first;
});

Deno.test("SRV-07 a job that is given up leaves the queue, or is replaced by another thread", async () => {
  await using pool = new OffloadPool({ threads: 1 });
  const { cell, open, reached } = gate();
  const abort = new AbortController();
  const running = pool.run(jobs, "block", [cell], { signal: abort.signal });
  await reached(1);
  const queued = new AbortController();
  const waiting = pool.run(jobs, "add", [1, 1], { signal: queued.signal });
  queued.abort(new Error("not needed"));
  await assert.rejects(waiting, /not needed/);
  assert.equal(pool.waiting, 0);
  abort.abort(new Error("too long"));
  await assert.rejects(running, /too long/);
  assert.equal(await pool.run(jobs, "add", [2, 2]), 4, "another thread works meanwhile");
  assert.deepEqual(pool.stats(), { open: 2, busy: 1 });
  // No more than twice as many: the second one given up leaves nobody to work.
  const again = new AbortController();
  const second = pool.run(jobs, "block", [cell], { signal: again.signal });
  await reached(2);
  again.abort(new Error("too long"));
  await assert.rejects(second, /too long/);
  const third = pool.run(jobs, "add", [3, 3]);
  assert.equal(pool.waiting, 1);
  open();
  assert.equal(await third, 6);
  await assert.rejects(
    pool.run(jobs, "add", [1, 1], { signal: AbortSignal.abort(new Error("before")) }),
    /before/,
  );
});

Deno.test("SRV-07 idle threads end, and disposing ends the rest", async () => {
  const pool = new OffloadPool({ threads: 2, idleMs: 0, closeMs: 200 });
  await pool.run(jobs, "add", [1, 1]);
  pool.maintain();
  assert.deepEqual(pool.stats(), { open: 0, busy: 0 });
  const { cell, open, reached } = gate();
  const held = [pool.run(jobs, "block", [cell]), pool.run(jobs, "block", [cell])];
  const queued = pool.run(jobs, "add", [1, 1]);
  const outcomes = Promise.allSettled([...held, queued]);
  await reached(2);
  await pool[Symbol.asyncDispose]();
  for (const outcome of await outcomes) {
    assert.equal(outcome.status, "rejected");
    assert.match(String((outcome as PromiseRejectedResult).reason), /pool closed/);
  }
  await assert.rejects(pool.run(jobs, "add", [1, 1]), /pool closed/);
  open();
});

Deno.test("SRV-07 a thread that ends itself while it is asked to is not waited for", async () => {
  const pool = new OffloadPool({ threads: 1, idleMs: 0, closeMs: 60_000 });
  const { cell, open, reached } = gate();
  await pool.run(jobs, "exitLater", [cell]);
  await reached(1);
  pool.maintain();
  open();
  let isClosed = false;
  const closing = pool[Symbol.asyncDispose]().then(() => isClosed = true);
  await until("it is closed", () => isClosed);
  await closing;
});

Deno.test("SRV-08 with threads: 0 jobs run on the event loop", async () => {
  await using pool = new OffloadPool({ threads: 0 });
  const isolate = ((globalThis as { __isolate?: string }).__isolate ??= "main");
  assert.equal(await pool.run(jobs, "where"), isolate);
  assert.equal(await pool.run(jobs, "add", [2, 3]), 5);
  await assert.rejects(pool.run(jobs, "fail", ["too far"]), RangeError);
  await assert.rejects(pool.run(jobs, "missing"), /exports no such function/);
  const abort = new AbortController();
  const never = pool.run(jobs, "never", [], { signal: abort.signal });
  assert.equal(pool.stats().busy, 1);
  abort.abort(new Error("too long"));
  await assert.rejects(never, /too long/);
  assert.deepEqual(pool.stats(), { open: 0, busy: 0 });
});
