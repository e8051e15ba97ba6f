/**
 * What a balance policy is, and the list of those there are.
 *
 * @module
 */

import { hashPolicy } from "./hash.ts";
import { leastBusy } from "./least_busy.ts";
import { roundRobin } from "./round_robin.ts";
import { stickyCookie } from "./sticky_cookie.ts";
import { twoChoices } from "./two_choices.ts";

/** A member that can be chosen. */
export interface Candidate {
  /** The same in every worker and after a restart; unique within its group. */
  readonly id: string;
  /** Share of requests relative to the others. */
  readonly weight: number;
}

/** What a policy may know of the request that is being answered. */
export interface BalanceFacts {
  /** Address of the client. */
  readonly address?: string;
  /** Value of a request header; the name in lower case. */
  header?(name: string): string | null;
  /** Value of a cookie the client sent. */
  cookie?(name: string): string | undefined;
  /** Gives the client a cookie. */
  setCookie?(name: string, value: string): void;
}

/** Chooses one of several members. */
export interface BalancePolicy {
  /** Whether it looks at the request. */
  readonly needsFacts: boolean;
  /**
   * Chooses.
   *
   * @param members At least one.
   * @param load Requests a member is busy with.
   */
  choose<M extends Candidate>(
    members: readonly M[],
    load: (member: M) => number,
    facts?: BalanceFacts,
  ): M;
}

/**
 * Names a policy: `"least-busy"` by weight (default), `"round-robin"`, `"two-choices"` at random, the
 * same member for the same client address or header (`{ hash: "address" }`, `{ hash: "header:x-user" }`)
 * or for the same browser (`{ cookie: "lb" }`).
 */
export type BalanceSpec =
  | "least-busy"
  | "round-robin"
  | "two-choices"
  | { readonly hash: string }
  | { readonly cookie: string };

const COOKIE_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Makes a policy. @throws {TypeError} naming the known ones. */
export function createPolicy(spec: BalanceSpec = "least-busy"): BalancePolicy {
  if (spec === "least-busy") return leastBusy();
  if (spec === "round-robin") return roundRobin();
  if (spec === "two-choices") return twoChoices();
  if (typeof spec === "object" && spec !== null) {
    if ("hash" in spec && /^(?:address|header:\S+)$/.test(spec.hash)) return hashPolicy(spec.hash);
    if ("cookie" in spec && COOKIE_NAME.test(spec.cookie)) return stickyCookie(spec.cookie);
  }
  throw new TypeError(
    `unknown balance ${
      JSON.stringify(spec)
    }; known are "least-busy", "round-robin", "two-choices", ` +
      `{ hash: "address" }, { hash: "header:<name>" }, { cookie: "<name>" }`,
  );
}
