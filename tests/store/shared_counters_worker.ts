/** A worker that counts as often as it is told, and reports the numbers it was given. */
import { openCounters } from "../../src/store/shared_counters.ts";

interface Job {
  readonly buffer: SharedArrayBuffer;
  readonly worker: number;
  readonly rounds: number;
}

addEventListener("message", (event) => {
  const { buffer, worker, rounds } = (event as MessageEvent<Job>).data;
  const counters = openCounters(buffer, worker);
  const requests: number[] = [];
  const connections: number[] = [];
  for (let round = 0; round < rounds; round++) {
    if (round % 10 === 0) connections.push(counters.nextConnection());
    requests.push(counters.nextRequest());
    counters.received(3);
    // Far beyond 32 bits in total, as bytes of a busy server are.
    counters.sent(2 ** 31);
    if (round % 100 === 0) counters.exception();
    if (round % 200 === 0) counters.zombie();
  }
  (self as unknown as { postMessage(data: unknown): void }).postMessage({ requests, connections });
});
