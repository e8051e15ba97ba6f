/**
 * PostgreSQL as a backend.
 *
 * A statement has a connection to itself, so that it can be cancelled without harm to others. Only
 * short statements that read share connections when all are busy.
 *
 * A statement that may write reaches the server at most once. One that reads is sent a second time
 * when a pooled connection turns out to be dead, in a transaction that cannot write.
 *
 * @module
 */

import { keptValues } from "../../core/kept_values.ts";
import type { StopSignal } from "../../core/stop.ts";
import { Pool, type PoolOptions } from "../../net/pool.ts";
import { Pools } from "../../net/pools.ts";
import type { Client, ClientStats, Outcome, Send } from "../contract.ts";
import {
  answered,
  ASK_AFTER_MS,
  type DatabaseTarget,
  failure,
  MAX_CONNECTIONS,
  MAX_WAITING,
  nameOf,
  poolKey,
} from "../database.ts";
import { type Statement, toStatements } from "../statement.ts";
import { LostConnectionError, PgConnection } from "./connection.ts";
import { type PgText, readText, valuesOf } from "./text.ts";
import { checkValues } from "./types.ts";

/** Options of a {@link PostgresqlClient}. */
export interface PostgresqlClientOptions {
  /** Seconds after which an idle connection is not reused; asked each time. Default 1200. */
  readonly idleSeconds?: () => number;
}

/** Texts remembered, and the longest that is. */
const MAX_TEXTS = 500;
const MAX_TEXT_LENGTH = 8192;
/** A text run that often is prepared. */
const PREPARE_AFTER = 2;
/** Statements that take less, in milliseconds, may share a connection; so many at once. */
const SHORT_MS = 20;
const MAX_SHARED = 16;
/** Most values of such a statement. */
const MAX_SHARED_VALUES = 1000;
/** Short reads go out on one connection as long as they take no longer together. */
const TOGETHER_MS = 2;

interface Step {
  readonly text: PgText;
  readonly values: readonly unknown[];
}

/** The connections to one database. */
class PgPool extends Pool<PgConnection> {
  /** Connections that short reads share now. */
  readonly shared = new Set<PgConnection>();
  /** Most connections. */
  readonly most: number;
  /** Statements that want a connection of their own and have none yet. */
  wanting = 0;

  constructor(options: PoolOptions<PgConnection> & { readonly max: number }) {
    super(options);
    this.most = options.max;
  }
}

/** Sends statements over pooled connections. */
export class PostgresqlClient implements Client {
  readonly #idleSeconds: () => number;
  readonly #pools = new Pools<PgConnection, PgPool>();
  readonly #connections = new Set<PgConnection>();
  readonly #texts = new Map<string, PgText>();
  #closed = false;

  /** Makes a client without connections. */
  constructor(options: PostgresqlClientOptions = {}) {
    this.#idleSeconds = options.idleSeconds ?? (() => 1200);
  }

  /**
   * Prepares a request: `send(signal)` runs the statements and resolves to the rows of the last
   * one.
   *
   * Nothing is thrown: SQL that is empty or no text, values that do not fit, and whatever the
   * server says are outcomes with status 2 and code 500.
   *
   * @param statements What `toStatements` takes; a list runs as a whole or not at all.
   * @param params The further arguments of `execute`.
   */
  request(
    target: DatabaseTarget,
    statements: unknown,
    params: readonly unknown[] = [],
  ): Send {
    return (signal) => this.send(target, statements, params, signal);
  }

  /** Runs statements; see {@link request}. */
  send(
    target: DatabaseTarget,
    statements: unknown,
    params: readonly unknown[],
    signal: StopSignal,
  ): Promise<Outcome> {
    let steps: Step[];
    try {
      steps = this.#steps(toStatements(statements, params, numbered));
    } catch (error) {
      return Promise.resolve(failure(target, error, signal));
    }
    const pool = this.#poolOf(target);
    if (steps.length > 1) return this.#list(target, pool, steps, signal);
    const step = steps[0]!;
    const connection = isShort(step) && !signal.aborted && !this.#closed
      ? share(pool, step.text)
      : undefined;
    return connection === undefined
      ? this.#single(target, pool, step, signal)
      : this.#shared(target, pool, connection, step, signal);
  }

  /** Connections leased, being opened and waited for; for choosing among members. */
  load(target: DatabaseTarget): number {
    return this.#pools.load(poolKey(target));
  }

  /** Current counts. */
  stats(): ClientStats {
    return this.#pools.stats();
  }

  /** Closes connections that have been idle for too long, and forgets pools nobody uses. */
  maintain(): void {
    this.#pools.maintain();
  }

