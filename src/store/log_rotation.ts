/**
 * Rotation of log files: renaming them, throwing away the oldest, and knowing when it is time.
 *
 * One process owns the rotation of a directory. Writers need not be told: they notice within a second
 * that their file was renamed, and what they write until then goes to the renamed one.
 *
 * @module
 */

import { join } from "../core/file_path.ts";
import { type Cancel, later } from "../core/later.ts";
import type { LogCycle } from "../core/log.ts";
import { timeOfLine } from "../wire/log_line.ts";
import { warn } from "./logs_batch.ts";

/** Old files that are kept of each log. */
export const KEPT_FILES = 30;

/** The logs every server has, and how often each starts a new file. */
export const STANDARD_CYCLES: Readonly<Record<string, LogCycle>> = {
  server: "monthly",
  app: "daily",
  request: "daily",
};

/**
 * What the processes that write to a directory tell each other. It is also what they lock, since the
 * logs themselves change their names.
 */
const STATE_FILE = ".rotation.json";
const CYCLES: readonly string[] = ["daily", "weekly", "monthly"] satisfies LogCycle[];

/** Options of {@link rotateFiles}. */
export interface RotateOptions {
  /** Old files to keep of each log. Default 30. */
  readonly keep?: number;
  /**
   * Leave a log alone that anybody has rotated within this many milliseconds. For those who do not own the
   * rotation: one signal reaches them all. Default 0, rotate in any case.
   */
  readonly unlessWithinMs?: number;
}

/**
 * Renames `<name>.log` to `<name>-YYYYMMDD.log`, with the time appended where that name is taken, and
 * deletes all but the newest old files. Logs that are missing or empty are left alone. Several processes
 * may do this at once: they take turns, and no file is ever overwritten.
 *
 * @param directory Directory of the logs.
 * @param names Logs to rotate.
 * @param now Time that goes into the names, local. Default: now.
 * @returns Paths of the renamed files.
 * @throws {AggregateError} when some could not be renamed or deleted; the others have been.
 */
export function rotateFiles(
  directory: string,
  names: readonly string[],
  now: Date = new Date(),
  { keep = KEPT_FILES, unlessWithinMs = 0 }: RotateOptions = {},
): string[] {
  const renamed: string[] = [];
  const errors: unknown[] = [];
  withState(directory, (state) => {
    for (const name of names) {
      if (Math.abs(now.getTime() - (state.rotated[name] ?? 0)) < unlessWithinMs) continue;
      try {
        const path = rotateFile(directory, name, now);
        if (path === undefined) continue;
        renamed.push(path);
        state.rotated[name] = now.getTime();
        prune(directory, name, keep);
      } catch (error) {
        errors.push(error);
      }
    }
  });
  if (errors.length > 0) {
    throw new AggregateError(
      errors,
      `Cannot rotate ${errors.length} of ${names.length} logs in ${directory}: ${
        errors.join("; ")
      }`,
    );
  }
  return renamed;
}

function rotateFile(directory: string, name: string, now: Date): string | undefined {
  const path = join(directory, `${name}.log`);
  const info = statOf(path);
  // A link to a terminal, a pipe or /dev/null is nothing that could be renamed sensibly.
  if (info === undefined || !info.isFile || info.size === 0) return undefined;
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  const time = two(now.getHours()) + two(now.getMinutes()) + two(now.getSeconds());
  let target = join(directory, `${name}-${day}.log`);
  for (let count = 1; statOf(target) !== undefined; count++) {
    const number = count === 1 ? "" : `-${count}`;
    target = join(directory, `${name}-${day}-${time}${number}.log`);
  }
  Deno.renameSync(path, target);
  return target;
}

/** Old files of a log, oldest first. */
export function oldFiles(directory: string, name: string): string[] {
  const pattern = /-(\d{8})(?:-(\d{6})(?:-(\d+))?)?\.log$/;
  const found: { readonly file: string; readonly key: string }[] = [];
  for (const { name: file } of Deno.readDirSync(directory)) {
    const match = pattern.exec(file);
    if (match === null || file.slice(0, match.index) !== name) continue;
    const [, day, time = "", count = "1"] = match;
    found.push({ file, key: `${day}${time.padStart(6, " ")}${count.padStart(6, "0")}` });
  }
  return found.sort((a, b) => a.key < b.key ? -1 : 1).map(({ file }) => join(directory, file));
}

function prune(directory: string, name: string, keep: number): void {
  const files = oldFiles(directory, name);
  for (const file of files.slice(0, Math.max(0, files.length - keep))) Deno.removeSync(file);
}

function statOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

interface State {
  /** Cycles of the logs that are not standard. */
  readonly cycles: Record<string, LogCycle>;
  /** When each log was rotated last, milliseconds since the epoch. */
  readonly rotated: Record<string, number>;
}

/** An empty state, which need not be written: a full disk does not take it. */
const NOTHING = JSON.stringify({ cycles: {}, rotated: {} } satisfies State) + "\n";

