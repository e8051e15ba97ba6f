/**
 * Keeps repeated requests a small share of all, so that a backend in trouble is not buried by them.
 *
 * @module
 */

/** Options of a {@link RetryBudget}. */
export interface RetryBudgetOptions {
  /** Repetitions per request, over time. Default 0.2. */
  readonly share?: number;
  /** Repetitions a second that are always allowed. Default 10. */
  readonly minPerSecond?: number;
}

/** Repetitions that can be saved up. */
const MAX_SAVED = 100;

/** Counts requests and the repetitions they pay for. */
export class RetryBudget {
  readonly #share: number;
  readonly #perSecond: number;
  readonly #now: () => number;
  #saved = 0;
  #free: number;
  #filledAt: number;

  /** @param now Clock, milliseconds. */
  constructor(options: RetryBudgetOptions, now: () => number) {
    this.#share = options.share ?? 0.2;
    this.#perSecond = options.minPerSecond ?? 10;
    this.#now = now;
    this.#free = this.#perSecond;
    this.#filledAt = now();
  }

  /** A request has been made. */
  deposit(): void {
    if (this.#saved < MAX_SAVED) this.#saved += this.#share;
  }

  /** Takes one repetition; false when there is none left. */
  withdraw(): boolean {
    const now = this.#now();
    const earned = (now - this.#filledAt) / 1000 * this.#perSecond;
    this.#free = Math.min(this.#perSecond, this.#free + earned);
    this.#filledAt = now;
    if (this.#free >= 1) this.#free--;
    // a hundred fifths are not quite twenty
    else if (this.#saved > 0.999_999) this.#saved--;
    else return false;
    return true;
  }
}
