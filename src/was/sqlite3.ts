/**
 * SQLite as handlers use it: a file or an alias in, futures out.
 *
 * @module
 */

import type { OffloadPool } from "../clients/offload/pool.ts";
import type { StatementInput } from "../clients/statement.ts";
import type { Alias, AliasMember } from "./aliases.ts";
import { Future, type FutureOwner, type ResultCallback } from "./future.ts";
import { MapFuture } from "./map_future.ts";
import type { Result } from "./result.ts";

/** A row: columns as properties, in the order of the columns. */
// deno-lint-ignore no-explicit-any -- the columns are known to whoever wrote the statement
export type Row = Record<string, any>;

/** Options of a database; they go with every statement of the object. */
export interface DatabaseOptions<T = Row[]> {
  /**
   * Whether a kept result may be used. Accepted; no results are kept in this release. Default true.
   */
  readonly useCache?: boolean | number;
  /** Called with the result when it arrives; as a list, with further arguments. */
  readonly callback?: ResultCallback<T>;
  /** Run on the result before it is handed over, unless the statement failed. */
  readonly filter?: (result: Result<T>) => unknown;
  /** Comes back as `result.meta`. The key `reqid` is reserved. */
  readonly meta?: Readonly<Record<string, unknown>>;
  /** Seconds from now until the statement is given up. Default 10. */
  readonly timeout?: number;
}

/** What a database needs of the object it is a member of. */
export interface DatabaseOwner extends FutureOwner {
  /** Finds an alias. @throws {TypeError} when there is none of that name. */
  findAlias(name: string): Alias;
  /** The auxiliary threads of the worker. */
  offloadPool(): OffloadPool | Promise<OffloadPool>;
}

/** A database whose statements go to one file. */
export interface Sqlite3Database<T = Row[]> {
  /**
   * Starts a statement, or several. Anything wrong with it is a result with status 2 and code 500.
   *
   * @param sql SQL text, a list that is run together, `{ sql, params }`, or what a query builder
   * makes.
   * @param params A list of values, a record of values by name, or one argument for each value.
   */
  execute<R = T>(sql: StatementInput, ...params: unknown[]): Future<R>;
}

/** A group of databases whose statements go to every file. */
export interface Sqlite3Group<T = Row[]> {
  /** As `execute` of a single one; gives a result for each member. */
  execute<R = T>(sql: StatementInput, ...params: unknown[]): MapFuture<R>;
}

/** `was.sqlite3`. */
export interface Sqlite3Method {
  /**
   * A database by the path of its file, `:memory:`, or `@alias`, where the member with the least
   * load gets each statement.
   *
   * @throws {TypeError} without a target, with an unknown alias or option, or an alias of another
   * type.
   */
  <T = Row[]>(target: string, options?: DatabaseOptions<T>): Sqlite3Database<T>;
  /** As a plain call, but only to an alias. */
  lb<T = Row[]>(target: string, options?: DatabaseOptions<T>): Sqlite3Database<T>;
  /** Every member of an alias at once. A callback is not possible. */
  map<T = Row[]>(
    target: string,
    options?: Omit<DatabaseOptions<T>, "callback">,
  ): Sqlite3Group<T>;
}

const KNOWN = ["useCache", "callback", "filter", "meta", "timeout"];

/** Makes `was.sqlite3` of an owner. */
export function sqlite3Method(owner: DatabaseOwner): Sqlite3Method {
  const method = <T>(target: string, options: DatabaseOptions<T> = {}) =>
    database(owner, target, options);
  method.lb = <T>(target: string, options: DatabaseOptions<T> = {}) => {
    needAlias("balance", target);
    return database(owner, target, options);
  };
  method.map = <T>(target: string, options: DatabaseOptions<T> = {}) => {
    needAlias("map", target);
    if (options.callback !== undefined) {
      throw new TypeError(`Cannot map statements to ${target}: a callback is not possible there`);
    }
    return group(owner, target, options);
  };
  return method as Sqlite3Method;
}

/** Statements under way by file, for choosing the member with the least load. */
const running = new Map<string, number>();

function database<T>(
  owner: DatabaseOwner,
  target: string,
  options: DatabaseOptions<T>,
): Sqlite3Database<T> {
  const alias = check(owner, target, options);
  return {
    execute<R>(sql: StatementInput, ...params: unknown[]) {
      const file = alias?.pick((member) => running.get(member.database) ?? 0).database ?? target;
      const own = options as unknown as DatabaseOptions<R>;
      return start<R>(owner, target, file, sql, params, own);
    },
  };
}

function group<T>(
  owner: DatabaseOwner,
  target: string,
  options: DatabaseOptions<T>,
): Sqlite3Group<T> {
  const members: readonly AliasMember[] = check(owner, target, options)!.members;
  return {
    execute<R>(sql: StatementInput, ...params: unknown[]) {
      const own = options as unknown as DatabaseOptions<R>;
      return new MapFuture(
        members.map(({ database }) => start<R>(owner, target, database, sql, params, own)),
      );
    },
  };
}

function start<T>(
  owner: DatabaseOwner,
  target: string,
  file: string,
  sql: StatementInput,
  params: readonly unknown[],
  options: DatabaseOptions<T>,
): Future<T> {
  const { meta, filter, callback, timeout } = options;
  const facts = { method: "EXECUTE", url: target, server: file, dbname: file, params };
  return new Future<T>(async (signal) => {
    running.set(file, (running.get(file) ?? 0) + 1);
    try {
      // Loaded with the first statement, so that an app without one does not pay for it.
      const { sqlite3Send } = await import("../clients/sqlite3/client.ts");
      return await sqlite3Send(await owner.offloadPool(), file, sql, params)(signal);
    } finally {
      const left = running.get(file)! - 1;
      if (left === 0) running.delete(file);
      else running.set(file, left);
    }
  }, { ...facts, owner, meta, filter, callback, timeout });
}

/** Checks target and options; gives the alias, if the target is one. */
function check<T>(
  owner: DatabaseOwner,
  target: string,
  options: DatabaseOptions<T>,
): Alias | undefined {
  if (typeof target !== "string" || target.trim() === "") {
    throw new TypeError("Cannot use SQLite: no file or alias was given");
  }
  for (const name of Object.keys(options)) {
    if (KNOWN.includes(name)) continue;
    throw new TypeError(
      `Cannot use SQLite ${target}: unknown option "${name}"; known are ${KNOWN.join(", ")}`,
    );
  }
  if (options.meta !== undefined && "reqid" in options.meta) {
    throw new TypeError(`Cannot use SQLite ${target}: the key "reqid" of meta is reserved`);
  }
  if (!target.startsWith("@")) return undefined;
  const alias = owner.findAlias(target);
  if (alias.type !== "sqlite3") {
    throw new TypeError(`Cannot use SQLite ${target}: the alias is of type ${alias.type}`);
  }
  return alias;
}

function needAlias(what: string, target: string): void {
  if (typeof target === "string" && target !== "" && !target.startsWith("@")) {
    throw new TypeError(
      `Cannot ${what} statements to ${JSON.stringify(target)}: expected @alias`,
    );
  }
}
