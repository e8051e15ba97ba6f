/**
 * What every balance policy promises.
 *
 * @module
 */

import { equal, ok } from "node:assert/strict";
import type { BalanceFacts, BalancePolicy, Candidate } from "../../src/net/balance/policy.ts";

/** Members `a`, `b` … with these weights. */
export function candidates(...weights: number[]): Candidate[] {
  return weights.map((weight, i) => ({ id: String.fromCharCode(97 + i), weight }));
}

/** How often each member is chosen. */
export function spread(
  policy: BalancePolicy,
  members: readonly Candidate[],
  times: number,
  facts: (i: number) => BalanceFacts | undefined = () => undefined,
  load: (member: Candidate) => number = () => 0,
): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < times; i++) {
    const { id } = policy.choose(members, load, facts(i));
    counts[id] = (counts[id] ?? 0) + 1;
  }
  return counts;
}

/** Defines the tests of a policy. */
export function balanceSuite(name: string, make: () => BalancePolicy): void {
  Deno.test(`OPS-06 ${name}: chooses among those it is given, and only those`, () => {
    const policy = make();
    const members = candidates(1, 2, 3);
    for (const given of [members, members.slice(1), members.slice(0, 1), members]) {
      for (let i = 0; i < 50; i++) {
        const facts = { address: `10.0.0.${i}`, header: () => `${i}`, cookie: () => `${i}` };
        ok(given.includes(policy.choose(given, () => i % 3, facts)));
        ok(given.includes(policy.choose(given, () => 0)), "also without facts");
      }
    }
  });

  Deno.test(`OPS-06 ${name}: over many requests nobody is left out`, () => {
    const policy = make();
    const counts = spread(policy, candidates(1, 1, 1, 1), 4000, (i) => ({
      address: `10.0.${i >> 8}.${i & 255}`,
      header: () => `user ${i}`,
    }));
    equal(Object.keys(counts).length, 4);
    for (const count of Object.values(counts)) ok(count > 700 && count < 1300, `${count} of 4000`);
  });
}
