/**
 * The member with the fewest requests for its weight.
 *
 * @module
 */

import type { BalancePolicy, Candidate } from "./policy.ts";

/** Those that are equally busy take turns. */
export function leastBusy(): BalancePolicy {
  let turn = 0;
  return {
    needsFacts: false,
    choose<M extends Candidate>(members: readonly M[], load: (member: M) => number): M {
      const count = members.length;
      const first = turn++ % count;
      let best = members[first]!;
      let least = (load(best) + 1) / best.weight;
      for (let i = 1; i < count; i++) {
        const member = members[(first + i) % count]!;
        const relative = (load(member) + 1) / member.weight;
        if (relative < least) [best, least] = [member, relative];
      }
      return best;
    },
  };
}
