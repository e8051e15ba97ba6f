/**
 * How many streams an HTTP/2 client may reset.
 *
 * @module
 */

/** Resets in a row that are nobody's business: a page with many images that is left. */
const BURST = 200;
/** And so many a second for as long as the connection lasts. */
const PER_SECOND = 20;

/** A bucket of resets that fills with time. */
export class ResetBudget {
  #left = BURST;
  #filledAt = performance.now();

  /** Takes one. False when there is none left: this client opens streams in order to reset them. */
  take(now: number = performance.now()): boolean {
    this.#left = Math.min(BURST, this.#left + (now - this.#filledAt) * PER_SECOND / 1000) - 1;
    this.#filledAt = now;
    return this.#left >= 0;
  }
}
