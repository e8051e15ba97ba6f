/**
 * Makes work of a known kind last as long on every machine, and on one whose speed changes.
 *
 * @module
 */

import { median } from "./harness.ts";

/** How many steps are taken at least and at most. */
const MIN_STEPS = 100_000;
const MAX_STEPS = 100_000_000;
/** How many runs are looked back on: one says little on a noisy machine. */
const LOOKS_BACK = 3;

/** How many steps last about that long, by the runs so far. */
export class Steps {
  readonly #milliseconds: number;
  readonly #rates: number[] = [];

  /** Knows nothing yet: the first run is a short one. */
  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds;
  }

  /** Steps of the next run. */
  get next(): number {
    if (this.#rates.length === 0) return 2 * MIN_STEPS;
    const steps = Math.round(median(this.#rates.slice(-LOOKS_BACK)) * this.#milliseconds);
    return Math.min(Math.max(steps, MIN_STEPS), MAX_STEPS);
  }

  /** Takes down how long a run took. */
  ran(steps: number, milliseconds: number): void {
    this.#rates.push(steps / milliseconds);
  }
}