  /** Closes all connections; statements under way fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#pools[Symbol.asyncDispose]();
    await Promise.all([...this.#connections].map((connection) => connection.closed));
  }

  #poolOf(target: DatabaseTarget): PgPool {
    const key = poolKey(target);
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      pool = new PgPool({
        name: nameOf(target),
        open: async (signal) => {
          const connection = await PgConnection.open(target, signal);
          this.#connections.add(connection);
          connection.closed.then(() => this.#connections.delete(connection));
          return connection;
        },
        max: target.maxConnections ?? MAX_CONNECTIONS,
        maxWaiting: MAX_WAITING,
        idleSeconds: this.#idleSeconds,
      });
      if (!this.#closed) this.#pools.set(key, pool);
    }
    return pool;
  }

  /** Reads the texts; those that come often are read once. */
  #steps(statements: readonly Statement[]): Step[] {
    return statements.map(({ sql, params }) => {
      // what a text means depends on how many values it gets, or on their names
      const shape = Array.isArray(params) ? params.length : Object.keys(params).join();
      const key = `${shape} ${sql}`;
      let text = this.#texts.get(key);
      if (text === undefined) {
        text = readText(sql, params);
        if (sql.length <= MAX_TEXT_LENGTH) {
          if (this.#texts.size >= MAX_TEXTS) this.#texts.clear();
          this.#texts.set(key, text);
        }
      }
      // a copy: it may have to wait, and the caller go on to put others there
      const values = valuesOf(text, params).map((value) => keptValues(value));
      checkValues(values);
      return { text, values };
    });
  }

  /** A short read on a connection that is there. */
  #shared(
    target: DatabaseTarget,
    pool: PgPool,
    connection: PgConnection,
    step: Step,
    signal: StopSignal,
  ): Promise<Outcome> {
    const { text, values } = step;
    join(pool, connection);
    return connection.run(text.sql, values, "prepared", signal, false, text).then((rows) => {
      this.#giveBack(pool, connection, true);
      return answered(target, rows);
    }, (error) => {
      this.#giveBack(pool, connection, true);
      return error instanceof LostConnectionError && !signal.aborted
        ? this.#single(target, pool, step, signal, error)
        : failure(target, error, signal);
    });
  }

  /** One statement; `lost` is why it has to be sent a second time. */
  async #single(
    target: DatabaseTarget,
    pool: PgPool,
    step: Step,
    signal: StopSignal,
    lost?: unknown,
  ): Promise<Outcome> {
    const { text, values } = step;
    const short = isShort(step);
    for (let attempt = lost === undefined ? 1 : 2;; attempt++) {
      let connection: PgConnection;
      let reused = true;
      try {
        signal.throwIfAborted();
        if (this.#closed) throw new Error(`Cannot ask ${nameOf(target)}: the client is closed`);
        if (!short) pool.wanting++;
        try {
          ({ connection, reused } = await this.#lease(pool, signal, !text.read, attempt > 1));
        } finally {
          if (!short) pool.wanting--;
        }
      } catch (error) {
        return failure(target, error, signal, true);
      }
      // others must not get into the transaction of a second attempt
      const together = short && attempt === 1;
      if (together) join(pool, connection);
      try {
        const data = attempt === 1
          ? await this.#run(connection, step, signal, !short)
          : await readOnly(connection, text.sql, values, signal);
        return answered(target, data);
      } catch (error) {
        if (lost !== undefined) return failure(target, isReadOnly(error) ? lost : error, signal);
        const gone = error instanceof LostConnectionError;
        if (!reused || !text.read || !gone || signal.aborted) return failure(target, error, signal);
        lost = error;
      } finally {
        this.#giveBack(pool, connection, together);
      }
    }
  }

  /** Runs one text, and measures it. */
  async #run(
    connection: PgConnection,
    { text, values }: Step,
    signal: StopSignal,
    cancel: boolean,
  ): Promise<Record<string, unknown>[]> {
    // only a lone statement can be prepared, and only one that comes again is worth it
    const mode = text.read && text.runs >= PREPARE_AFTER
      ? "prepared"
      : values.length === 0
      ? "simple"
      : text.runs >= PREPARE_AFTER
      ? "prepared"
      : "once";
    try {
      const rows = await connection.run(text.sql, values, mode, signal, cancel, text);
      if (text.control) await this.#assertEnded(connection, signal);
      return rows;
    } catch (error) {
      if (text.control && connection.usable) await this.#assertEnded(connection, signal, error);
      throw error;
    } finally {
      if (text.session) connection.retire();
    }
  }

  /** Several statements with values of their own: as a whole or not at all. */
  async #list(
    target: DatabaseTarget,
    pool: PgPool,
    steps: readonly Step[],
    signal: StopSignal,
  ): Promise<Outcome> {
    let connection: PgConnection;
    try {
      signal.throwIfAborted();
      if (this.#closed) throw new Error(`Cannot ask ${nameOf(target)}: the client is closed`);
      ({ connection } = await this.#lease(pool, signal, true, false));
    } catch (error) {
      return failure(target, error, signal, true);
    }
    try {
      if (steps.every(({ values }) => values.length === 0)) {
        const text = joined(steps);
        return answered(target, await this.#run(connection, { text, values: [] }, signal, true));
      }
      const own = steps.some(({ text }) => text.control);
      if (!own) await connection.run("begin", [], "simple", signal);
      try {
        let data: unknown = [];
        for (const step of steps) {
          data = await connection.run(
            step.text.sql,
            step.values,
            step.values.length === 0 ? "simple" : "once",
            signal,
          );
        }
        if (own) await this.#assertEnded(connection, signal);
        else await connection.run("commit", [], "simple", signal);
        return answered(target, data);
      } catch (error) {
        if (connection.usable) await this.#assertEnded(connection, signal, error);
        throw error;
      }
    } catch (error) {
      return failure(target, error, signal);
    } finally {
      if (steps.some(({ text }) => text.session)) connection.retire();
      this.#giveBack(pool, connection, false);
    }
  }

  /**
   * A connection must not go back with a transaction in it: whoever comes next would write into it.
   */
  async #assertEnded(
    connection: PgConnection,
    signal: StopSignal,
    failed?: unknown,
  ): Promise<void> {
    let open: boolean;
    try {
      open = await connection.rollback(signal);
    } catch (error) {
      connection.retire();
      throw failed ?? error;
    }
    if (open && failed === undefined) {
      throw new Error(
        "The transaction was left open and has been rolled back: send begin and commit in one call",
      );
    }
  }

  /** A connection; before a write (`ask`) one of which nobody knows whether it still lives. */
  async #lease(pool: PgPool, signal: StopSignal, ask: boolean, fresh: boolean) {
    for (;;) {
      const lease = await pool.lease(signal, fresh);
      const { connection, reused } = lease;
      if (!ask || !reused || performance.now() - connection.answeredAt < ASK_AFTER_MS) return lease;
      try {
        if (await connection.isThere(signal)) return lease;
      } catch (error) {
        connection.retire();
        pool.release(connection);
        throw error;
      }
      pool.release(connection);
    }
  }

  #giveBack(pool: PgPool, connection: PgConnection, shared: boolean): void {
    if (shared) {
      connection.shared--;
      if (!connection.usable) pool.shared.delete(connection);
      if (connection.shared > 0) return;
      pool.shared.delete(connection);
    }
    const { cancelling } = connection;
    if (cancelling === undefined) pool.release(connection);
    else cancelling.then(() => pool.release(connection));
  }
}

