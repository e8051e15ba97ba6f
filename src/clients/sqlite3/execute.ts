/**
 * Runs statements on `node:sqlite`, synchronously, with the connections of this thread.
 *
 * @module
 */

import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { isMemory } from "./path.ts";

/** One statement to run. */
export interface Step {
  /** Its text; exactly one statement. */
  readonly sql: string;
  /** Its values, already in types that SQLite has. */
  readonly params: readonly SQLInputValue[] | Readonly<Record<string, SQLInputValue>>;
  /** Whether it only reads and may be run again. */
  readonly select: boolean;
}

/** Statements to run on one file. */
export interface Script {
  /** Absolute path, `file:` URL or `:memory:`. */
  readonly file: string;
  /** In order. */
  readonly steps: readonly Step[];
  /** How long to wait for locks of others, in milliseconds. */
  readonly busyTimeoutMs: number;
}

/** What a script gave: the rows of its last statement that has columns. */
export interface Rows {
  /** Names of the columns. */
  readonly columns: readonly string[];
  /** Values in the order of the columns. */
  readonly rows: readonly (readonly unknown[])[];
}

interface Connection {
  readonly db: DatabaseSync;
  readonly reload: StatementSync;
  usedAt: number;
}

/**
 * Makes a connection see the tables as they are now. Preparing a statement does not: the first one after
 * somebody else changed a table would have the columns of before.
 */
export const RELOAD = "select 1 from sqlite_schema limit 1";

/** The runtime has this method; its types do not tell. */
type ArrayStatement = StatementSync & { setReturnArrays(enabled: boolean): void };

/** Connections a thread keeps open; the one unused for longest is closed for the next. */
const MAX_CONNECTIONS = 16;

const connections = new Map<string, Connection>();

/**
 * Runs a script in autocommit mode: each statement counts by itself unless the script begins a
 * transaction. One that is still open at the end is rolled back, since the next script on this
 * connection belongs to somebody else.
 *
 * @throws {Error} the driver's, with `code`, `errcode` and `errstr`.
 */
export function execute(script: Script): Rows {
  const { db, reload } = connect(script);
  reload.all();
  let result: Rows = { columns: [], rows: [] };
  try {
    for (const step of script.steps) result = run(db, step) ?? result;
  } finally {
    if (db.isTransaction) {
      db.exec("rollback");
      result = { columns: [], rows: UNFINISHED };
    }
  }
  if (result.rows === UNFINISHED) {
    throw new Error(
      "The transaction was not ended and has been rolled back: give begin and commit in one call",
    );
  }
  return result;
}

const UNFINISHED: Rows["rows"] = [];

/**
 * Closes the connections that were idle for so many milliseconds; databases in memory only for 0.
 */
export function closeConnections(idleMs: number): void {
  const before = performance.now() - idleMs;
  for (const [file, { db, usedAt }] of connections) {
    if (idleMs > 0 && (usedAt > before || isMemory(file))) continue;
    connections.delete(file);
    db.close();
  }
}

function connect(script: Script): Connection {
  const { file } = script;
  let connection = connections.get(file);
  if (connection) {
    connections.delete(file);
  } else {
    evict();
    const db = new DatabaseSync(file, { timeout: script.busyTimeoutMs });
    try {
      connection = { db, reload: db.prepare(RELOAD), usedAt: 0 };
      if (!script.steps.every((step) => step.select)) setJournal(db, file);
    } catch (error) {
      db.close();
      throw error;
    }
  }
  connection.usedAt = performance.now();
  connections.set(file, connection);
  return connection;
}

/**
 * A database that is still empty gets a write-ahead log, with which readers and the writer do not
 * wait for each other. The mode is kept in the file, so one that somebody else made stays as it is.
 */
function setJournal(db: DatabaseSync, file: string): void {
  if (isMemory(file)) return;
  const [pages] = db.prepare("pragma page_count").all() as { page_count: number }[];
  if (pages?.page_count === 0) db.exec("pragma journal_mode = wal");
}

function evict(): void {
  if (connections.size < MAX_CONNECTIONS) return;
  for (const [file, { db }] of connections) {
    if (isMemory(file)) continue;
    connections.delete(file);
    db.close();
    return;
  }
}

function run(db: DatabaseSync, step: Step): Rows | undefined {
  // Statements are not kept: one that was prepared before the columns of a table changed gives the
  // old ones.
  const statement = db.prepare(step.sql);
  const columns = statement.columns().map((column) => column.name);
  (statement as ArrayStatement).setReturnArrays(true);
  // A statement that changes something cannot be run again, so its integers are read exactly at
  // once.
  if (!step.select) statement.setReadBigInts(true);
  const read = (): unknown[][] =>
    (Array.isArray(step.params)
      ? statement.all(...step.params as SQLInputValue[])
      : statement.all(step.params as Record<string, SQLInputValue>)) as unknown as unknown[][];
  let rows: unknown[][];
  let exact = !step.select;
  try {
    rows = read();
  } catch (error) {
    if (exact || (error as { code?: string }).code !== "ERR_OUT_OF_RANGE") throw error;
    statement.setReadBigInts(true);
    exact = true;
    rows = read();
  }
  if (exact) { for (const row of rows) narrow(row); }
  return columns.length === 0 ? undefined : { columns, rows };
}

/** Makes numbers of the big integers that fit. */
function narrow(row: unknown[]): void {
  for (let i = 0; i < row.length; i++) {
    const value = row[i];
    if (typeof value === "bigint" && Number.isSafeInteger(Number(value))) row[i] = Number(value);
  }
}
