import assert from "node:assert/strict";
import { Balancer, type BalancerOptions } from "../../src/net/balancer.ts";
import { Breaker } from "../../src/net/breaker.ts";
import { HealthChecks } from "../../src/net/health.ts";
import { RetryBudget } from "../../src/net/retry_budget.ts";

/** A balancer over members `a`, `b` … with a clock that is moved by hand. */
function simulation(names: string, options: BalancerOptions = {}) {
  const clock = { now: 1_000_000 };
  const members = [...names].map((node) => ({ node, database: "", weight: 1 }));
  const balancer = new Balancer("@test", members, options, () => clock.now);
  /** One request; says whom it went to. */
  const request = (ok: (node: string) => boolean): string => {
    const state = balancer.choose();
    if (state === undefined) return "";
    const begun = balancer.begin(state);
    const { node } = state.member;
    balancer.end(state, begun, ok(node) ? "answered" : "failed", new Error(`${node} is down`));
    return node;
  };
  const requests = (count: number, ok: (node: string) => boolean) =>
    Array.from({ length: count }, () => request(ok)).join("");
  const stateOf = (node: string) => balancer.status().find((one) => one.node === node)!;
  return { balancer, clock, request, requests, stateOf };
}

const allWell = () => true;
const down = (...nodes: string[]) => (node: string) => !nodes.includes(node);

Deno.test("OPS-02 errors in a row eject a member, for longer each time, and it comes back", () => {
  const { clock, requests, stateOf } = simulation("abc", { balance: "round-robin" });
  requests(9, down("b"));
  assert.equal(stateOf("b").state, "ejected");
  assert.equal(stateOf("b").lastError, "b is down");
  assert.ok(!requests(30, allWell).includes("b"), "out for a second");
  clock.now += 1000;
  assert.equal(stateOf("b").state, "active");
  const back = requests(12, down("b"));
  assert.equal([...back].filter((node) => node === "b").length, 1, "one failure is enough now");
  assert.equal(stateOf("b").ejections, 2);
  clock.now += 1000;
  assert.equal(stateOf("b").state, "ejected", "twice as long");
  clock.now += 1000;
  assert.ok(requests(6, allWell).includes("b"));
  clock.now += 10_000;
  requests(6, allWell);
  assert.deepEqual([stateOf("b").state, stateOf("b").ejections], ["active", 0], "forgiven");
  for (let round = 0; round < 12; round++) {
    requests(12, down("b"));
    clock.now += 60_000;
  }
  assert.equal(stateOf("b").state, "active", "never out for more than a minute");
});

Deno.test("OPS-02 single errors among answers eject nobody; false and other numbers are possible", () => {
  let count = 0;
  const { requests, stateOf } = simulation("ab");
  requests(100, (node) => node === "a" || ++count % 3 !== 0);
  assert.equal(stateOf("b").state, "active");
  const never = simulation("ab", { eject: false });
  never.requests(40, down("b"));
  assert.equal(never.stateOf("b").state, "active");
  const soon = simulation("ab", { eject: { fails: 1, baseMs: 50 } });
  soon.requests(4, down("b"));
  assert.equal(soon.stateOf("b").state, "ejected");
  assert.throws(() => simulation("a", { eject: { fails: 0 } }), /eject.fails is a number above 0/);
  assert.throws(() => simulation("a", { eject: { fail: 1 } as never }), /known are fails, baseMs/);
});

Deno.test("OPS-02 when more than half are out, all are used again, and who answers is back", () => {
  const { requests, stateOf, balancer } = simulation("abcd", { balance: "round-robin" });
  requests(12, down("a", "b"));
  assert.equal(balancer.inUse, 2);
  assert.ok(!/[ab]/.test(requests(20, allWell)), "half is not more than half");
  requests(9, down("a", "b", "c"));
  assert.equal(balancer.inUse, 1);
  const used = requests(8, down("a", "b", "c"));
  for (const node of "abcd") assert.ok(used.includes(node), `${node} is used again`);
  requests(4, down("a", "b"));
  assert.equal(stateOf("c").state, "active", "it answered");
});

Deno.test("OPS-03 a breaker opens, lets one request try, closes or stays open for longer", () => {
  let now = 0;
  const breaker = new Breaker({ fails: 3, openMs: 100, maxOpenMs: 300 });
  const fail = () => {
    assert.ok(breaker.allows(now));
    breaker.fail(breaker.begin(now), now);
  };
  fail();
  fail();
  breaker.succeed(breaker.begin(now));
  fail();
  fail();
  assert.equal(breaker.state, "closed", "three in a row");
  fail();
  assert.equal(breaker.state, "open");
  assert.equal(breaker.allows(now + 99), false);
  for (const openMs of [200, 300, 300]) {
    now += 300;
    const trial = breaker.begin(now);
    assert.equal(breaker.state, "half-open");
    assert.equal(breaker.allows(now), false, "one at a time");
    breaker.fail(trial, now);
    assert.equal(breaker.allows(now + openMs - 1), false);
    assert.equal(breaker.allows(now + openMs), true);
  }
  now += 300;
  breaker.abandon(breaker.begin(now));
  assert.ok(breaker.allows(now), "one that was given up leaves its place to another");
  breaker.succeed(breaker.begin(now));
  assert.equal(breaker.state, "closed");
});

