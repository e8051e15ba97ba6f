/**
 * Takes a member that fails out of use for a while, longer each time.
 *
 * @module
 */

/** Options of an {@link Ejection}. */
export interface EjectionOptions {
  /** Failures in a row that eject it. Default 3. */
  readonly fails?: number;
  /** Milliseconds it is out at first; doubled each time. Default 1000. */
  readonly baseMs?: number;
  /** Most milliseconds it is out. Default 60 000. */
  readonly maxMs?: number;
  /** Status codes that count as failures besides those of the network. Default none. */
  readonly codes?: readonly number[];
}

/** Whether one member is out because of its errors. */
export class Ejection {
  readonly #fails: number;
  readonly #baseMs: number;
  readonly #maxMs: number;
  #failures = 0;
  #times = 0;
  #until = -Infinity;

  /** A member that is in use. */
  constructor(options: EjectionOptions = {}) {
    this.#fails = options.fails ?? 3;
    this.#baseMs = options.baseMs ?? 1000;
    this.#maxMs = Math.max(this.#baseMs, options.maxMs ?? 60_000);
  }

  /** Whether it is out. @param now Milliseconds. */
  isOut(now: number): boolean {
    return now < this.#until;
  }

  /** Whether it has failed lately. */
  get marked(): boolean {
    return this.#failures > 0 || this.#times > 0;
  }

  /** How often it has been ejected in a row. */
  get times(): number {
    return this.#times;
  }

  /** The member answered. One that answers although it is out, because all are, is taken back. */
  succeed(now: number): void {
    this.#failures = 0;
    if (this.#times === 0) return;
    const isLongAgo = now - this.#until > this.#lastMs();
    if (isLongAgo) this.#times = 0;
    if (now < this.#until) this.#until = now;
  }

  /** The member failed; true when that ejects it. */
  fail(now: number): boolean {
    this.#failures++;
    if (this.#failures < this.#fails || now < this.#until) return false;
    this.#times++;
    this.#until = now + this.#lastMs();
    // when it comes back, one failure is enough
    this.#failures = this.#fails - 1;
    return true;
  }

  /** Takes it back at once. */
  restore(): void {
    this.#failures = 0;
    this.#times = 0;
    this.#until = -Infinity;
  }

  #lastMs(): number {
    return Math.min(this.#maxMs, this.#baseMs * 2 ** Math.min(this.#times - 1, 20));
  }
}
