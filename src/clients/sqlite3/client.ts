/**
 * SQLite as a backend: statements become an outcome, off the event loop where there are threads.
 *
 * @module
 */

import type { StopSignal } from "../../core/stop.ts";
import { asError } from "../../core/errors.ts";
import type { Outcome, Send } from "../contract.ts";
import type { OffloadPool, PerformOptions } from "../offload/pool.ts";
import { toStatements } from "../statement.ts";
import type { Rows, Script, Step } from "./execute.ts";
import { databasePath, isMemory } from "./path.ts";
import type { ShortReads } from "./short_reads.ts";
import { type Piece, splitSql } from "./split.ts";
import { bindable } from "./values.ts";

/** How long a thread waits for a lock that another process or worker holds, in milliseconds. */
export const BUSY_TIMEOUT_MS = 5000;

/** The same on the event loop, which stands still meanwhile. */
export const INLINE_BUSY_TIMEOUT_MS = 500;

/**
 * Prepares a request: `send(signal)` runs the statements on the file and resolves to rows as
 * objects.
 *
 * `statements` is what `toStatements` takes, `params` are the further arguments of `execute`.
 * Nothing is thrown: SQL that is empty or no text, values that do not fit and errors of the driver
 * are outcomes with status 2 and code 500.
 * An aborted signal gives status 1; a statement that was
 * running by then runs to its end all the same, as `node:sqlite` cannot interrupt one.
 *
 * @example
 * ```ts ignore
 * const send = sqlite3Send(pool, "shop.db", "select name from items where id = ?", [7]);
 * const { data } = await send(AbortSignal.timeout(10_000));
 * ```
 */
export function sqlite3Send(
  pool: OffloadPool,
  file: string,
  statements: unknown,
  params: readonly unknown[] = [],
): Send {
  return async (signal) => await sqlite3Ask(pool, undefined, file, statements, params, signal);
}

/** As {@link sqlite3Send}, at once; what `shortReads` can read does not go to a thread. */
export function sqlite3Ask(
  pool: OffloadPool,
  shortReads: ShortReads | undefined,
  file: string,
  statements: unknown,
  params: readonly unknown[],
  signal: StopSignal,
): Promise<Outcome> | Outcome {
  let script: Script;
  try {
    script = {
      file: databasePath(file),
      steps: planSteps(statements, params),
      busyTimeoutMs: pool.threads > 0 ? BUSY_TIMEOUT_MS : INLINE_BUSY_TIMEOUT_MS,
    };
  } catch (thrown) {
    return failure(thrown, file, signal);
  }
  const rows = signal.aborted ? undefined : shortReads?.read(script);
  if (rows !== undefined) return outcome(3, 200, "OK", file, { data: toObjects(rows) });
  const offload = offloaded(pool, script, file, signal);
  if (shortReads === undefined || script.steps.every(({ select }) => select)) return offload;
  return offload.finally(() => shortReads.changed());
}

async function offloaded(
  pool: OffloadPool,
  script: Script,
  file: string,
  signal: StopSignal,
): Promise<Outcome> {
  try {
    const rows = await pool.perform({ kind: "sqlite3", script }, schedule(script, signal));
    return outcome(3, 200, "OK", file, { data: toObjects(rows as Rows) });
  } catch (thrown) {
    return failure(thrown, file, signal);
  }
}

function failure(thrown: unknown, file: string, signal: StopSignal): Outcome {
  const error = asError(thrown);
  if (signal.aborted && thrown === signal.reason) {
    return outcome(1, 730, "Request Timeout", file, { data: null, error });
  }
  return outcome(2, 500, error.message.split("\n", 1)[0]!, file, { data: null, error });
}

const NO_HEADERS = new Headers();

function outcome(
  status: Outcome["status"],
  statusCode: number,
  reason: string,
  node: string,
  rest: { readonly data: unknown; readonly error?: Error },
): Outcome {
  return {
    status,
    statusCode,
    reason,
    headers: NO_HEADERS,
    content: null,
    node,
    data: rest.data,
    error: rest.error,
  };
}

/**
 * Readers of a file run side by side. Writers queue here, one at a time, instead of blocking a
 * thread each while they wait for the lock. What lives in memory belongs to one thread.
 */
function schedule({ file, steps }: Script, signal: StopSignal): PerformOptions {
  if (isMemory(file)) return { signal, pin: file };
  const reads = steps.every((step) => step.select);
  return { signal, affinity: file, lane: reads ? undefined : file };
}

/** Cuts every statement into single ones and converts the values. */
function planSteps(input: unknown, params: readonly unknown[]): Step[] {
  const steps: Step[] = [];
  for (const { sql, params: values } of toStatements(input, params)) {
    const pieces = split(sql);
    if (pieces.length > 1 && (!Array.isArray(values) || values.length > 0)) {
      throw new TypeError(
        `Cannot bind values to a text of ${pieces.length} statements: ` +
          "give a list of { sql, params }",
      );
    }
    for (const piece of pieces) {
      const select = piece.verb === "select" || piece.verb === "values";
      steps.push({ sql: piece.sql, params: bindable(piece, values), select });
    }
  }
  if (steps.length === 0) throw new TypeError("Cannot execute SQL that is only a comment");
  const select = steps.findIndex((step) => step.select);
  if (steps.length > 1 && select !== -1) {
    throw new TypeError(
      `Cannot execute statement ${select + 1} of ${steps.length}: a select must stand alone`,
    );
  }
  return steps;
}

/** Cuts made before, by text: programs repeat their statements. */
const cuts = new Map<string, Piece[]>();
const MAX_CUTS = 500;
const MAX_CUT_LENGTH = 4096;

function split(sql: string): Piece[] {
  let pieces = cuts.get(sql);
  if (pieces) return pieces;
  pieces = splitSql(sql);
  if (sql.length <= MAX_CUT_LENGTH) {
    if (cuts.size >= MAX_CUTS) cuts.clear();
    cuts.set(sql, pieces);
  }
  return pieces;
}

/** Rows as objects with their columns as properties, in the order of the columns. */
function toObjects({ columns, rows }: Rows): Record<string, unknown>[] {
  // Assigning to this one name would change the prototype.
  if (columns.includes("__proto__")) {
    return rows.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]])));
  }
  return rows.map((row) => {
    const object: Record<string, unknown> = {};
    for (let i = 0; i < columns.length; i++) object[columns[i]!] = row[i];
    return object;
  });
}
