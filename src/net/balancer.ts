/**
 * The members of a group with what is known of each: how busy it is, whether it is out and why. It
 * chooses who gets the next request.
 *
 * @module
 */

import {
  type BalanceFacts,
  type BalancePolicy,
  type BalanceSpec,
  createPolicy,
} from "./balance/policy.ts";
import { Breaker, type BreakerOptions, type BreakerState } from "./breaker.ts";
import { Ejection, type EjectionOptions } from "./ejection.ts";
import { RetryBudget, type RetryBudgetOptions } from "./retry_budget.ts";

/** A server of a group. */
export interface Upstream {
  /** Host and port, or the file; how logs and results name it. */
  readonly node: string;
  /** Database name or file; for web servers the path all requests start with. */
  readonly database: string;
  /** Share of requests relative to the others. */
  readonly weight: number;
  /** Whom it is asked as. */
  readonly user?: string;
}

/** How requests are repeated. */
export interface RetryOptions extends RetryBudgetOptions {
  /** Most attempts, the first one included. Default: the number of members, at least 2. */
  readonly attempts?: number;
  /** Milliseconds before all members are tried once more; random between none and that, doubled each
   * round. Default 25. */
  readonly backoffMs?: number;
  /** Most milliseconds before another round. Default 1000. */
  readonly maxBackoffMs?: number;
  /** Status codes that are asked again elsewhere, such as 503. Default none. */
  readonly codes?: readonly number[];
  /** Methods that may be repeated although they are not idempotent, such as `POST`. Default none. */
  readonly methods?: readonly string[];
}

/** Options of a {@link Balancer}. */
export interface BalancerOptions {
  /** Who is chosen. Default `"least-busy"`. */
  readonly balance?: BalanceSpec;
  /** When errors take a member out of use; false for never. */
  readonly eject?: boolean | EjectionOptions;
  /** Breakers; true for one with its defaults. Default: none. */
  readonly breaker?: boolean | BreakerOptions;
  /** How requests are repeated; false for never. */
  readonly retry?: boolean | RetryOptions;
}

/** What is known of a member. */
export interface MemberStatus {
  /** Host and port, or the file. */
  readonly node: string;
  /** Weight. */
  readonly weight: number;
  /** What it is: `stopped` by hand, `unhealthy` by its checks, `ejected` by its errors, or `active`. */
  readonly state: "active" | "stopped" | "unhealthy" | "ejected";
  /** Its breaker, if it has one. */
  readonly breaker: BreakerState | undefined;
  /** Requests under way. */
  readonly busy: number;
  /** Requests made so far. */
  readonly requests: number;
  /** Requests that failed, those that timed out included. */
  readonly failures: number;
  /** How often it has been ejected in a row. */
  readonly ejections: number;
  /** Message of the last failure. */
  readonly lastError: string | undefined;
}

/** How often requests of a group were made more than once. */
export interface RepeatCounts {
  /** Requests that were made again after a failure. */
  readonly retries: number;
  /** Repetitions that were not made because there had been too many. */
  readonly refused: number;
  /** Requests that were made a second time because the first was slow. */
  readonly hedges: number;
  /** Of those, the ones where the second was first. */
  readonly hedgesWon: number;
}

/** What is known of a request that needs a member. */
export interface Choosing<M extends Upstream> {
  /** Requests a member is busy with, beyond those of the balancer. */
  load?(member: M): number;
  /** What policies may know of the request that is being answered. */
  readonly facts?: BalanceFacts;
}

/** A member and its state. @internal */
export class MemberState<M extends Upstream> {
  readonly member: M;
  readonly id: string;
  readonly ejection: Ejection | undefined;
  readonly breaker: Breaker | undefined;
  weight: number;
  stopped = false;
  healthy = true;
  busy = 0;
  requests = 0;
  failures = 0;
  lastError: string | undefined;

  constructor(member: M, eject: EjectionOptions | undefined, breaker: BreakerOptions | undefined) {
    this.member = member;
    this.id = idOf(member);
    this.weight = member.weight;
    this.ejection = eject && new Ejection(eject);
    this.breaker = breaker && new Breaker(breaker);
  }

  /** Whether it should get no requests as long as there are others. */
  isOut(now: number): boolean {
    return !this.healthy || this.ejection?.isOut(now) === true;
  }

  /** Whether it must get no request at all. */
  isBarred(now: number): boolean {
    return this.stopped || this.breaker?.allows(now) === false;
  }
}

/** Chooses among the members of a group. State belongs to one worker. */
export class Balancer<M extends Upstream> {
  readonly #name: string;
  readonly #now: () => number;
  readonly #policy: BalancePolicy;
  readonly #eject: EjectionOptions | undefined;
  readonly #breaker: BreakerOptions | undefined;
  #states: readonly MemberState<M>[];
  #members: readonly M[] | undefined;
  /** True when some member is not as it should be; while false, nothing needs to be looked at. */
  #troubled = false;

