/**
 * Brings a request to a member of a group: chooses one, asks another when that is allowed, asks two
 * when the first is slow.
 *
 * A request that must not be repeated is given to a second member only when the first cannot have
 * received any of it.
 *
 * @module
 */

import { abortSignalOf, type StopSignal } from "../core/stop.ts";
import { BackendError } from "../core/errors.ts";
import type { BalanceFacts } from "./balance/policy.ts";
import type { Balancer, MemberState, RetryOptions, Upstream } from "./balancer.ts";

/** How an attempt ended, as clients report it. */
export interface Attempt {
  /** 1 timed out, 2 failed, 3 answered. */
  readonly status: number;
  /** HTTP or network code. */
  readonly statusCode: number;
  /** Why it failed. */
  readonly error?: Error;
  /** The member cannot have received the request. */
  readonly undelivered?: boolean;
  /** A body that is still arriving. */
  readonly body?: ReadableStream<Uint8Array>;
}

/** A request to be delivered. */
export interface Delivery<M extends Upstream, A extends Attempt> {
  /** Asks a member. Never rejects; gives up when the signal aborts. */
  ask(member: M, signal: StopSignal): Promise<A> | A;
  /** Makes the outcome of a request that no member may be asked for. */
  unavailable(error: BackendError): A;
  /** Requests a member is busy with, beyond those of this balancer. */
  load?(member: M): number;
  /** Whether it has the same effect when it is delivered twice. */
  readonly repeatable: boolean;
  /** What policies may know of the request that is being answered. */
  readonly facts?: BalanceFacts;
  /** Milliseconds after which a second member is asked, when `repeatable`. */
  readonly hedgeMs?: number;
  /** How often it was tried; kept up to date by {@link deliver}. */
  attempts: number;
}

/** Why the slower of two attempts is given up. Made on first use: its stack would slow every start. */
let faster: DOMException | undefined;

/** Delivers a request. Rejects only when asking does. */
export function deliver<M extends Upstream, A extends Attempt>(
  balancer: Balancer<M>,
  delivery: Delivery<M, A>,
  signal: StopSignal,
): Promise<A> | A {
  balancer.budget.deposit();
  const state = balancer.choose(delivery);
  if (state === undefined) return delivery.unavailable(barred());
  delivery.attempts = 1;
  // most requests are over after one attempt
  const tried = isHedged(delivery) ? new Set([state]) : undefined;
  const asked = ask(balancer, delivery, state, tried, signal);
  const end = (outcome: A): Promise<A> | A => {
    const { retry } = balancer;
    return retry === undefined || isFinal(outcome, delivery.repeatable, retry.codes)
      ? outcome
      : askAgain(balancer, delivery, tried ?? new Set([state]), outcome, retry, signal);
  };
  return asked instanceof Promise ? asked.then(end) : end(asked);
}

/** Goes on after a first attempt that failed. */
async function askAgain<M extends Upstream, A extends Attempt>(
  balancer: Balancer<M>,
  delivery: Delivery<M, A>,
  tried: Set<MemberState<M>>,
  failed: A,
  retry: RetryOptions,
  signal: StopSignal,
): Promise<A> {
  const maxAttempts = retry.attempts ??
    Math.max(balancer.retriesRounds ? 2 : 1, balancer.members.length);
  let rounds = 0;
  for (let last = failed;;) {
    const again = delivery.attempts < maxAttempts && !signal.aborted &&
      !isFinal(last, delivery.repeatable, retry.codes);
    if (!again) return last;
    // what never arrived is no burden to anybody
    if (last.undelivered !== true && !balancer.budget.withdraw()) {
      balancer.repeats.refused++;
      return last;
    }
    await last.body?.cancel();
    balancer.repeats.retries++;
    let state = balancer.choose(delivery, tried);
    while (state === undefined) {
      // every member that may be asked has been: wait a little and start over, if that is wanted
      if (!balancer.retriesRounds || tried.size === 0) return last;
      tried.clear();
      await backoff(rounds++, retry, signal);
      if (signal.aborted) return last;
      state = balancer.choose(delivery, tried);
    }
    tried.add(state);
    delivery.attempts++;
    last = await ask(balancer, delivery, state, tried, signal);
  }
}

/** Asks a member, and where it is wanted a second one when that takes long. */
function ask<M extends Upstream, A extends Attempt>(
  balancer: Balancer<M>,
  delivery: Delivery<M, A>,
  state: MemberState<M>,
  tried: Set<MemberState<M>> | undefined,
  signal: StopSignal,
): Promise<A> | A {
  return tried !== undefined && isHedged(delivery)
    ? hedged(balancer, delivery, state, tried, delivery.hedgeMs!, signal)
    : attempt(balancer, delivery, state, signal);
}

