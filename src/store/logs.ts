/**
 * Logs on the console and in files.
 *
 * @module
 */

import { asError } from "../core/errors.ts";
import type { Log, Logger } from "../core/log.ts";

/** A logger whose logs all go to the console. */
export function consoleLogger(): Logger {
  const log: Log = {
    // deno-lint-ignore no-console -- the console is where these lines belong
    log: (text, type = "info", id = "") => console.log(`[${type}${id ? `:${id}` : ""}] ${text}`),
    trace: (error, id) => log.log(asError(error).stack ?? String(error), "expt", id),
  };
  return { get: () => log, makeLogger: () => log, rotate: () => {} };
}
