/**
 * Time limits of many requests at once. Those of the same length share one timer of the runtime.
 *
 * @module
 */

import { Stop } from "./stop.ts";

/** What has a time limit. */
export interface Expiring {
  /** Called once when the time is over. */
  expire(): void;
}

/** Limits of one length, soonest first. */
class Lane {
  readonly #ms: number;
  first: Deadline | undefined;
  last: Deadline | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whom the timer is for. */
  #next: Deadline | undefined;

  constructor(ms: number) {
    this.#ms = ms;
  }

  add(deadline: Deadline): void {
    let before = this.last;
    // one that is set late for a request made early belongs further to the front
    while (before !== undefined && before.dueAt > deadline.dueAt) before = before.before;
    const after = before === undefined ? this.first : before.after;
    deadline.before = before;
    deadline.after = after;
    if (before === undefined) this.first = deadline;
    else before.after = deadline;
    if (after === undefined) this.last = deadline;
    else after.before = deadline;
    if (before === undefined) this.#arm();
  }

  take(deadline: Deadline): void {
    const { before, after } = deadline;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after === undefined) this.last = before;
    else after.before = before;
    deadline.before = deadline.after = undefined;
    // a timer that is too early only looks again; one for nothing would keep the process alive
    if (this.first === undefined) {
      this.#disarm();
      lanes.delete(this.#ms);
    }
  }

  #disarm(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Sets the timer anew: there must never be two, since each takes its first for due. */
  #arm(): void {
    this.#disarm();
    this.#next = this.first;
    const ms = Math.max(0, Math.ceil(this.first!.dueAt - performance.now()));
    this.#timer = setTimeout(this.#look, ms);
  }

  #look = (): void => {
    const now = performance.now();
    const next = this.#next;
    try {
      for (let due = this.first; due !== undefined; due = this.first) {
        // the timer is what counts: the clock may have been read a moment before
        if (due !== next && due.dueAt > now) break;
        due.expireNow();
      }
    } finally {
      if (this.first !== undefined) this.#arm();
    }
  };
}

const lanes = new Map<number, Lane>();

/**
 * The runtime loads its timers when they are first used, and lets promises go on meanwhile, in the
 * middle of whatever needed one.
 */
let areTimersLoaded = false;

/** A signal to stop that comes with a time limit. */
export class Deadline extends Stop {
  readonly #owner: Expiring;
  #lane: Lane | undefined;
  /** `performance.now()` when the time is over. */
  dueAt = 0;
  /** The one that is due before it. @internal */
  before: Deadline | undefined = undefined;
  /** The one that is due after it. @internal */
  after: Deadline | undefined = undefined;

  /** Makes one without a limit; see {@link set}. */
  constructor(owner: Expiring) {
    super();
    this.#owner = owner;
    if (!areTimersLoaded) {
      areTimersLoaded = true;
      clearTimeout(setTimeout(() => {}, 0));
    }
  }

  /**
   * Sets the limit, or another one.
   *
   * @param from `performance.now()` from which it counts.
   * @param ms Milliseconds.
   */
  set(from: number, ms: number): void {
    const dueAt = from + ms;
    if (this.#lane !== undefined) {
      if (dueAt === this.dueAt) return;
      this.clear();
    }
    this.dueAt = dueAt;
    let lane = lanes.get(ms);
    if (lane === undefined) lanes.set(ms, lane = new Lane(ms));
    this.#lane = lane;
    lane.add(this);
  }

  /** Takes the limit away. */
  clear(): void {
    const lane = this.#lane;
    this.#lane = undefined;
    lane?.take(this);
  }

  /** Ends it as if its time had come. @internal */
  expireNow(): void {
    this.clear();
    this.#owner.expire();
  }
}
