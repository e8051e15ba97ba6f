/**
 * One timer for all transfers of a front that may stall.
 *
 * @module
 */

import { loadTimers } from "../../core/later.ts";
import { type Listed, LiveList } from "../../core/live_list.ts";

/** Something that has to move on. */
export interface Transfer extends Listed {
  /** `performance.now()` of the last progress; infinite while nobody waits for any. */
  movedAt: number;
  /** Called once when it has not moved for the timeout. It has been removed by then. */
  stalled(): void;
}

/** Looks after transfers while there are any. A timeout is noticed within a quarter of it, or a second. */
export class StallWatch {
  readonly #transfers = new LiveList<Transfer>();
  readonly #timeoutMs: number;
  readonly #intervalMs: number;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Transfers may stand still for so many milliseconds. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#intervalMs = sweepInterval(timeoutMs);
  }

  /** Starts to look after a transfer. */
  add(transfer: Transfer): void {
    loadTimers();
    this.#transfers.add(transfer);
    this.#timer ??= setInterval(() => this.#sweep(), this.#intervalMs);
  }

  /** Stops looking after it. */
  remove(transfer: Transfer): void {
    if (this.#transfers.delete(transfer) && this.#transfers.size === 0) this.#stop();
  }

  /** Reports all transfers as stalled, for a front that has to end now. */
  stallAll(): void {
    for (const transfer of this.#transfers) {
      this.remove(transfer);
      transfer.stalled();
    }
  }

  #sweep(): void {
    const latest = performance.now() - this.#timeoutMs;
    for (const transfer of this.#transfers) {
      if (transfer.movedAt > latest) continue;
      this.remove(transfer);
      transfer.stalled();
    }
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** How often to look for timeouts of that length. */
export function sweepInterval(timeoutMs: number): number {
  return Math.min(1000, Math.max(20, timeoutMs / 4));
}
