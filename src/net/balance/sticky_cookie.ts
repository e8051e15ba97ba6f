/**
 * The same member for the same browser, which a cookie remembers.
 *
 * @module
 */

import { fraction } from "./hash.ts";
import { leastBusy } from "./least_busy.ts";
import type { BalanceFacts, BalancePolicy, Candidate } from "./policy.ts";

/** The cookie holds a number made of the member, never its address. */
export function stickyCookie(name: string): BalancePolicy {
  const fallback = leastBusy();
  return {
    needsFacts: true,
    choose<M extends Candidate>(
      members: readonly M[],
      load: (member: M) => number,
      facts?: BalanceFacts,
    ): M {
      const wanted = facts?.cookie?.(name);
      if (wanted !== undefined) {
        const known = members.find(({ id }) => cookieValue(id) === wanted);
        if (known !== undefined) return known;
      }
      const chosen = fallback.choose(members, load);
      facts?.setCookie?.(name, cookieValue(chosen.id));
      return chosen;
    },
  };
}

/** Value of the cookie for a member. */
export function cookieValue(id: string): string {
  return Math.floor(fraction(id) * 2 ** 32).toString(36);
}
