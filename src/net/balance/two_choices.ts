/**
 * The less busy of two members drawn at random. With many workers that do not know of each other, this
 * keeps them from all choosing the same one.
 *
 * @module
 */

import type { BalancePolicy, Candidate } from "./policy.ts";

/** Members are drawn by their weight. @param random From 0 up to 1. */
export function twoChoices(random: () => number = Math.random): BalancePolicy {
  return {
    needsFacts: false,
    choose<M extends Candidate>(members: readonly M[], load: (member: M) => number): M {
      const one = draw(members, random);
      if (members.length === 1) return one;
      const two = draw(members.filter((member) => member !== one), random);
      return load(two) / two.weight < load(one) / one.weight ? two : one;
    },
  };
}

function draw<M extends Candidate>(members: readonly M[], random: () => number): M {
  let total = 0;
  for (const { weight } of members) total += weight;
  let at = random() * total;
  for (const member of members) {
    at -= member.weight;
    if (at < 0) return member;
  }
  return members.at(-1)!;
}
