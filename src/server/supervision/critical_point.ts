/**
 * Watches how busy the workers are and names those that should be replaced.
 *
 * @module
 */

import type { Log } from "../../core/log.ts";
import type { CriticalPoint } from "../service.ts";
import { threadSeconds } from "./cpu_time.ts";

/** A worker as the watch sees it. */
export interface Watched {
  /** Number of the worker. */
  readonly index: number;
  /** Its name for log lines. */
  readonly name: string;
  /** Its thread; a replaced worker has another. */
  readonly tid: number;
}

/** Average load in percent that is worth a log line. */
const NOTABLE_PERCENT = 10;

interface Record {
  seconds: number;
  at: number;
  over: number;
}

/**
 * Every `interval` seconds the processor share of each worker since the last sample is taken. A worker at
 * or above `cpuPercent` for `continuous` samples in a row is overloaded; one sample below starts the
 * count again.
 */
export class CriticalPointWatch {
  #point: CriticalPoint;
  #log: Log;
  #workers: () => readonly Watched[];
  #overloaded: (worker: Watched, percent: number) => void;
  #read: (tid: number) => number | undefined;
  #records = new Map<number, Record>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Makes the watch; it does nothing before {@link start}. */
  constructor(options: {
    readonly point: CriticalPoint;
    readonly log: Log;
    readonly workers: () => readonly Watched[];
    readonly overloaded: (worker: Watched, percent: number) => void;
    /** Where processor seconds come from; the system by default. */
    readonly read?: (tid: number) => number | undefined;
  }) {
    this.#point = options.point;
    this.#log = options.log;
    this.#workers = options.workers;
    this.#overloaded = options.overloaded;
    this.#read = options.read ?? threadSeconds;
  }

  /** Starts sampling. Where the system does not tell the load of threads, one line says so instead. */
  start(): void {
    if (this.#point.interval === 0) return;
    if (this.#workers().every(({ tid }) => this.#read(tid) === undefined)) {
      this.#log.log(
        "the load of workers cannot be read here; no critical point is watched",
        "warn",
      );
      return;
    }
    this.sample();
    this.#timer = setInterval(() => this.sample(), this.#point.interval * 1000);
  }

  /** Stops sampling. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Takes one sample of all workers, at this many milliseconds. */
  sample(now: number = performance.now()): void {
    const { cpuPercent, continuous } = this.#point;
    const seen = new Map<number, Record>();
    const over: [Watched, number][] = [];
    let sum = 0;
    let counted = 0;
    for (const worker of this.#workers()) {
      const seconds = this.#read(worker.tid);
      if (seconds === undefined) continue;
      const last = this.#records.get(worker.tid);
      const record = { seconds, at: now, over: last?.over ?? 0 };
      seen.set(worker.tid, record);
      if (last === undefined || now <= last.at) continue;
      const percent = (seconds - last.seconds) / (now - last.at) * 100_000;
      sum += percent;
      counted++;
      if (percent < cpuPercent) {
        record.over = 0;
      } else if (++record.over >= continuous) {
        record.over = 0;
        over.push([worker, percent]);
      }
    }
    this.#records = seen;
    if (counted > 0 && sum / counted >= NOTABLE_PERCENT) {
      this.#log.log(
        `average load of ${counted} worker(s): ${(sum / counted).toFixed(1)} %`,
        "info",
      );
    }
    for (const [worker, percent] of over) this.#overloaded(worker, percent);
  }
}
