/**
 * The logs of a worker: `server`, `app`, `request` and those an app makes, on the console, in files,
 * or both.
 *
 * @module
 */

import { join } from "../core/file_path.ts";
import type { Log, LogCycle, Logger } from "../core/log.ts";
import { formatLogEntry } from "../wire/log_line.ts";
import { ensureLogDirectory, LogFile } from "./log_files.ts";
import {
  cyclesOf,
  LogRotationClock,
  recordCycle,
  rotateFiles,
  STANDARD_CYCLES,
} from "./log_rotation.ts";
import type { LineSink } from "./logs_batch.ts";
import { ConsoleWriter } from "./logs_console.ts";
import { checkNewLog, EarlyLogger, traceText } from "./logs_early.ts";

export type { LineSink } from "./logs_batch.ts";

/** Options of {@link createLogger}. */
export interface LoggerOptions {
  /** Directory for `<name>.log` files; created when missing. Default: no files, the console only. */
  readonly directory?: string;
  /** Write to standard output too. Always on without a directory, since logs must go somewhere. */
  readonly console: boolean;
  /**
   * This logger owns the rotation: files that are due are rotated when it starts and at midnight. One
   * logger of a directory should: the supervisor's, or that of the single process. Default false.
   */
  readonly owner?: boolean;
  /** Old files to keep of each log. Default 30. */
  readonly keep?: number;
  /** Logger that was used until now: the logs that an {@link EarlyLogger} has made are made here. */
  readonly before?: Logger;
  /** What `before` has put on the console goes to the files too. Default true. */
  readonly takesEarly?: boolean;
  /** Time source of the rotation, not of the lines. Default: the system clock. */
  readonly now?: () => Date;
}

/** A logger with what its worker needs to run it. */
export interface LoggerHandle extends Logger, Disposable {
  /** The log of that name as a sink for lines that have a format of their own. @throws {TypeError} when there is none. */
  lines(name: string): LineSink;
  /** Opens all files again, after somebody renamed them. Writers notice by themselves within a second. */
  reopen(): void;
  /** Writes what is waiting. */
  flush(): void;
  /** Writes what is waiting and closes the files. Lines that come later are still written, one by one. */
  close(): void;
}

/** Types whose entries are written at once, since the next thing may be the end. */
const URGENT: ReadonlySet<string> = new Set(["error", "fatal", "expt"]);

/** Several workers pass on the request to rotate; the first of them does it. */
const ROTATED_BY_OTHERS_MS = 10_000;

/**
 * Default directory of the log files of a service: `/var/log/skitai/<name>`, below `%ProgramData%` on
 * Windows. Colons, blanks and slashes in the name become `-`.
 */
export function defaultLogDirectory(serviceName: string): string {
  const base = Deno.build.os === "windows"
    ? join(Deno.env.get("ProgramData") ?? "C:\\ProgramData", "skitai", "log")
    : "/var/log/skitai";
  return join(base, serviceName.replaceAll(/[:\s/\\]/g, "-"));
}

/**
 * Makes the logs of a worker. Files are opened for appending, so any number of workers and processes may
 * log to one directory.
 *
 * @throws {ConfigError} naming the directory or file that cannot be written.
 */
export function createLogger(options: LoggerOptions): LoggerHandle {
  return new WorkerLogger(options);
}

class WorkerLogger implements LoggerHandle {
  #directory: string | undefined;
  #owner: boolean;
  #keep: number | undefined;
  #console: ConsoleWriter | undefined;
  #logs = new Map<string, WorkerLog>();
  #clock: LogRotationClock | undefined;
  #now: () => Date;
  #flush = () => this.flush();

