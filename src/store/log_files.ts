/**
 * A log file that several workers and processes append to, and that may be renamed at any time.
 *
 * @module
 */

import { dirname } from "../core/file_path.ts";
import { ConfigError } from "../core/errors.ts";
import { BatchWriter, type ByteTarget, warn } from "./logs_batch.ts";

/** A writer looks this often whether the path still leads to the file it has open. */
const CHECK_MS = 1000;
/** Names of users and their tokens stand in these files. */
const FILE_MODE = 0o640;
const DIRECTORY_MODE = 0o750;

/**
 * One log file. It is opened for appending; when somebody renames or removes it, lines go to the old
 * file until {@link reopen}, or until the writer notices by itself, which takes at most a second.
 */
export class LogFile extends BatchWriter {
  #target: AppendTarget;

  /** Opens the file, creating it. @throws {ConfigError} naming the file when it cannot be written. */
  constructor(path: string) {
    const target = new AppendTarget(path);
    try {
      target.open();
    } catch (error) {
      throw new ConfigError(`log file ${path}`, `cannot be written: ${messageOf(error)}`, {
        cause: error,
      });
    }
    super(target);
    this.#target = target;
  }

  /** Writes what is there to the file that is open, then opens what the path leads to now. */
  reopen(): void {
    this.flush();
    if (this.#target.reopen()) this.beginAnew();
  }
}

/**
 * Creates a directory for logs with those above it, if it is missing.
 *
 * @throws {ConfigError} naming the directory when that is not possible.
 */
export function ensureLogDirectory(directory: string): void {
  try {
    Deno.mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
  } catch (error) {
    throw new ConfigError(`log directory ${directory}`, `cannot be used: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

class AppendTarget implements ByteTarget {
  readonly name: string;
  #file: Deno.FsFile | undefined;
  #device = 0;
  #inode: number | null = null;
  #checkedAt = 0;
  #warned = false;

  constructor(path: string) {
    this.name = path;
  }

  open(): void {
    const file = Deno.openSync(this.name, { append: true, create: true, mode: FILE_MODE });
    this.#file?.close();
    this.#file = file;
    const info = file.statSync();
    this.#device = info.dev;
    this.#inode = info.ino;
    this.#checkedAt = performance.now();
    this.#warned = false;
  }

  prepare(): boolean {
    if (this.#file === undefined) {
      this.open();
      return true;
    }
    return performance.now() - this.#checkedAt >= CHECK_MS && this.#wasReplaced() && this.reopen();
  }

  writeSync(bytes: Uint8Array): number {
    if (this.#file === undefined) throw new Error("the file is not open");
    return this.#file.writeSync(bytes);
  }

  /** Only where nobody has written behind us: on a full disk, where this happens, nobody can. */
  takeBack(bytes: number): boolean {
    const file = this.#file;
    if (file === undefined) return false;
    try {
      const info = file.statSync();
      const end = file.seekSync(0, Deno.SeekMode.Current);
      if (!info.isFile || info.size !== end) return false;
      file.truncateSync(end - bytes);
      return true;
    } catch {
      // Not a file that can be cut, or not by us. The failure that led here is reported by the writer.
      return false;
    }
  }

  /** Keeps the old file, with a warning, when the new one cannot be opened: no line is lost by that. */
  reopen(): boolean {
    if (this.#file === undefined) return false;
    try {
      ensureLogDirectory(dirname(this.name));
      this.open();
      return true;
    } catch (error) {
      this.#checkedAt = performance.now();
      if (!this.#warned) {
        this.#warned = true;
        warn(
          `Cannot open ${this.name} again: ${messageOf(error)}. ` +
            "Lines go to the file that was open before",
        );
      }
      return false;
    }
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  /** Not on Windows, where an open file cannot be renamed under its writer in the first place. */
  #wasReplaced(): boolean {
    this.#checkedAt = performance.now();
    if (this.#inode === null) return false;
    try {
      const info = Deno.statSync(this.name);
      return info.ino !== this.#inode || info.dev !== this.#device;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return true;
      throw error;
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
