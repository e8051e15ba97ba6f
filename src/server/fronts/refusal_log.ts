/**
 * Log lines about refused requests and cut connections, bounded: whoever floods the server must not
 * fill its disk.
 *
 * @module
 */

import type { Log } from "../../core/log.ts";

const LINES_PER_SECOND = 20;

/** Writes at most twenty lines a second, and one with the number of those left out. */
export class RefusalLog {
  readonly #log: Log;
  #second = 0;
  #written = 0;
  #left = 0;

  /** Lines go to this log. */
  constructor(log: Log) {
    this.#log = log;
  }

  /** One event: what happened to whom. */
  write(text: string): void {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) {
      this.flush();
      this.#second = second;
      this.#written = 0;
    }
    if (this.#written < LINES_PER_SECOND) {
      this.#written++;
      this.#log.log(text, "warn", "front");
    } else {
      this.#left++;
    }
  }

  /** Tells of the lines that were left out. */
  flush(): void {
    if (this.#left === 0) return;
    this.#log.log(`${this.#left} more refused or cut in the same second`, "warn", "front");
    this.#left = 0;
  }
}