const numbered = (n: number): string => `$${n}`;

/** Whether a statement is known to read only, and not to hold up others for long. */
function isShort({ text, values }: Step): boolean {
  const { read, control, session, runs, slowest } = text;
  return read && !control && !session && runs >= PREPARE_AFTER && slowest < SHORT_MS &&
    values.length <= MAX_SHARED_VALUES && values.every(isWritable);
}

/**
 * Whether a value can be written whatever type the server takes it for. Where one cannot, the driver
 * takes the statement before it for the one that failed, and gives its callers each other's answers.
 */
function isWritable(value: unknown): boolean {
  return typeof value === "bigint" ||
    (Array.isArray(value) ? value.every(isPlain) : isPlain(value));
}

function isPlain(value: unknown): boolean {
  switch (typeof value) {
    case "string":
    case "number":
    case "boolean":
    case "undefined":
      return true;
    case "object":
      return value === null || value instanceof Date && !Number.isNaN(value.getTime());
    default:
      return false;
  }
}

/**
 * A connection that a short read can have, alone or with others.
 *
 * Reads that the server answers in a fraction of a millisecond go out together on few connections: a
 * turn of their own would cost them more than the wait for those before them.
 */
function share(pool: PgPool, { usual }: PgText): PgConnection | undefined {
  const depth = Math.min(MAX_SHARED, Math.floor(TOGETHER_MS / usual));
  let least: PgConnection | undefined;
  for (const one of pool.shared) {
    if (!one.usable) pool.shared.delete(one);
    else if (one.shared < depth) return one;
    else if (one.shared < (least?.shared ?? MAX_SHARED)) least = one;
  }
  const idle = pool.take();
  if (idle !== undefined) return idle;
  // while there may be more connections one is opened; who wants one of their own comes first
  return pool.load < pool.most || pool.wanting > 0 ? undefined : least;
}

/** One more statement on a connection. */
function join(pool: PgPool, connection: PgConnection): void {
  connection.shared++;
  if (connection.usable) pool.shared.add(connection);
}

/** Runs a text that reads where it cannot write. */
async function readOnly(
  connection: PgConnection,
  sql: string,
  values: readonly unknown[],
  signal: StopSignal,
): Promise<Record<string, unknown>[]> {
  await connection.run("begin read only", [], "simple", signal);
  try {
    return await connection.run(sql, values, values.length === 0 ? "simple" : "once", signal);
  } finally {
    if (connection.usable) await connection.run("rollback", [], "simple", signal);
  }
}

function isReadOnly(error: unknown): boolean {
  return (error as { code?: unknown }).code === "25006";
}

/** Statements without values as one text, which the server runs as a whole or not at all. */
function joined(steps: readonly Step[]): PgText {
  return {
    // a statement may end in a comment
    sql: steps.map(({ text }) => text.sql.trimEnd().replace(/;$/, "")).join("\n;\n"),
    names: undefined,
    read: false,
    control: steps.some(({ text }) => text.control),
    session: steps.some(({ text }) => text.session),
    runs: 0,
    slowest: 0,
    usual: 0,
  };
}
