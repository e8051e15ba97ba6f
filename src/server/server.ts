/**
 * What `run` gives back.
 *
 * @module
 */

/** Exit code of a process that ended as asked. */
export const EXIT_NORMAL = 0;
/** Exit code of a process that could not start, or was told something it cannot do. */
export const EXIT_FAILED = 1;
/** Exit code of a process that wants to be started again. */
export const EXIT_RESTART = 3;

/** Seconds each phase of a shutdown may take where nothing else is said. */
export const DEFAULT_GRACE_SECONDS = 30;

/** What a worker is doing. */
export type WorkerState = "starting" | "serving" | "stopping";

/** A worker, as its master sees it. */
export interface WorkerInfo {
  /** Number, from 0. */
  readonly index: number;
  /** `worker #0`, `worker #1` … */
  readonly name: string;
  /** `W0`, `W1` …, as in the request log. */
  readonly id: string;
  /** What it is doing. */
  readonly state: WorkerState;
  /** Number of the operating system's thread, or 0 where that is unknown. */
  readonly tid: number;
  /** Milliseconds since 1970 when it began to serve; 0 before. */
  readonly servingSince: number;
  /** How often this worker was replaced. */
  readonly replaced: number;
}

/** A running service. */
export interface Server {
  /** Address in use. */
  readonly address: string;
  /** Port in use, also where the system chose it. */
  readonly port: number;
  /** The workers as they are now. */
  readonly workers: readonly WorkerInfo[];
  /** 0 for a normal end, 3 when a restart was requested. Final once `finished` has resolved. */
  readonly exitCode: number;
  /** Resolves with the exit code when the service has stopped. Never rejects. */
  readonly finished: Promise<number>;
  /**
   * Stops gracefully: refuses connections, lets running responses end, runs the unmount hooks, closes
   * pools and logs. Each phase may take the given seconds, 30 by default. A call during a shutdown
   * changes nothing and waits for the one that runs.
   *
   * @throws {RangeError} for a negative time.
   */
  shutdown(timeoutSeconds?: number): Promise<void>;
}

/** Long and short name of a worker. */
export function workerNames(index: number): { name: string; id: string } {
  return { name: `worker #${index}`, id: `W${index}` };
}

/** Milliseconds of a grace given in seconds. @throws {RangeError} for a negative time. */
export function graceMs(timeoutSeconds: number): number {
  if (typeof timeoutSeconds !== "number" || !(timeoutSeconds >= 0)) {
    throw new RangeError(`shutdown: expected seconds from 0, got ${String(timeoutSeconds)}`);
  }
  return Math.min(timeoutSeconds * 1000, 2 ** 31 - 1);
}