/** Runs something while nobody else does, and keeps what it changes in the state. */
function withState<T>(directory: string, run: (state: State) => T): T {
  const path = join(directory, STATE_FILE);
  // Closing releases the lock.
  using file = Deno.openSync(path, { read: true, write: true, create: true, mode: 0o640 });
  file.lockSync(true);
  const before = readAll(file);
  const state = parseState(before, path);
  try {
    return run(state);
  } finally {
    const after = JSON.stringify(state) + "\n";
    if (after !== (before || NOTHING)) {
      // Over what is there, then cut: on a full disk, where rotation may help, no state is lost.
      const bytes = new TextEncoder().encode(after);
      file.seekSync(0, Deno.SeekMode.Start);
      writeAll(file, bytes);
      file.truncateSync(bytes.length);
    }
  }
}

function readAll(file: Deno.FsFile): string {
  const bytes = new Uint8Array(file.statSync().size);
  let length = 0;
  while (length < bytes.length) {
    const count = file.readSync(bytes.subarray(length));
    if (count === null) break;
    length += count;
  }
  return new TextDecoder().decode(bytes.subarray(0, length));
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(file.writeSync(rest));
}

/** A state that cannot be read, after a crash while it was written, costs the cycles of further logs at most. */
function parseState(text: string, path: string): State {
  const state: State = { cycles: {}, rotated: {} };
  if (text === "") return state;
  try {
    const parsed: unknown = JSON.parse(text);
    const { cycles, rotated } = parsed as Record<keyof State, unknown>;
    for (const [name, cycle] of Object.entries(cycles as object)) {
      if (CYCLES.includes(cycle)) state.cycles[name] = cycle;
    }
    for (const [name, time] of Object.entries(rotated as object)) {
      if (typeof time === "number") state.rotated[name] = time;
    }
  } catch (error) {
    warn(`Cannot read ${path}, it is begun anew: ${error}`);
  }
  return state;
}

/**
 * Notes how often a further log of a directory starts a new file, for the process that owns the
 * rotation, which may run no app code and so cannot know.
 */
export function recordCycle(directory: string, name: string, cycle: LogCycle): void {
  withState(directory, (state) => {
    state.cycles[name] = cycle;
  });
}

/** All logs of a directory with their cycles: the standard ones and those that were recorded. */
export function cyclesOf(directory: string): Record<string, LogCycle> {
  return withState(directory, ({ cycles }) => ({ ...cycles, ...STANDARD_CYCLES }));
}

/**
 * Names of the logs whose file was begun in an earlier day, week (from Monday) or month than `now`, by
 * their cycles. The date of the first line decides, so nothing but the file itself has to survive a
 * restart, and a server that was down at midnight rotates when it comes back.
 */
export function dueLogs(directory: string, now: Date = new Date()): string[] {
  return Object.entries(cyclesOf(directory))
    .filter(([name, cycle]) => {
      const begun = beginningOf(join(directory, `${name}.log`));
      return begun !== undefined && periodOf(begun, cycle) < periodOf(now, cycle);
    })
    .map(([name]) => name);
}

/** First day of the period a date lies in, as a number that grows. */
function periodOf(date: Date, cycle: LogCycle): number {
  const year = date.getFullYear(), month = date.getMonth(), day = date.getDate();
  switch (cycle) {
    case "daily":
      return Date.UTC(year, month, day);
    case "weekly":
      return Date.UTC(year, month, day - (date.getDay() + 6) % 7);
    case "monthly":
      return Date.UTC(year, month);
  }
}

function beginningOf(path: string): Date | undefined {
  const info = statOf(path);
  if (info === undefined || !info.isFile || info.size === 0) return undefined;
  using file = Deno.openSync(path);
  const bytes = new Uint8Array(32);
  const count = file.readSync(bytes) ?? 0;
  return timeOfLine(new TextDecoder().decode(bytes.subarray(0, count))) ??
    info.birthtime ?? info.mtime ?? undefined;
}

/** Options of {@link LogRotationClock}. */
export interface LogRotationClockOptions {
  /** Directory of the logs. */
  readonly directory: string;
  /** Told which logs are due, at least one. An error it throws is reported and the clock goes on. */
  readonly onDue: (names: string[]) => void;
  /** Time source. Default: the system clock. */
  readonly now?: () => Date;
}

/** The clock is read again at least this often: the machine may sleep, and people set clocks. */
const LONGEST_WAIT_MS = 60 * 60 * 1000;

/**
 * Tells the owner of a log directory which logs are due, when it starts and after each local midnight.
 * It does not keep the process alive.
 */
export class LogRotationClock implements Disposable {
  #options: LogRotationClockOptions;
  #unwait: Cancel | undefined;

  /** Makes a clock that does not run yet. */
  constructor(options: LogRotationClockOptions) {
    this.#options = options;
  }

  /** Checks now, and from now on. */
  start(): void {
    this.stop();
    this.check();
    const wait = Math.min(msToMidnight(this.#now()) + 500, LONGEST_WAIT_MS);
    this.#unwait = later(wait, () => this.start());
  }

  /** Checks once. */
  check(): void {
    try {
      const due = dueLogs(this.#options.directory, this.#now());
      if (due.length > 0) this.#options.onDue(due);
    } catch (error) {
      warn(`Rotation of the logs in ${this.#options.directory} failed: ${error}`);
    }
  }

  /** Ends it. It may be started again. */
  stop(): void {
    this.#unwait?.();
    this.#unwait = undefined;
  }

  /** Same as {@link stop}. */
  [Symbol.dispose](): void {
    this.stop();
  }

  #now(): Date {
    return this.#options.now?.() ?? new Date();
  }
}

function msToMidnight(now: Date): number {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1);
  return midnight.getTime() - now.getTime();
}