  constructor(options: LoggerOptions) {
    const { directory, console, owner = false, keep, before, takesEarly = true, now } = options;
    this.#now = now ?? (() => new Date());
    this.#directory = directory;
    this.#owner = owner;
    this.#keep = keep;
    if (console || directory === undefined) this.#console = new ConsoleWriter();
    if (directory !== undefined) ensureLogDirectory(directory);
    try {
      for (const name of Object.keys(STANDARD_CYCLES)) this.#logs.set(name, this.#open(name));
      if (before instanceof EarlyLogger) {
        const early = before.moveTo(this);
        if (takesEarly) early.forEach(({ name, line }) => this.#find(name).file?.write(line));
      }
      if (directory !== undefined && owner) this.#startClock(directory);
    } catch (error) {
      this.close();
      throw error;
    }
    for (const event of LAST_EVENTS) addEventListener(event, this.#flush);
  }

  get(name: string): Log {
    return this.#find(name);
  }

  lines(name: string): LineSink {
    return this.#find(name);
  }

  makeLogger(name: string, cycle: LogCycle = "daily"): Log {
    checkNewLog(name, cycle, this.#logs);
    const log = this.#open(name);
    this.#logs.set(name, log);
    if (this.#directory !== undefined) {
      try {
        recordCycle(this.#directory, name, cycle);
      } catch (error) {
        // A full disk, say: the log is there, and waits for room like the others. Only its rotation is not.
        this.get("server").trace(error);
      }
    }
    return log;
  }

  rotate(): void {
    if (this.#directory === undefined) return;
    this.flush();
    // The owner may be a process without apps: it rotates what others have made, too.
    this.#rotate(
      this.#directory,
      (directory) => Object.keys(cyclesOf(directory)),
      this.#owner ? 0 : ROTATED_BY_OTHERS_MS,
    );
  }

  reopen(): void {
    for (const log of this.#logs.values()) log.file?.reopen();
  }

  flush(): void {
    for (const log of this.#logs.values()) log.file?.flush();
    this.#console?.flush();
  }

  close(): void {
    for (const event of LAST_EVENTS) removeEventListener(event, this.#flush);
    this.#clock?.stop();
    for (const log of this.#logs.values()) log.file?.close();
    this.#console?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #find(name: string): WorkerLog {
    const log = this.#logs.get(name);
    if (log === undefined) {
      const known = [...this.#logs.keys()].join(", ");
      throw new TypeError(`There is no log ${JSON.stringify(name)}; known are ${known}`);
    }
    return log;
  }

  #open(name: string): WorkerLog {
    const file = this.#directory === undefined
      ? undefined
      : new LogFile(join(this.#directory, `${name}.log`));
    return new WorkerLog(file, this.#console);
  }

  #startClock(directory: string): void {
    this.#clock = new LogRotationClock({
      directory,
      now: this.#now,
      onDue: (names) => {
        this.flush();
        this.#rotate(directory, () => names, 0);
      },
    });
    this.#clock.start();
  }

  /** Rotates what there is and opens all files again. Whoever asks for it has nothing to do with a failure. */
  #rotate(
    directory: string,
    names: (directory: string) => string[],
    unlessWithinMs: number,
  ): void {
    let failure: unknown;
    try {
      // Whoever has removed it may want new files.
      ensureLogDirectory(directory);
      rotateFiles(directory, names(directory), this.#now(), { keep: this.#keep, unlessWithinMs });
    } catch (error) {
      failure = error;
    }
    this.reopen();
    // The logs go on in the files they have; whoever reads them must learn why these grow.
    if (failure !== undefined) this.get("server").trace(failure);
  }
}

/** What a process or worker may still run before it ends without closing its logs. */
const LAST_EVENTS = ["unload", "error", "unhandledrejection"] as const;

class WorkerLog implements Log, LineSink {
  readonly file: LogFile | undefined;
  #console: ConsoleWriter | undefined;

  constructor(file: LogFile | undefined, console: ConsoleWriter | undefined) {
    this.file = file;
    this.#console = console;
  }

  log(text: string, type = "info", id = ""): void {
    const line = formatLogEntry({ time: Date.now(), type, id, text: String(text) });
    this.#console?.writeEntry(line, type);
    if (this.file === undefined) return;
    this.file.write(line);
    if (URGENT.has(type)) this.file.flush();
  }

  trace(error: unknown, id = ""): void {
    this.log(traceText(error), "expt", id);
  }

  write(line: string): void {
    this.file?.write(line);
    this.#console?.write(line);
  }
}

/** A logger whose logs all go to the console, until the service opens its own. */
export function consoleLogger(): Logger {
  return new EarlyLogger();
}
