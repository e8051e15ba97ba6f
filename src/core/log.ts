/**
 * What the rest of the program needs of a log. The files behind it live in `store/logs`.
 *
 * @module
 */

/** Types that lines usually carry; any short text is allowed. */
export type LogType =
  | "info"
  | "warn"
  | "error"
  | "fatal"
  | "expt"
  | "debug"
  | (string & Record<never, never>);

/** One log. Lines look like `2026.01.31 12:00:00 [type:id] text`. */
export interface Log {
  /** Writes one entry; line breaks in the text are kept, so a stack stays readable. */
  log(text: string, type?: LogType, id?: string): void;
  /** Writes an error with its stack and causes as type `expt`. */
  trace(error: unknown, id?: string): void;
}

/** How often a log starts a new file. */
export type LogCycle = "daily" | "weekly" | "monthly";

/** The logs of one worker. */
export interface Logger {
  /** The log of that name. @throws {TypeError} when there is none. */
  get(name: "server" | "app" | "request" | (string & Record<never, never>)): Log;
  /** Makes another log. @throws {TypeError} when the name is taken. */
  makeLogger(name: string, cycle?: LogCycle): Log;
  /** Starts new files for all logs now. */
  rotate(): void;
}
