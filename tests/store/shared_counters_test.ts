import assert from "node:assert/strict";
import type { FrontCounters } from "../../src/server/front.ts";
import { createShared, openCounters } from "../../src/store/shared_counters.ts";

interface Numbers {
  readonly requests: number[];
  readonly connections: number[];
}

function count(buffer: SharedArrayBuffer, worker: number, rounds: number): Promise<Numbers> {
  const url = new URL("./shared_counters_worker.ts", import.meta.url);
  const thread = new Worker(url, { type: "module" });
  return new Promise<Numbers>((resolve, reject) => {
    thread.onmessage = (event) => resolve(event.data);
    thread.onerror = (event) => reject(new Error(event.message));
    thread.postMessage({ buffer, worker, rounds });
  }).finally(() => thread.terminate());
}

Deno.test("IPC-06 TXN-01 workers count together: sums are exact and no number is given twice", async () => {
  const buffer = createShared(4);
  const master = openCounters(buffer, 3);
  // Two of them share number 1, as a worker and its successor do while the first one drains.
  const all = await Promise.all([0, 1, 1].map((worker) => count(buffer, worker, 20_000)));

  const { total, workers } = master.status();
  assert.deepEqual(total, {
    connections: 6_000,
    requests: 60_000,
    bytesIn: 180_000,
    bytesOut: 60_000 * 2 ** 31,
    exceptions: 600,
    zombies: 300,
  });
  assert.deepEqual([...workers.keys()], [0, 1, 3]);
  assert.equal(workers.get(0)?.requests, 20_000);
  assert.equal(workers.get(1)?.requests, 40_000);
  assert.equal(workers.get(3)?.requests, 0);

  const requests = all.flatMap((numbers) => numbers.requests);
  const connections = all.flatMap((numbers) => numbers.connections);
  assert.equal(new Set(requests).size, 60_000);
  assert.equal(new Set(connections).size, 6_000);
  assert.equal(Math.min(...connections), 1);
});

Deno.test("IPC-06 one worker numbers its connections and requests from 1 without gaps", () => {
  const counters: FrontCounters = openCounters(createShared());
  assert.deepEqual(
    Array.from({ length: 1000 }, () => counters.nextRequest()),
    Array.from({ length: 1000 }, (_, index) => index + 1),
  );
  assert.equal(counters.nextConnection(), 1);
  assert.equal(counters.nextConnection(), 2);
});

Deno.test("IPC-06 a successor of a worker goes on counting where that one stopped", () => {
  const buffer = createShared(1);
  const first = openCounters(buffer, 0);
  first.nextRequest();
  first.exception();
  const second = openCounters(buffer, 0);
  assert.notEqual(second.nextRequest(), 1);
  assert.equal(second.status().total.requests, 2);
  assert.equal(second.status().total.exceptions, 1);
});

Deno.test("IPC-06 counters refuse memory and worker numbers they were not made for", () => {
  assert.throws(() => createShared(0), RangeError);
  assert.throws(() => openCounters(createShared(2), 2), /there are 2 rows/);
  assert.throws(() => openCounters(new SharedArrayBuffer(256)), TypeError);
  assert.throws(() => openCounters(new SharedArrayBuffer(7)), TypeError);
});