function isHedged({ hedgeMs, repeatable }: { hedgeMs?: number; repeatable: boolean }): boolean {
  return hedgeMs !== undefined && repeatable;
}

/** Whether an outcome tells that the member has a problem. */
export function isMemberFault(outcome: Attempt, codes: readonly number[] = []): boolean {
  const { status, statusCode, error } = outcome;
  if (status === 1) return true;
  if (status === 3) return codes.includes(statusCode);
  if (status !== 2) return false;
  // 718 and 719 are about what was wanted, not about who answered
  return outcome.undelivered === true ||
    (error instanceof BackendError && statusCode !== 718 && statusCode !== 719);
}

/** Whether an outcome that is no fault of the member's tells that it is there. */
function hasAnswered({ status, statusCode }: Attempt): boolean {
  // a request that could not be made, such as one whose body broke off, says nothing about it
  return status === 3 || (status === 2 && statusCode !== 701);
}

/** Whether an outcome is not worth another attempt. */
function isFinal(
  outcome: Attempt,
  repeatable: boolean,
  codes: readonly number[] | undefined,
): boolean {
  if (outcome.status === 3) return !repeatable || codes?.includes(outcome.statusCode) !== true;
  if (outcome.status !== 2 || !isMemberFault(outcome)) return true;
  return !repeatable && outcome.undelivered !== true;
}

function attempt<M extends Upstream, A extends Attempt>(
  balancer: Balancer<M>,
  delivery: Delivery<M, A>,
  state: MemberState<M>,
  signal: StopSignal,
): Promise<A> | A {
  const begun = balancer.begin(state);
  let asked: Promise<A> | A;
  try {
    asked = delivery.ask(state.member, signal);
  } catch (error) {
    asked = Promise.reject(error);
  }
  const end = (outcome: A): A => {
    const isGivenUp = outcome.status === 1 && faster !== undefined && signal.reason === faster;
    const how = isGivenUp
      ? "given-up"
      : isMemberFault(outcome, balancer.failureCodes)
      ? "failed"
      : hasAnswered(outcome)
      ? "answered"
      : "given-up";
    balancer.end(state, begun, how, outcome.error);
    return outcome;
  };
  if (!(asked instanceof Promise)) return end(asked);
  return asked.then(end, (error) => {
    balancer.end(state, begun, "given-up");
    throw error;
  });
}

/** Asks a second member when the first takes long; the first good answer wins. */
async function hedged<M extends Upstream, A extends Attempt>(
  balancer: Balancer<M>,
  delivery: Delivery<M, A>,
  first: MemberState<M>,
  tried: Set<MemberState<M>>,
  hedgeMs: number,
  signal: StopSignal,
): Promise<A> {
  const stops: AbortController[] = [];
  const start = (state: MemberState<M>) => {
    const stop = new AbortController();
    const number = stops.push(stop) - 1;
    const either = AbortSignal.any([abortSignalOf(signal), stop.signal]);
    return Promise.resolve(attempt(balancer, delivery, state, either))
      .then((outcome) => ({ outcome, number }));
  };
  const one = start(first);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const slow = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), hedgeMs);
  });
  const early = await Promise.race([one, slow]);
  clearTimeout(timer);
  if (early !== undefined || signal.aborted) return (await one).outcome;
  const second = balancer.choose(delivery, tried);
  if (second === undefined) return (await one).outcome;
  if (!balancer.budget.withdraw()) {
    balancer.repeats.refused++;
    return (await one).outcome;
  }
  tried.add(second);
  balancer.repeats.hedges++;
  const both = [one, start(second)];
  let winner = await Promise.race(both);
  if (winner.outcome.status !== 3) winner = await both[1 - winner.number]!;
  if (winner.number === 1) balancer.repeats.hedgesWon++;
  const loser = 1 - winner.number;
  faster ??= new DOMException("Another member was faster", "AbortError");
  stops[loser]!.abort(faster);
  // one that was answered in the same moment has a body nobody will read
  both[loser]!.then(({ outcome }) => outcome.body?.cancel()).catch(() => {
    // it broke while it was given up
  });
  return winner.outcome;
}

/** A random time up to one that doubles with each round. */
async function backoff(
  round: number,
  retry: RetryOptions,
  signal: StopSignal,
): Promise<void> {
  const most = Math.min(retry.maxBackoffMs ?? 1000, (retry.backoffMs ?? 25) * 2 ** round);
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, Math.random() * most);
    signal.addEventListener("abort", done, { once: true });
  });
}

function barred(): BackendError {
  return new BackendError("no member may be asked: all are stopped or cut off by breakers", 714, {
    code: "BREAKER_OPEN",
    attempts: 0,
  });
}