  /** How requests are repeated; `undefined` for not at all. */
  readonly retry: RetryOptions | undefined;
  /** Whether the alias says how requests are repeated, so that members may be asked more than once. */
  readonly retriesRounds: boolean;
  /** What repetitions are paid from. */
  readonly budget: RetryBudget;
  /** Repetitions so far. */
  readonly repeats: { -readonly [name in keyof RepeatCounts]: number } = {
    retries: 0,
    refused: 0,
    hedges: 0,
    hedgesWon: 0,
  };

  /**
   * Makes a balancer.
   *
   * @param now Clock in milliseconds. Default `performance.now`.
   * @throws {TypeError} for options that cannot be used.
   */
  constructor(
    name: string,
    members: readonly M[],
    options: BalancerOptions = {},
    now: () => number = () => performance.now(),
  ) {
    this.#name = name;
    this.#now = now;
    this.#policy = createPolicy(options.balance);
    this.#eject = options.eject === false ? undefined : settings(options.eject, "eject", EJECT);
    const { breaker = false } = options;
    this.#breaker = breaker === false ? undefined : settings(breaker, "breaker", BREAKER);
    this.retry = options.retry === false ? undefined : settings(options.retry, "retry", RETRY);
    this.retriesRounds = typeof options.retry === "object" || options.retry === true;
    this.budget = new RetryBudget(this.retry ?? {}, now);
    this.#states = members.map((member) => this.#stateOf(member));
  }

  /** Members, in order. */
  get members(): readonly M[] {
    return this.#members ??= this.#states.map(({ member }) => member);
  }

  /** Whether the policy looks at the request. */
  get needsFacts(): boolean {
    return this.#policy.needsFacts;
  }

  /** Status codes that count as failures of a member. */
  get failureCodes(): readonly number[] {
    return this.#eject?.codes ?? NONE;
  }

  /** Milliseconds, on the clock of the balancer. */
  now(): number {
    return this.#now();
  }

  /**
   * Chooses a member; `undefined` when none may be asked. When more than half are out, all are used
   * again: then it is more likely that something else is wrong.
   *
   * @param request What is known of the request.
   * @param tried Members that are not to be chosen.
   */
  choose(
    request: Choosing<M> = ANY as Choosing<M>,
    tried?: ReadonlySet<MemberState<M>>,
  ): MemberState<M> | undefined {
    const states = this.#states;
    if (!this.#troubled && (tried === undefined || tried.size === 0)) {
      if (states.length === 1 && !this.#policy.needsFacts) return states[0];
      return states.length === 0
        ? undefined
        : this.#policy.choose(states, busyWith(request), request.facts);
    }
    const now = this.#now();
    const allowed = states.filter((state) => !state.isBarred(now) && !tried?.has(state));
    if (allowed.length === 0) return undefined;
    const running = states.filter(({ stopped }) => !stopped);
    const out = running.filter((state) => state.isOut(now)).length;
    const fine = out * 2 > running.length ? [] : allowed.filter((state) => !state.isOut(now));
    return this.#policy.choose(
      fine.length > 0 ? fine : allowed,
      busyWith(request),
      request.facts,
    );
  }

