/**
 * A logger that keeps its entries, put in place of the worker's for the time of a test.
 *
 * @module
 */

import type { Log, Logger } from "../../src/core/log.ts";
import { wac } from "../../src/was/wac.ts";

/** One entry. */
export interface RecordedEntry {
  /** Log it went to. */
  readonly at: string;
  /** Type. */
  readonly type: string;
  /** Id. */
  readonly id: string;
  /** Text, or the message of an error. */
  readonly text: string;
}

/** Records what the worker logs until it is disposed. */
export function recordLogs(): { readonly entries: RecordedEntry[] } & Disposable {
  const before = wac.logger;
  const entries: RecordedEntry[] = [];
  const get = (at: string): Log => ({
    log: (text, type = "info", id = "") => void entries.push({ at, type, id, text }),
    trace: (error, id = "") => void entries.push({ at, type: "expt", id, text: `${error}` }),
  });
  const logger: Logger = { get, makeLogger: get, rotate: () => {} };
  wac.logger = logger;
  return {
    entries,
    [Symbol.dispose]: () => {
      wac.logger = before;
    },
  };
}
