import { deepEqual, equal, ok } from "node:assert/strict";
import { Deadline } from "../../src/core/deadline.ts";
import { ReportedErrors } from "../_support/reported_errors.ts";

/** Deadlines by name, and the order in which they end. */
function recorder() {
  const ended: string[] = [];
  const waiting = new Map<string, () => void>();
  return {
    ended,
    make: (name: string, also?: () => void) =>
      new Deadline({
        expire: () => {
          ended.push(name);
          waiting.get(name)?.();
          also?.();
        },
      }),
    until: (name: string) =>
      ended.includes(name)
        ? Promise.resolve()
        : new Promise<void>((resolve) => waiting.set(name, resolve)),
  };
}

/** Lets timers that are due run. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

Deno.test("RES-17 limits of one length end in the order in which they are due", async () => {
  const { ended, make, until } = recorder();
  const now = performance.now();
  const [a, b, c, never] = ["a", "b", "c", "never"].map((name) => make(name));
  b!.set(now + 5, 20);
  never!.set(now + 5, 20);
  a!.set(now, 20);
  c!.set(now + 10, 20);
  equal(a!.dueAt, now + 20);
  never!.clear();
  never!.clear();
  await until("c");
  deepEqual(ended, ["a", "b", "c"]);
  equal(a!.aborted, false, "whose time is over decides what becomes of it");
});

Deno.test("RES-17 one that is set late, for a request made early, ends nobody before his time", async () => {
  const { ended, make, until } = recorder();
  const start = performance.now();
  const early = make("early");
  // the timer is being looked at when it is put before those that wait
  const first = make("first", () => early.set(start + 20, 40));
  const far = make("far");
  first.set(start, 40);
  far.set(start + 600_000, 40);
  await until("early");
  await turn();
  deepEqual(ended, ["first", "early"]);
  far.clear();
});

Deno.test("RES-17 another limit replaces the one before", async () => {
  const { ended, make, until } = recorder();
  const now = performance.now();
  const shorter = make("shorter");
  shorter.set(now, 600_000);
  shorter.set(now, 10);
  const longer = make("longer");
  longer.set(now, 10);
  longer.set(now, 600_000);
  const same = make("same");
  same.set(now, 15);
  same.set(now, 15);
  const past = make("past");
  past.set(now - 1000, 1);
  for (const name of ["past", "shorter", "same"]) await until(name);
  await turn();
  // each length has a timer of its own
  deepEqual(ended.toSorted(), ["past", "same", "shorter"]);
  longer.clear();
});

Deno.test("RES-17 one that is set again when it ends begins anew", async () => {
  const { ended, make } = recorder();
  await new Promise<void>((resolve) => {
    let times = 0;
    const again: Deadline = make("again", () => {
      if (++times === 3) resolve();
      else again.set(performance.now(), 7);
    });
    again.set(performance.now(), 7);
  });
  await turn();
  deepEqual(ended, ["again", "again", "again"]);
});

Deno.test("RES-17 one that is set again among others has all of its new time", async () => {
  const { ended, make, until } = recorder();
  const now = performance.now();
  const [postponed, other] = ["postponed", "other"].map((name) => make(name));
  const far = make("far");
  postponed!.set(now, 15);
  far.set(now + 600_000, 15);
  // the timer was set for this one
  postponed!.set(now + 300_000, 15);
  other!.set(now + 5, 15);
  other!.clear();
  other!.set(now + 5, 15);
  await until("other");
  await turn();
  let times = 0;
  const again: Deadline = make("again", () => {
    if (++times < 3) again.set(performance.now() + 200_000, 15);
  });
  again.set(performance.now() - 15, 15);
  await until("again");
  await turn();
  deepEqual(ended, ["other", "again"]);
  for (const one of [postponed!, far, again]) one.clear();
});

Deno.test("RES-17 one that ends may take away others that are due as well", async () => {
  const { ended, make, until } = recorder();
  const now = performance.now();
  const second = make("second");
  const first = make("first", () => second.clear());
  first.set(now, 12);
  second.set(now, 12);
  const last = make("last");
  last.set(now + 3, 12);
  await until("last");
  deepEqual(ended, ["first", "last"]);
});

Deno.test("RES-17 an owner that throws does not keep others from their end", async () => {
  const { ended, make, until } = recorder();
  using errors = new ReportedErrors();
  const now = performance.now();
  const bad = make("bad", () => {
    throw new Error("in an owner");
  });
  bad.set(now, 13);
  make("good").set(now, 13);
  await until("good");
  deepEqual(ended, ["bad", "good"]);
  deepEqual(errors.seen.map(String), ["Error: in an owner"]);
});

Deno.test("RES-17 thousands that come and go in any order all end, or do not", async () => {
  const { ended, make, until } = recorder();
  const now = performance.now();
  const all = Array.from({ length: 5000 }, (_, i) => {
    const one = make(String(i));
    one.set(now - (i * 7919) % 100, 200);
    return one;
  });
  all.forEach((one, i) => i % 2 === 1 && one.clear());
  await until("0");
  equal(ended.length, 2500);
  ok(ended.every((name) => Number(name) % 2 === 0));
  const due = ended.map((name) => all[Number(name)]!.dueAt);
  deepEqual(due, due.toSorted((a, b) => a - b));
});
