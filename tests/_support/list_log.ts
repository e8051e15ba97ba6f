/**
 * A log that keeps its lines.
 *
 * @module
 */

import type { Log } from "../../src/core/log.ts";

/** A log and what was written to it, as `type:id text`. */
export interface ListLog extends Log {
  /** Lines so far. */
  readonly lines: string[];
}

/** Makes an empty one. */
export function listLog(): ListLog {
  const lines: string[] = [];
  return {
    lines,
    log: (text, type = "info", id = "") => void lines.push(`${type}:${id} ${text}`),
    trace: (error, id = "") =>
      void lines.push(`expt:${id} ${error instanceof Error ? error.stack : String(error)}`),
  };
}
