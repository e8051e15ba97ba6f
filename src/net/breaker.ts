/**
 * Stops asking a member that only fails, and tries it again with single requests.
 *
 * @module
 */

/** Options of a {@link Breaker}. */
export interface BreakerOptions {
  /** Failures in a row that open it. Default 5. */
  readonly fails?: number;
  /** Milliseconds it stays open; doubled each time a trial fails. Default 5000. */
  readonly openMs?: number;
  /** Most milliseconds it stays open. Default 60 000. */
  readonly maxOpenMs?: number;
  /** Requests at once that try whether the member is back. Default 1. */
  readonly trials?: number;
}

/** Where a breaker stands. */
export type BreakerState = "closed" | "open" | "half-open";

/** A breaker of one member. */
export class Breaker {
  readonly #fails: number;
  readonly #openMs: number;
  readonly #maxOpenMs: number;
  readonly #trials: number;
  #state: BreakerState = "closed";
  #failures = 0;
  #until = 0;
  #times = 0;
  #trying = 0;
  /** How often it has been half-open. */
  #period = 0;

  /** Makes a closed one. */
  constructor(options: BreakerOptions = {}) {
    this.#fails = options.fails ?? 5;
    this.#openMs = options.openMs ?? 5000;
    this.#maxOpenMs = Math.max(this.#openMs, options.maxOpenMs ?? 60_000);
    this.#trials = options.trials ?? 1;
  }

  /** Where it stands, as of the last request. */
  get state(): BreakerState {
    return this.#state;
  }

  /** Whether a request may go. @param now Milliseconds. */
  allows(now: number): boolean {
    if (this.#state === "closed") return true;
    if (this.#state === "open") return now >= this.#until;
    return this.#trying < this.#trials;
  }

  /**
   * A request goes. It must be ended by {@link succeed}, {@link fail} or {@link abandon}, which take
   * what this returns: once it has opened, only trials of the present say how the member is.
   *
   * @param now Milliseconds.
   */
  begin(now: number): number {
    if (this.#state === "open" && now >= this.#until) {
      this.#state = "half-open";
      this.#period++;
    }
    if (this.#state !== "half-open") return 0;
    this.#trying++;
    return this.#period;
  }

  /** It was answered. */
  succeed(begun: number): void {
    if (this.#isOld(begun)) return;
    this.#failures = 0;
    if (this.#state === "half-open") this.reset();
  }

  /** It failed. @param now Milliseconds. */
  fail(begun: number, now: number): void {
    if (this.#isOld(begun)) return;
    this.#failures++;
    if (this.#state === "closed" && this.#failures < this.#fails) return;
    this.#state = "open";
    this.#trying = 0;
    this.#until = now + Math.min(this.#maxOpenMs, this.#openMs * 2 ** Math.min(this.#times, 20));
    this.#times++;
  }

  /** It was given up, which says nothing about the member. */
  abandon(begun: number): void {
    if (this.#state === "half-open" && !this.#isOld(begun)) this.#trying--;
  }

  /** Closes it, as if nothing had been. */
  reset(): void {
    this.#state = "closed";
    this.#failures = 0;
    this.#times = 0;
    this.#trying = 0;
  }

  /** Whether a request was begun before what happens now, and is no trial. */
  #isOld(begun: number): boolean {
    if (this.#state === "closed") return false;
    return this.#state === "open" || begun !== this.#period;
  }
}
