import assert from "node:assert/strict";
import { mock } from "node:test";
import { BackendError } from "../../src/core/errors.ts";
import { Balancer, type BalancerOptions } from "../../src/net/balancer.ts";
import { type Attempt, deliver, type Delivery, isMemberFault } from "../../src/net/deliver.ts";

interface Member {
  readonly node: string;
  readonly database: string;
  readonly weight: number;
}

const OK: Attempt = { status: 3, statusCode: 200 };
const BROKEN: Attempt = {
  status: 2,
  statusCode: 700,
  error: new BackendError("broke off", 700),
};
const REFUSED: Attempt = { ...BROKEN, statusCode: 714, undelivered: true };
const LATE: Attempt = { status: 1, statusCode: 730 };

/** Members `a`, `b` … that answer as told; notes whom was asked. */
function group(names: string, options: BalancerOptions = {}, now?: () => number) {
  const members = [...names].map((node) => ({ node, database: "", weight: 1 }));
  const balancer = new Balancer<Member>("@test", members, options, now);
  const asked: string[] = [];
  const send = async (
    answer: (node: string, attempt: number) => Attempt | Promise<Attempt>,
    more: Partial<Delivery<Member, Attempt>> = {},
    signal: AbortSignal = new AbortController().signal,
  ) => {
    const delivery: Delivery<Member, Attempt> = {
      ask: async (member) => {
        asked.push(member.node);
        return await answer(member.node, asked.length);
      },
      unavailable: (error) => ({ status: 2, statusCode: error.statusCode, error }),
      repeatable: true,
      attempts: 0,
      ...more,
    };
    const outcome = await deliver(balancer, delivery, signal);
    return { outcome, attempts: delivery.attempts };
  };
  return { balancer, asked, send };
}

Deno.test("WAS-20 OPS-04 each other member is tried once, until one answers", async () => {
  const { asked, send } = group("abc");
  const { outcome, attempts } = await send((_node, attempt) => attempt < 3 ? BROKEN : OK);
  assert.deepEqual([outcome, attempts], [OK, 3]);
  assert.deepEqual([...asked].sort(), ["a", "b", "c"]);
  const all = group("abc");
  assert.deepEqual(await all.send(() => BROKEN), { outcome: BROKEN, attempts: 3 });
});

Deno.test("OPS-04 what may not be repeated goes to a second member only when the first got nothing of it", async () => {
  const once = { repeatable: false };
  const broken = group("abc");
  assert.equal((await broken.send(() => BROKEN, once)).attempts, 1);
  const refused = group("abc");
  assert.equal((await refused.send(() => REFUSED, once)).attempts, 3);
  const mixed = group("abc");
  const { attempts } = await mixed.send((_node, attempt) => attempt === 1 ? REFUSED : BROKEN, once);
  assert.equal(attempts, 2, "the second may have got it");
  for (const outcome of [LATE, { status: 3, statusCode: 500 }, { status: 2, statusCode: 719 }]) {
    assert.equal((await group("ab").send(() => outcome)).attempts, 1);
  }
});

Deno.test("OPS-04 rounds after the first wait a random time that doubles, up to a limit, and end with the request", async () => {
  const random = Math.random;
  mock.timers.enable({ apis: ["setTimeout"] });
  Math.random = () => 0.5;
  const settle = async () => {
    for (let i = 0; i < 50; i++) await Promise.resolve();
  };
  try {
    const { asked, send } = group("a", {
      retry: { attempts: 5, backoffMs: 100, maxBackoffMs: 300, minPerSecond: 100 },
      eject: false,
    });
    const sent = send(() => BROKEN);
    const seen: number[] = [];
    // halves of 100, 200, 300, 300
    for (const ms of [0, 49, 1, 99, 1, 149, 1, 149, 1]) {
      mock.timers.tick(ms);
      await settle();
      seen.push(asked.length);
    }
    assert.deepEqual(seen, [1, 1, 2, 2, 3, 3, 4, 4, 5]);
    assert.equal((await sent).attempts, 5);

    const given = new AbortController();
    const waiting = send(() => BROKEN, {}, given.signal);
    await settle();
    given.abort();
    await settle();
    assert.equal((await waiting).attempts, 1, "whoever gives up does not wait");
  } finally {
    Math.random = random;
    mock.timers.reset();
  }
});

Deno.test("OPS-02 status codes of the alias count as failures of a member", async () => {
  const { balancer, send } = group("ab", { eject: { fails: 2, codes: [503] }, retry: false });
  for (let i = 0; i < 8; i++) {
    await send((node) => ({ status: 3, statusCode: node === "a" ? 503 : 404 }));
  }
  assert.deepEqual(balancer.status().map(({ state }) => state), ["ejected", "active"]);
  assert.equal(isMemberFault({ status: 2, statusCode: 500, error: new Error("syntax") }), false);
});

Deno.test("OPS-05 the slower of two is told to stop, a failed one is not the winner", async () => {
  const stopped: string[] = [];
  const { balancer } = group("ab", { balance: "round-robin" });
  const hedge = (
    answers: Record<string, () => Promise<Attempt>>,
    hedgeMs = 1,
  ) =>
    deliver<Member, Attempt>(balancer, {
      ask: (member, signal) => {
        signal.addEventListener("abort", () => stopped.push(member.node));
        const asked = answers[member.node]!();
        const given = new Promise<Attempt>((resolve) => {
          signal.addEventListener("abort", () => resolve(LATE));
        });
        return Promise.race([asked, given]);
      },
      unavailable: (error) => ({ status: 2, statusCode: 714, error }),
      repeatable: true,
      attempts: 0,
      hedgeMs,
    }, new AbortController().signal);
  const never = () => new Promise<Attempt>(() => {});
  const now = () => Promise.resolve(OK);
  const first = await hedge({ a: never, b: now });
  assert.deepEqual([first, stopped], [OK, ["a"]]);
  assert.deepEqual([balancer.repeats.hedges, balancer.repeats.hedgesWon], [1, 1]);
  assert.equal(balancer.status()[0]!.failures, 0);

  const slowly = Promise.withResolvers<Attempt>();
  const second = hedge({
    a: () => {
      slowly.resolve(OK);
      return Promise.resolve(BROKEN);
    },
    b: () => slowly.promise,
  });
  assert.equal(await second, OK, "a failure does not win");
});

Deno.test("OPS-03 a request that could not be made does not close a breaker", async () => {
  let now = 0;
  const options = { breaker: { fails: 1, openMs: 1000 }, eject: false, retry: false };
  const { balancer, send } = group("a", options, () => now);
  const state = () => balancer.status()[0]!.breaker;
  await send(() => BROKEN);
  assert.equal(state(), "open");
  now = 1000;
  await send(() => ({ status: 2, statusCode: 701, error: new Error("the body broke off") }));
  assert.equal(state(), "half-open");
  await send(() => ({ status: 2, statusCode: 500, error: new Error("no such table") }));
  assert.equal(state(), "closed", "an answer, if not a good one");
});
