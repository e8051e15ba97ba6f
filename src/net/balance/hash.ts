/**
 * The same member for the same client address or header value.
 *
 * @module
 */

import { leastBusy } from "./least_busy.ts";
import type { BalanceFacts, BalancePolicy, Candidate } from "./policy.ts";

/**
 * Every member gets a number from the value and its id, scaled by its weight; the highest wins. When a
 * member goes, only its own clients move. Requests without the value go to the least busy.
 *
 * @param by `address`, or `header:<name>`.
 */
export function hashPolicy(by: string): BalancePolicy {
  const fallback = leastBusy();
  const header = by.startsWith("header:") ? by.slice(7).toLowerCase() : undefined;
  return {
    needsFacts: true,
    choose<M extends Candidate>(
      members: readonly M[],
      load: (member: M) => number,
      facts?: BalanceFacts,
    ): M {
      const value = header === undefined ? facts?.address : facts?.header?.(header);
      if (value === undefined || value === null || value === "") {
        return fallback.choose(members, load);
      }
      let best = members[0]!;
      let most = -Infinity;
      for (const member of members) {
        const score = -member.weight / Math.log(fraction(`${value}\n${member.id}`));
        if (score > most) [best, most] = [member, score];
      }
      return best;
    },
  };
}

/** A number above 0 and below 1, evenly spread. */
export function fraction(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  // the last characters would hardly reach the upper bits otherwise
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  hash ^= hash >>> 16;
  return ((hash >>> 0) + 0.5) / 4294967296;
}
