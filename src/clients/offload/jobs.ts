/**
 * What an auxiliary thread can do. The same function performs a job on the event loop where there
 * are no threads.
 *
 * @module
 */

import type { Rows, Script } from "../sqlite3/execute.ts";

/** Calls an exported function of a module. */
export interface CallJob {
  /** Tells the kinds of jobs apart. */
  readonly kind: "call";
  /** Absolute URL of the module. */
  readonly module: string;
  /** Name of the export; `"default"` for the default one. */
  readonly name: string;
  /** Arguments. */
  readonly args: readonly unknown[];
}

/** Runs SQLite statements. */
export interface Sqlite3Job {
  /** Tells the kinds of jobs apart. */
  readonly kind: "sqlite3";
  /** The file, and what to run on it. */
  readonly script: Script;
}

/** Any job. */
export type Job = CallJob | Sqlite3Job;

let sqlite: typeof import("../sqlite3/execute.ts") | undefined;

/**
 * Performs a job and resolves to what it gives: the return value of a call, the {@link Rows} of a
 * script.
 */
export async function perform(job: Job): Promise<unknown> {
  if (job.kind === "sqlite3") {
    sqlite ??= await import("../sqlite3/execute.ts");
    return sqlite.execute(job.script) satisfies Rows;
  }
  const module = await import(job.module) as Record<string, unknown>;
  const member = module[job.name];
  if (typeof member !== "function") {
    const functions = Object.keys(module).filter((name) => typeof module[name] === "function");
    throw new TypeError(
      `Cannot offload ${job.name} of ${job.module}: it exports no such function; ` +
        (functions.length ? `it exports ${functions.join(", ")}` : "it exports no function at all"),
    );
  }
  return await member(...job.args);
}

/** Closes what jobs of this thread left open and has been idle for that many milliseconds. */
export function closeIdle(idleMs: number): void {
  sqlite?.closeConnections(idleMs);
}
