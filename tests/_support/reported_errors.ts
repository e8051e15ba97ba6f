/**
 * Errors that nobody catches, which would end the test run otherwise.
 *
 * @module
 */

/** Collects them for as long as it is in use. */
export class ReportedErrors implements Disposable {
  /** Those that have come so far. */
  readonly seen: unknown[] = [];
  readonly #listen = (event: ErrorEvent): void => {
    event.preventDefault();
    this.seen.push(event.error);
  };

  /** Starts to collect. */
  constructor() {
    globalThis.addEventListener("error", this.#listen);
  }

  [Symbol.dispose](): void {
    globalThis.removeEventListener("error", this.#listen);
  }
}
