import assert from "node:assert/strict";
import { hashPolicy } from "../../src/net/balance/hash.ts";
import { leastBusy } from "../../src/net/balance/least_busy.ts";
import { createPolicy } from "../../src/net/balance/policy.ts";
import { roundRobin } from "../../src/net/balance/round_robin.ts";
import { cookieValue, stickyCookie } from "../../src/net/balance/sticky_cookie.ts";
import { twoChoices } from "../../src/net/balance/two_choices.ts";
import { balanceSuite, candidates, spread } from "../conformance/balance_suite.ts";

balanceSuite("least-busy", leastBusy);
balanceSuite("round-robin", roundRobin);
balanceSuite("two-choices", twoChoices);
balanceSuite("hash of the address", () => hashPolicy("address"));
balanceSuite("hash of a header", () => hashPolicy("header:X-User"));
balanceSuite("sticky cookie", () => stickyCookie("lb"));

Deno.test("OPS-06 ALI-05 WAS-18 least-busy: requests under way stand as the weights do", () => {
  const policy = leastBusy();
  const members = candidates(1, 2, 5);
  const busy = new Map(members.map((member) => [member.id, 0]));
  for (let i = 0; i < 80; i++) {
    const { id } = policy.choose(members, (member) => busy.get(member.id)!);
    busy.set(id, busy.get(id)! + 1);
  }
  assert.deepEqual([...busy.values()], [10, 20, 50]);
});

Deno.test("OPS-06 ALI-05 round-robin: by weight, spread evenly", () => {
  const policy = roundRobin();
  const members = candidates(3, 1);
  const order = Array.from({ length: 8 }, () => policy.choose(members, () => 0).id).join("");
  assert.equal(order, "aabaaaba");
});

Deno.test("OPS-06 two-choices: the busiest of all is never chosen over another, weights count", () => {
  const policy = twoChoices();
  const members = candidates(1, 1, 1);
  const counts = spread(policy, members, 300, undefined, ({ id }) => id === "b" ? 10 : 0);
  assert.equal(counts.b, undefined);
  const weighted = spread(twoChoices(), candidates(1, 9, 9), 3000);
  assert.ok(weighted.a! < 600, JSON.stringify(weighted));
});

Deno.test("OPS-06 ALI-05 hash: the same client the same member, by weight, and few move when one goes", () => {
  const policy = hashPolicy("address");
  const members = candidates(1, 1, 2);
  const facts = (i: number) => ({ address: `192.168.${i >> 8}.${i & 255}` });
  const before = Array.from(
    { length: 4000 },
    (_, i) => policy.choose(members, () => i, facts(i)).id,
  );
  const again = Array.from(
    { length: 4000 },
    (_, i) => policy.choose(members, () => 0, facts(i)).id,
  );
  assert.deepEqual(again, before);
  const share = before.filter((id) => id === "c").length / 4000;
  assert.ok(share > 0.44 && share < 0.56, `${share}`);
  const left = members.filter(({ id }) => id !== "a");
  for (const [i, id] of before.entries()) {
    const now = policy.choose(left, () => 0, facts(i)).id;
    if (id !== "a") assert.equal(now, id, "whoever was not there stays where he is");
  }
});

Deno.test("OPS-06 sticky cookie: the browser comes back to its member, and gets another when that is gone", () => {
  const policy = stickyCookie("lb");
  const members = candidates(1, 1, 1);
  let jar: string | undefined;
  const facts = {
    cookie: (name: string) => name === "lb" ? jar : undefined,
    setCookie: (_name: string, value: string) => void (jar = value),
  };
  const first = policy.choose(members, () => 0, facts);
  assert.equal(jar, cookieValue(first.id));
  assert.ok(!jar!.includes(first.id) || jar!.length > 3, "the cookie does not name the member");
  for (let i = 0; i < 10; i++) assert.equal(policy.choose(members, () => i, facts), first);
  const rest = members.filter((member) => member !== first);
  const second = policy.choose(rest, () => 0, facts);
  assert.notEqual(second, first);
  assert.equal(policy.choose(members, () => 0, facts), second);
  jar = "forged";
  assert.ok(members.includes(policy.choose(members, () => 0, facts)));
  assert.notEqual(jar, "forged");
});

Deno.test("OPS-06 a policy nobody knows is refused with the list of those there are", () => {
  for (
    const spec of ["fastest", { hash: "cookie:x" }, { hash: "header:" }, { cookie: "a b" }, {}]
  ) {
    assert.throws(() => createPolicy(spec as never), /known are "least-busy", "round-robin"/);
  }
  assert.ok(createPolicy());
});
