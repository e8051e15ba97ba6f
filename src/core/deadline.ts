/**
 * Time limits of many requests at once. Those of the same length share one timer of the runtime.
 *
 * @module
 */

import { loadTimers } from "./later.ts";
import { type Linked, LinkedList } from "./linked_list.ts";
import { Stop } from "./stop.ts";

/** What has a time limit. */
export interface Expiring {
  /** Called once when the time is over. */
  expire(): void;
}

/** Limits of one length, soonest first. */
class Lane {
  readonly #ms: number;
  readonly #limits = new LinkedList<Deadline>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whom the timer is for. */
  #next: Deadline | undefined;

  constructor(ms: number) {
    this.#ms = ms;
  }

  add(deadline: Deadline): void {
    let before = this.#limits.last;
    // one that is set late for a request made early belongs further to the front
    while (before !== undefined && before.dueAt > deadline.dueAt) before = before.before;
    this.#limits.insert(deadline, before);
    if (before === undefined) this.#arm(deadline);
  }

  take(deadline: Deadline): void {
    this.#limits.remove(deadline);
    // it may come back with another time, which this timer is not for
    if (this.#next === deadline) this.#next = undefined;
    // a timer that is too early only looks again; one for nothing would keep the process alive
    if (this.#limits.size === 0) {
      this.#disarm();
      lanes.delete(this.#ms);
    }
  }

  #disarm(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Sets the timer anew: there must never be two, since each takes its first for due. */
  #arm(first: Deadline): void {
    this.#disarm();
    this.#next = first;
    const ms = Math.max(0, Math.ceil(first.dueAt - performance.now()));
    this.#timer = setTimeout(this.#look, ms);
  }

  #look = (): void => {
    const now = performance.now();
    let next = this.#next;
    const limits = this.#limits;
    try {
      for (let due = limits.first; due !== undefined; due = limits.first) {
        // the timer is what counts: the clock may have been read a moment before
        if (due !== next && due.dueAt > now) break;
        // one that is set again now has a time of its own
        next = undefined;
        due.expireNow();
      }
    } finally {
      if (limits.first !== undefined) this.#arm(limits.first);
    }
  };
}

const lanes = new Map<number, Lane>();

/** A signal to stop that comes with a time limit. */
export class Deadline extends Stop implements Linked<Deadline> {
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
    loadTimers();
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
