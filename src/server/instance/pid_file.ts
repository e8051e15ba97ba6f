/**
 * One daemon per name: a pid file that its daemon holds locked.
 *
 * The lock goes with the process, so a file left by a killed one blocks nothing, and a process that got
 * the same number later is not taken for the daemon.
 *
 * @module
 */

import { asError, ConfigError } from "../../core/errors.ts";
import { join } from "../../core/file_path.ts";
import { getVarPath } from "../paths.ts";

const NAME = "daemon.pid";
/** How often, and at what distance in milliseconds, a busy file is looked at again. */
const TRIES = 20;
const PAUSE_MS = 25;
/** How often a locked file without a number is looked at: its daemon may be held up before it writes one. */
const NUMBER_TRIES = 100;

/**
 * Process id of the running daemon, or `undefined`.
 *
 * @throws {ConfigError} when the file cannot be opened. @throws {Error} for a locked file without a
 * number in it.
 */
export async function daemonPid(varPath: string = getVarPath()): Promise<number | undefined> {
  const path = join(varPath, NAME);
  for (let tries = 0; tries < NUMBER_TRIES; tries++) {
    const file = await openExisting(path);
    if (file === undefined) return undefined;
    using _closing = file;
    if (await file.tryLock(false)) return undefined;
    const pid = Number(await Deno.readTextFile(path).catch(emptyIfGone));
    // Between lock and write there is a moment without a number.
    if (Number.isInteger(pid) && pid > 0) return pid;
    await pause();
  }
  throw new Error(`Cannot tell which daemon is running: ${path} is locked and holds no process id`);
}

/** The pid file of this process, locked. */
export class PidFile {
  #path: string;
  #file: Deno.FsFile;

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  /** Locks the file and writes the number of this process; `undefined` when another daemon holds it. */
  static async acquire(varPath: string = getVarPath()): Promise<PidFile | undefined> {
    const path = join(varPath, NAME);
    for (let tries = 0; tries < TRIES; tries++) {
      const file = await Deno.open(path, { create: true, read: true, write: true });
      // Whoever asks for the status holds the lock for a moment, which is why one refusal proves nothing.
      if (await file.tryLock(true) && await isStill(path, file)) {
        await file.truncate(0);
        await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
        await file.sync();
        return new PidFile(path, file);
      }
      file.close();
      await pause();
    }
    return undefined;
  }

  /** Removes the file, unless somebody else has and it may be another daemon's now, and gives the lock up. */
  release(): void {
    using _closing = this.#file;
    try {
      if (Deno.statSync(this.#path).ino === this.#file.statSync().ino) Deno.removeSync(this.#path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** A daemon that ends removes its file; a lock on the removed one would protect nothing. */
async function isStill(path: string, file: Deno.FsFile): Promise<boolean> {
  try {
    return (await Deno.stat(path)).ino === (await file.stat()).ino;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function openExisting(path: string): Promise<Deno.FsFile | undefined> {
  try {
    return await Deno.open(path, { read: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    const reason = asError(error).message;
    throw new ConfigError(path, `cannot tell whether a daemon is running: ${reason}`, {
      cause: error,
    });
  }
}

function emptyIfGone(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "";
  throw error;
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