Deno.test("OPS-03 requests from before a breaker opened do not answer for its trial", () => {
  const breaker = new Breaker({ fails: 1, openMs: 100 });
  const [first, ...late] = Array.from({ length: 6 }, () => breaker.begin(0));
  breaker.fail(first!, 0);
  const early = breaker.begin(100);
  breaker.abandon(late[0]!);
  assert.equal(breaker.allows(100), false, "its place is taken still");
  breaker.fail(late[1]!, 100);
  breaker.succeed(late[2]!);
  assert.equal(breaker.state, "half-open");
  breaker.fail(early, 100);
  breaker.fail(late[3]!, 150);
  breaker.succeed(late[4]!);
  assert.equal(breaker.state, "open");
  assert.equal(breaker.allows(300), true, "doubled once");
  const last = breaker.begin(300);
  breaker.abandon(early);
  assert.equal(breaker.allows(300), false);
  breaker.succeed(last);
  assert.equal(breaker.state, "closed");
});

Deno.test("OPS-03 the balancer passes over open breakers, and has nobody when all are open", () => {
  const { requests, clock, balancer, stateOf } = simulation("ab", {
    breaker: { fails: 2, openMs: 1000 },
    eject: false,
  });
  requests(8, down("a"));
  assert.equal(stateOf("a").breaker, "open");
  assert.equal(requests(5, allWell), "bbbbb");
  requests(2, down("b"));
  assert.equal(balancer.choose(), undefined, "at once");
  assert.equal(requests(3, allWell), "");
  clock.now += 1000;
  assert.match(requests(6, allWell), /a.*b|b.*a/);
  assert.deepEqual([stateOf("a").breaker, stateOf("b").breaker], ["closed", "closed"]);
});

Deno.test("OPS-04 repetitions are a fifth of the requests, with some a second that are free", () => {
  let now = 0;
  const budget = new RetryBudget({ share: 0.2, minPerSecond: 0 }, () => now);
  let allowed = 0;
  for (let i = 0; i < 1000; i++) {
    budget.deposit();
    if (budget.withdraw()) allowed++;
  }
  assert.equal(allowed, 200);
  const free = new RetryBudget({ share: 0, minPerSecond: 3 }, () => now);
  assert.deepEqual([1, 2, 3, 4].map(() => free.withdraw()), [true, true, true, false]);
  now += 334;
  assert.deepEqual([free.withdraw(), free.withdraw()], [true, false]);
});

Deno.test("ALI-13 members are added, stopped, resumed and removed while requests go on", () => {
  const { balancer, requests, stateOf } = simulation("ab", { balance: "round-robin" });
  balancer.add({ node: "c", database: "", weight: 1 });
  assert.deepEqual(balancer.members.map(({ node }) => node), ["a", "b", "c"]);
  assert.equal([...new Set(requests(9, allWell))].length, 3);
  balancer.stop("c");
  assert.equal(stateOf("c").state, "stopped");
  assert.ok(!requests(20, allWell).includes("c"));
  requests(9, down("a"));
  balancer.resume("c");
  balancer.resume("a");
  assert.deepEqual([stateOf("c").state, stateOf("a").state], ["active", "active"]);
  balancer.remove("b");
  assert.ok(!requests(20, allWell).includes("b"));
  balancer.add({ node: "c", database: "", weight: 3 });
  assert.equal(stateOf("c").weight, 3, "only its weight changes");
  const counts = requests(8, allWell);
  assert.equal([...counts].filter((node) => node === "c").length, 6);
  assert.throws(() => balancer.stop("x"), /@test has no member "x"; it has a, c/);
  balancer.remove("a");
  balancer.remove("c");
  assert.equal(balancer.choose(), undefined);
});

Deno.test("OPS-01 checks take a member out after failures in a row and back after passes", async () => {
  const { balancer, stateOf } = simulation("ab");
  const health: Record<string, "well" | "slow" | "down"> = { a: "well", b: "down" };
  const changes: string[] = [];
  await using checks = new HealthChecks(
    balancer,
    { fails: 2, passes: 2 },
    (member) => Promise.resolve(health[member.node]!),
    (member, healthy) => void changes.push(`${member.node} ${healthy}`),
  );
  await checks.check();
  assert.equal(stateOf("b").state, "active");
  await checks.check();
  assert.equal(stateOf("b").state, "unhealthy");
  health.a = "slow";
  await checks.check();
  await checks.check();
  assert.equal(stateOf("a").state, "active", "the last one is slow, and stays");
  health.b = "well";
  await checks.check();
  assert.equal(stateOf("b").state, "unhealthy", "once is not enough");
  await checks.check();
  assert.equal(stateOf("b").state, "active");
  await checks.check();
  assert.equal(stateOf("a").state, "unhealthy", "now there is another one");
  health.b = "down";
  await checks.check();
  await checks.check();
  assert.equal(stateOf("b").state, "unhealthy", "one that is down is no use, last or not");
  assert.deepEqual(changes, ["b false", "b true", "a false", "b false"]);
  assert.ok(balancer.choose() !== undefined, "and still somebody is asked");
});
