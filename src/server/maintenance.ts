/**
 * The maintenance timer of a worker: jobs that run every so many seconds beside the requests.
 *
 * @module
 */

import { type Cancel, later } from "../core/later.ts";
import type { Log } from "../core/log.ts";

/** Seconds between two runs of a job that does not say otherwise. */
export const MAINTENANCE_SECONDS = 10;

/** A job of the timer; it is told the time in milliseconds since 1970. */
export type MaintenanceJob = (now: number) => void | Promise<void>;

interface Entry {
  readonly name: string;
  readonly job: MaintenanceJob;
  readonly intervalMs: number;
  running: boolean;
  /** Ends the wait for its next run. */
  unwait: Cancel | undefined;
}

/**
 * Runs jobs periodically: closing idle connections, expiring backend sockets, maintenance hooks of apps.
 * A job that throws is logged and runs again next time; one that is still running is not started twice.
 * The timer does not keep the process alive.
 */
export class Maintenance implements Disposable {
  #log: Log;
  #entries = new Set<Entry>();

  /** Makes a timer without jobs. Errors go to the log. */
  constructor(log: Log) {
    this.#log = log;
  }

  /**
   * Adds a job and returns a function that takes it away. Default: every 10 seconds.
   *
   * @throws {RangeError} for an interval that is not above 0.
   */
  add(name: string, job: MaintenanceJob, seconds: number = MAINTENANCE_SECONDS): () => void {
    if (!(seconds > 0)) {
      throw new RangeError(`Cannot run "${name}" every ${seconds} seconds: expected more than 0`);
    }
    const entry: Entry = {
      name,
      job,
      intervalMs: seconds * 1000,
      running: false,
      unwait: undefined,
    };
    this.#entries.add(entry);
    this.#arm(entry);
    return () => {
      entry.unwait?.();
      this.#entries.delete(entry);
    };
  }

  /** Stops all jobs. */
  [Symbol.dispose](): void {
    for (const { unwait } of this.#entries) unwait?.();
    this.#entries.clear();
  }

  #arm(entry: Entry): void {
    entry.unwait = later(entry.intervalMs, () => {
      this.#arm(entry);
      void this.#run(entry);
    });
  }

  async #run(entry: Entry): Promise<void> {
    if (entry.running) return;
    entry.running = true;
    try {
      await entry.job(Date.now());
    } catch (error) {
      this.#log.trace(error, `maintenance/${entry.name}`);
    } finally {
      entry.running = false;
    }
  }
}