  /** A request goes to a member. It must be ended by {@link end}, which takes what this returns. */
  begin(state: MemberState<M>): number {
    state.busy++;
    state.requests++;
    return state.breaker?.begin(this.#now()) ?? 0;
  }

  /** How a request to a member ended: `given-up` says nothing about the member. */
  end(
    state: MemberState<M>,
    begun: number,
    how: "answered" | "failed" | "given-up",
    error?: Error,
  ): void {
    state.busy--;
    const { breaker, ejection } = state;
    if (how === "given-up") return breaker?.abandon(begun);
    if (how === "answered") {
      breaker?.succeed(begun);
      if (ejection?.marked) ejection.succeed(this.#now());
      if (this.#troubled) this.#look();
      return;
    }
    const now = this.#now();
    state.failures++;
    state.lastError = error?.message;
    breaker?.fail(begun, now);
    ejection?.fail(now);
    this.#troubled = true;
  }

  /** Takes a member out of use for its checks, or back. */
  setHealthy(node: string, healthy: boolean): void {
    for (const state of this.#states) {
      if (state.member.node !== node) continue;
      state.healthy = healthy;
      if (healthy) state.ejection?.restore();
    }
    this.#look();
  }

  /** Whether the checks of a member, if there are any, have left it in use. */
  isHealthy(node: string): boolean {
    return this.#states.every(({ member, healthy }) => member.node !== node || healthy);
  }

  /** How many members are in use. */
  get inUse(): number {
    const now = this.#now();
    return this.#states.filter((state) => !state.stopped && !state.isOut(now)).length;
  }

  /** Adds a member; one that is there gets the new weight. */
  add(member: M): void {
    const known = this.#states.find(({ id }) => id === idOf(member));
    if (known !== undefined) known.weight = member.weight;
    else this.#states = [...this.#states, this.#stateOf(member)];
    this.#members = undefined;
  }

  /** Takes a member away; its requests under way end normally. @throws {RangeError} when there is none. */
  remove(node: string): void {
    const removed = this.#named(node);
    this.#states = this.#states.filter((state) => !removed.includes(state));
    this.#members = undefined;
  }

  /** Sends a member no more requests. @throws {RangeError} when there is none of that name. */
  stop(node: string): void {
    for (const state of this.#named(node)) state.stopped = true;
    this.#troubled = true;
  }

  /** Uses a member again, stopped or out, as if nothing had been. @throws {RangeError} */
  resume(node: string): void {
    for (const state of this.#named(node)) {
      state.stopped = false;
      state.healthy = true;
      state.ejection?.restore();
      state.breaker?.reset();
    }
    this.#look();
  }

  /** What is known of each member. */
  status(): MemberStatus[] {
    const now = this.#now();
    return this.#states.map((state) => ({
      node: state.member.node,
      weight: state.weight,
      state: state.stopped
        ? "stopped"
        : !state.healthy
        ? "unhealthy"
        : state.isOut(now)
        ? "ejected"
        : "active",
      breaker: state.breaker?.state,
      busy: state.busy,
      requests: state.requests,
      failures: state.failures,
      ejections: state.ejection?.times ?? 0,
      lastError: state.lastError,
    }));
  }

  #stateOf(member: M): MemberState<M> {
    return new MemberState(member, this.#eject, this.#breaker);
  }

  #named(node: string): MemberState<M>[] {
    const found = this.#states.filter(({ member }) => member.node === node);
    if (found.length > 0) return found;
    throw new RangeError(
      `${this.#name} has no member ${JSON.stringify(node)}; it has ${
        this.#states.map(({ member }) => member.node).join(", ")
      }`,
    );
  }

  /** Finds out whether all is well again. */
  #look(): void {
    const now = this.#now();
    this.#troubled = this.#states.some((state) =>
      state.stopped || state.isOut(now) || (state.ejection?.times ?? 0) > 0 ||
      (state.breaker !== undefined && state.breaker.state !== "closed")
    );
  }
}

/** The same in every worker and after a restart. */
function idOf({ user = "", node, database }: Upstream): string {
  return `${user}@${node}/${database}`;
}

/** How busy a member is, as far as is known here and to the client. */
function busyWith<M extends Upstream>(request: Choosing<M>): (state: MemberState<M>) => number {
  return (state) => Math.max(state.busy, request.load?.(state.member) ?? 0);
}

const NONE: readonly number[] = [];
const ANY: Choosing<never> = {};

const EJECT = ["fails", "baseMs", "maxMs", "codes"];
const BREAKER = ["fails", "openMs", "maxOpenMs", "trials"];
const RETRY = [
  ...["share", "minPerSecond", "attempts", "backoffMs", "maxBackoffMs", "codes", "methods"],
];
/** Those that may be 0. */
const FROM_ZERO = ["share", "minPerSecond", "backoffMs", "maxBackoffMs"];

/** Checks a group of options. @throws {TypeError} */
function settings<O extends object>(
  given: boolean | O | undefined,
  name: string,
  known: readonly string[],
): O {
  if (given === undefined || typeof given === "boolean") return {} as O;
  if (typeof given !== "object" || given === null) {
    throw new TypeError(`${name} is an object, true or false, not ${String(given)}`);
  }
  for (const [key, value] of Object.entries(given)) {
    if (!known.includes(key)) {
      throw new TypeError(`unknown option ${name}.${key}; known are ${known.join(", ")}`);
    }
    if (value === undefined) continue;
    if (key === "codes" || key === "methods") {
      const isFit = key === "codes" ? isCode : isMethod;
      if (!Array.isArray(value) || !value.every(isFit)) {
        const what = key === "codes" ? "status codes" : "methods in capitals";
        throw new TypeError(`${name}.${key} is a list of ${what}, not ${JSON.stringify(value)}`);
      }
    } else if (
      typeof value !== "number" || !Number.isFinite(value) || value < 0 ||
      (value === 0 && !FROM_ZERO.includes(key))
    ) throw new TypeError(`${name}.${key} is a number above 0, not ${String(value)}`);
  }
  return given;
}

/** Whether it can be the status code of an answer. */
function isCode(value: unknown): boolean {
  return Number.isInteger(value);
}

/** Whether it can be a method: `post` is none, and would never be met. */
function isMethod(value: unknown): boolean {
  return typeof value === "string" && /^[A-Z]+$/.test(value);
}
