/**
 * How long to wait before something that died is started again.
 *
 * @module
 */

/** Wait after the first of a row of failures, in milliseconds; it doubles with each further one. */
const FIRST_MS = 1000;
/** Longest wait. */
const LONGEST_MS = 30_000;
/** Deaths in service that are answered at once before they count as a loop. */
const FREE_DEATHS = 3;
/** Who served this long is not in a loop. */
const STABLE_MS = 60_000;

/**
 * Nothing waits after a death in service, so that a single crash costs as little as possible; several
 * within a minute, and every failed start, are a loop: 1, 2, 4 … 30 seconds.
 */
export class Backoff {
  #deaths = 0;
  #row = 0;

  /** Milliseconds to wait, after what lived for this many milliseconds in service; 0 for never served. */
  next(servedMs: number): number {
    if (servedMs >= STABLE_MS) this.reset();
    if (servedMs > 0 && ++this.#deaths <= FREE_DEATHS) return 0;
    return Math.min(FIRST_MS * 2 ** this.#row++, LONGEST_MS);
  }

  /** Forgets what was. */
  reset(): void {
    this.#deaths = 0;
    this.#row = 0;
  }
}
