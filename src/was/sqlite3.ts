/**
 * SQLite as handlers use it: a file or an alias in, futures out.
 *
 * @module
 */

import { keptValues } from "../core/kept_values.ts";
import type { Outcome } from "../clients/contract.ts";
import type { StopSignal } from "../core/stop.ts";
import type { StatementInput } from "../clients/statement.ts";
import type { OffloadPool } from "../clients/offload/pool.ts";
import type { ShortReads } from "../clients/sqlite3/short_reads.ts";
import { backends } from "./backend_clients.ts";
import type { AliasMember } from "./aliases.ts";
import {
  type DatabaseOptions,
  type DatabaseOwner,
  DatabaseRequest,
  findPlace,
  needAlias,
  needNoCallback,
  type Place,
  type Row,
  startOnAll,
  startOnOne,
} from "./database_call.ts";
import type { Future } from "./future.ts";
import type { MapFuture } from "./map_future.ts";
import { askedOf, type SqlDatabase, type SqlGroup, SqlHandle } from "./sql_database.ts";

export type { DatabaseOptions, DatabaseOwner, Row } from "./database_call.ts";

/** A database whose statements go to one file. */
export type Sqlite3Database<T = Row[]> = SqlDatabase<T>;

/** A group of databases whose statements go to every file. */
export type Sqlite3Group<T = Row[]> = SqlGroup<T>;

/** `was.sqlite3`. */
export interface Sqlite3Method {
  /**
   * A database by the path of its file, `:memory:`, or `@alias`, where the member with the least
   * load gets each statement.
   *
   * @throws {TypeError} without a target, with an unknown alias or option, or an alias of another
   * type.
   */
  <T = Row[]>(target: string, options?: DatabaseOptions<T>): SqlDatabase<T>;
  /** As a plain call, but only to an alias. */
  lb<T = Row[]>(target: string, options?: DatabaseOptions<T>): SqlDatabase<T>;
  /** Every member of an alias at once. A callback is not possible. */
  map<T = Row[]>(
    target: string,
    options?: Omit<DatabaseOptions<T>, "callback">,
  ): SqlGroup<T>;
}

/** Makes `was.sqlite3` of an owner. */
export function sqlite3Method(owner: DatabaseOwner): Sqlite3Method {
  const method = <T>(target: string, options: DatabaseOptions<T> = {}): SqlDatabase<T> => {
    const place = findPlace(
      owner,
      "sqlite3",
      "SQLite",
      target,
      options as Record<string, unknown>,
      fileMember,
    );
    return new SqlHandle<Future<T>>(
      "sqlite3",
      owner.sqlMaps,
      (sql, params) => startOnOne<T>(owner, new Sqlite3Request(owner, place, sql, params), options),
    ) as SqlDatabase<T>;
  };
  method.lb = <T>(target: string, options: DatabaseOptions<T> = {}) => {
    needAlias("balance", target);
    return method(target, options);
  };
  method.map = <T>(target: string, options: DatabaseOptions<T> = {}): SqlGroup<T> => {
    needAlias("map", target);
    needNoCallback(target, options);
    const place = findPlace(owner, "sqlite3", "SQLite", target, { ...options });
    return new SqlHandle<MapFuture<T>>(
      "sqlite3",
      owner.sqlMaps,
      (sql, params) => startOnAll<T>(owner, new Sqlite3Request(owner, place, sql, params), options),
    ) as SqlGroup<T>;
  };
  return method as Sqlite3Method;
}

type Sqlite3Client = typeof import("../clients/sqlite3/client.ts");
let client: Sqlite3Client | undefined;

/** Loaded with the first statement, so that an app without one does not pay for it. */
async function loadClient(): Promise<Sqlite3Client> {
  return client ??= await import("../clients/sqlite3/client.ts");
}

async function loadShortReads(): Promise<ShortReads> {
  const { ShortReads } = await import("../clients/sqlite3/short_reads.ts");
  return new ShortReads();
}

/** Statements under way by file, for choosing the member with the least load. */
const running = new Map<string, number>();

class Sqlite3Request extends DatabaseRequest {
  readonly #owner: DatabaseOwner;
  readonly #sql: StatementInput;

  constructor(
    owner: DatabaseOwner,
    place: Place,
    sql: StatementInput,
    params: readonly unknown[],
  ) {
    super(place, "EXECUTE", params);
    this.#owner = owner;
    this.#sql = sql;
  }

  ask({ database: file }: AliasMember, signal: StopSignal): Promise<Outcome> | Outcome {
    const pool = this.#owner.offloadPool();
    const reads = backends.get("sqlite3", loadShortReads);
    const params = this.params as readonly unknown[];
    const asked = client === undefined || pool instanceof Promise || reads instanceof Promise
      ? this.#sendLater(loadClient(), pool, reads, file, signal)
      : this.#send(client, pool, reads, file, this.#sql, params, signal);
    if (!(asked instanceof Promise)) return asked;
    running.set(file, (running.get(file) ?? 0) + 1);
    return asked.finally(() => {
      const left = running.get(file)! - 1;
      if (left === 0) running.delete(file);
      else running.set(file, left);
    });
  }

  /** With the values of the call, whatever becomes of them until everything is there. */
  async #sendLater(
    client: Promise<Sqlite3Client>,
    pool: OffloadPool | Promise<OffloadPool>,
    reads: ShortReads | Promise<ShortReads>,
    file: string,
    signal: StopSignal,
  ): Promise<Outcome> {
    const sql = keptValues(this.#sql);
    const params = keptValues(this.params as readonly unknown[]);
    const [send, threads, short] = await Promise.all([client, pool, reads]);
    return this.#send(send, threads, short, file, sql, params, signal);
  }

  #send(
    { sqlite3Ask }: Sqlite3Client,
    pool: OffloadPool,
    reads: ShortReads,
    file: string,
    sql: StatementInput,
    params: readonly unknown[],
    signal: StopSignal,
  ): Promise<Outcome> | Outcome {
    // without threads everything is read here anyway
    const short = pool.threads > 0 ? reads : undefined;
    return sqlite3Ask(pool, short, file, sql, params, signal);
  }

  load({ database }: AliasMember): number {
    return running.get(database) ?? 0;
  }

  protected asked(): unknown {
    return askedOf(this.#sql, this.params as readonly unknown[]);
  }
}

/** A file that was named itself. */
function fileMember(file: string): AliasMember {
  return {
    ...{ node: file, host: "", port: 0, user: undefined, password: "" },
    ...{ database: file, weight: 1, key: file },
  };
}
