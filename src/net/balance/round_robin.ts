/**
 * Members in turn, each as often as its weight says, spread as evenly as it goes.
 *
 * @module
 */

import type { BalancePolicy, Candidate } from "./policy.ts";

/** Each member collects its weight per turn; who has most is next and pays the sum of all. */
export function roundRobin(): BalancePolicy {
  const collected = new Map<string, number>();
  return {
    needsFacts: false,
    choose<M extends Candidate>(members: readonly M[]): M {
      let total = 0;
      let best = members[0]!;
      let most = -Infinity;
      for (const member of members) {
        total += member.weight;
        const now = (collected.get(member.id) ?? 0) + member.weight;
        collected.set(member.id, now);
        if (now > most) [best, most] = [member, now];
      }
      collected.set(best.id, most - total);
      return best;
    },
  };
}
