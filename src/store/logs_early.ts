/**
 * Logs before the service has opened its own: while the start script runs.
 *
 * @module
 */

import { tracebackOf } from "../core/error_page.ts";
import { asError } from "../core/errors.ts";
import type { Log, LogCycle, Logger } from "../core/log.ts";
import { formatLogEntry } from "../wire/log_line.ts";
import { STANDARD_CYCLES } from "./log_rotation.ts";

/** Names that are safe in paths, and that cannot be mistaken for an old file of another log. */
const LOG_NAME = /^(?!.*-\d{8}(?:-|$))[A-Za-z0-9][\w.-]{0,63}$/;

/**
 * Checks what an app wants to make a log of.
 *
 * @param known Names that are taken.
 * @throws {TypeError} for a name that cannot be a file name, or is taken, and for an unknown cycle.
 */
export function checkNewLog(
  name: string,
  cycle: LogCycle,
  known: { has(name: string): boolean },
): void {
  if (!LOG_NAME.test(name)) {
    throw new TypeError(
      `Cannot make log ${
        JSON.stringify(name)
      }: expected up to 64 letters, digits or any of _ . - ` +
        "that do not look like the date of an old file",
    );
  }
  if (known.has(name)) {
    throw new TypeError(`Cannot make log ${JSON.stringify(name)}: there is one of that name`);
  }
  if (cycle !== "daily" && cycle !== "weekly" && cycle !== "monthly") {
    throw new TypeError(
      `Cannot rotate log ${JSON.stringify(name)} ${JSON.stringify(cycle)}: ` +
        "expected daily, weekly or monthly",
    );
  }
}

/** Stack of an error with those of its causes, and of the errors an `AggregateError` gathers. */
export function traceText(error: unknown): string {
  if (error === undefined) return "undefined was thrown, which says nothing about its place";
  const known = asError(error);
  const inner = known instanceof AggregateError ? known.errors : [];
  return [error, ...inner].map(tracebackOf).join("\nTogether with: ");
}

/** Entries to keep for the files: in a program that never runs a service they would only gather. */
const MAX_KEPT = 1000;

/** An entry that stands on the console and belongs into the file of its log. */
export interface EarlyEntry {
  /** Name of the log. */
  readonly name: string;
  /** The entry as it is written. */
  readonly line: string;
}

/**
 * Writes to the console, without files, batches or timers, until it is moved. Then whatever was got from
 * it, and every log that was made by it, belongs to the logger it was moved to.
 */
export class EarlyLogger implements Logger {
  #made = new Map<string, LogCycle>(Object.entries(STANDARD_CYCLES));
  #target: Logger | undefined;
  #kept: EarlyEntry[] = [];

  /** The log of that name. @throws {TypeError} when there is none. */
  get(name: string): Log {
    if (this.#target !== undefined) return this.#target.get(name);
    if (!this.#made.has(name)) {
      const known = [...this.#made.keys()].join(", ");
      throw new TypeError(`There is no log ${JSON.stringify(name)}; known are ${known}`);
    }
    return this.#early(name);
  }

  /** Makes a log; it is made again by the logger this one is moved to. @throws {TypeError} see {@link checkNewLog}. */
  makeLogger(name: string, cycle: LogCycle = "daily"): Log {
    if (this.#target !== undefined) return this.#target.makeLogger(name, cycle);
    checkNewLog(name, cycle, this.#made);
    this.#made.set(name, cycle);
    return this.#early(name);
  }

  /** There are no files here. */
  rotate(): void {
    this.#target?.rotate();
  }

  /**
   * Hands everything over, once: the first logger that is opened keeps it.
   *
   * @returns What has only been written to the console, the oldest entries.
   */
  moveTo(logger: Logger): readonly EarlyEntry[] {
    if (this.#target !== undefined) return [];
    for (const [name, cycle] of this.#made) {
      if (!(name in STANDARD_CYCLES)) logger.makeLogger(name, cycle);
    }
    this.#target = logger;
    const kept = this.#kept;
    this.#kept = [];
    return kept;
  }

  #early(name: string): Log {
    const log: Log = {
      log: (text, type = "info", id = "") => {
        if (this.#target !== undefined) return this.#target.get(name).log(text, type, id);
        const line = formatLogEntry({ time: Date.now(), type, id, text: String(text) });
        if (this.#kept.length < MAX_KEPT) this.#kept.push({ name, line });
        // deno-lint-ignore no-console -- the console is where these lines belong
        console.log(line);
      },
      trace: (error, id) => log.log(traceText(error), "expt", id),
    };
    return log;
  }
}
