import assert from "node:assert/strict";
import {
  currentThread,
  parseStat,
  threadSeconds,
} from "../../../src/server/supervision/cpu_time.ts";
import { CriticalPointWatch } from "../../../src/server/supervision/critical_point.ts";
import { LIMIT_MS } from "../../_support/service_process.ts";

const quiet = { log: () => {}, trace: () => {} };

function watch(shares: readonly number[], lines: string[] = []) {
  const overloaded: number[] = [];
  let seconds = 0;
  const point = { cpuPercent: 90, continuous: 3, interval: 20 };
  const watched = new CriticalPointWatch({
    point,
    log: { log: (text) => void lines.push(text), trace: () => {} },
    workers: () => [{ index: 0, name: "worker #0", tid: 7 }],
    overloaded: (_worker, percent) => overloaded.push(Math.round(percent)),
    read: () => seconds,
  });
  watched.sample(0);
  shares.forEach((share, i) => {
    seconds += share / 100 * point.interval;
    watched.sample((i + 1) * point.interval * 1000);
  });
  return overloaded;
}

Deno.test("SRV-24 a worker at or above the limit for three samples in a row is overloaded", () => {
  assert.deepEqual(watch([95, 95]), []);
  assert.deepEqual(watch([95, 90, 100]), [100]);
  assert.deepEqual(watch([95, 95, 95, 95, 95, 95]), [95, 95], "the count starts again after it");
});

Deno.test("SRV-25 one sample below the limit resets the counter, and a notable load is logged", () => {
  assert.deepEqual(watch([95, 95, 89, 95, 95]), []);
  const lines: string[] = [];
  watch([5, 50], lines);
  assert.deepEqual(lines, ["average load of 1 worker(s): 50.0 %"]);
});

Deno.test("SRV-25 processor time of threads comes from the system", {
  ignore: Deno.build.os !== "linux",
}, () => {
  const before = threadSeconds(currentThread())!;
  // A busy machine may keep a thread waiting for longer than it works.
  for (const end = performance.now() + LIMIT_MS; threadSeconds(currentThread()) === before;) {
    assert.ok(performance.now() < end, "the time of this thread does not grow");
  }
  assert.ok(threadSeconds(currentThread())! > before);
  assert.equal(parseStat("7 (wor) ker-1) R 1 2 3 4 5 6 7 8 9 10 150 50 0 0"), 2);
  assert.equal(threadSeconds(2 ** 30), undefined, "a thread that is gone");
});

Deno.test("SRV-25 where the system does not tell, a line says so", () => {
  const lines: string[] = [];
  new CriticalPointWatch({
    point: { cpuPercent: 90, continuous: 3, interval: 20 },
    log: { ...quiet, log: (text) => void lines.push(text) },
    workers: () => [{ index: 0, name: "worker #0", tid: 0 }],
    overloaded: () => assert.fail("nothing is known"),
    read: () => undefined,
  }).start();
  assert.deepEqual(lines, [
    "the load of workers cannot be read here; no critical point is watched",
  ]);
});
