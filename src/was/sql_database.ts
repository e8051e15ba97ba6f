/**
 * An SQL database as handlers hold it, whatever kind it is: statements in, futures out.
 *
 * @module
 */

import type {
  DeleteBuilder,
  InsertBuilder,
  SelectBuilder,
  SqlStatement,
  UpdateBuilder,
} from "../clients/sql/builder.ts";
import type { SqlDialect } from "../clients/sql/conditions.ts";
import { type SqlGenerator, sqlGenerator } from "../clients/sql/generator.ts";
import type { SqlMaps } from "../clients/sql/maps.ts";
import { type StatementInput, toStatements } from "../clients/statement.ts";
import type { Row } from "./database_call.ts";
import type { Future } from "./future.ts";
import type { MapFuture } from "./map_future.ts";

/**
 * The generator of a database: what it builds can be executed on the spot. `F` is what that gives.
 */
export interface SqlBuilding<F> {
  /** The generator, with the statements in files: `db.sql.report.totals({ … }).execute()`. */
  readonly sql: SqlGenerator<F>;
  /** Reads rows: `db.select("items").get("id, name").filter({ price__lt: 10 }).execute()`. */
  select(table: string): SelectBuilder<F>;
  /** Adds rows: `db.insert("items").data({ name: "pen" }).execute()`. */
  insert(table: string): InsertBuilder<F>;
  /** Changes rows. */
  update(table: string): UpdateBuilder<F>;
  /** Takes rows out. */
  delete(table: string): DeleteBuilder<F>;
}

/** A database whose statements go to one server, or to one member of an alias. */
export interface SqlDatabase<T = Row[]> extends SqlBuilding<Future<T>> {
  /**
   * Starts a statement, or several. Anything wrong with it is a result with status 2 and code 500.
   * Also a tag of templates: `` db.execute`select * from items where id = ${id}` ``.
   *
   * @param sql SQL text, a list that is run together, `{ sql, params }`, or what a query builder
   * makes.
   * @param params A list of values, a record of values by name, or one argument for each value.
   */
  execute<R = T>(sql: StatementInput, ...params: unknown[]): Future<R>;
}

/** A group of databases whose statements go to every member. */
export interface SqlGroup<T = Row[]> extends SqlBuilding<MapFuture<T>> {
  /** As `execute` of a single one; gives a result for each member. */
  execute<R = T>(sql: StatementInput, ...params: unknown[]): MapFuture<R>;
}

/** The members that databases and groups of all kinds have. */
export class SqlHandle<F> implements SqlBuilding<F> {
  readonly #dialect: SqlDialect;
  readonly #maps: SqlMaps | undefined;
  readonly #start: (sql: StatementInput, params: readonly unknown[]) => F;
  #sql: SqlGenerator<F> | undefined;

  /** Takes what starts a statement. */
  constructor(
    dialect: SqlDialect,
    maps: SqlMaps | undefined,
    start: (sql: StatementInput, params: readonly unknown[]) => F,
  ) {
    this.#dialect = dialect;
    this.#maps = maps;
    this.#start = start;
  }

  /** Starts a statement. */
  execute(sql: StatementInput, ...params: unknown[]): F {
    return this.#start(sql, params);
  }

  /** See {@link SqlBuilding}. */
  get sql(): SqlGenerator<F> {
    return this.#sql ??= sqlGenerator(
      this.#dialect,
      this.#maps,
      (statement: SqlStatement) => this.#start(statement, []),
    );
  }

  /** See {@link SqlBuilding}. */
  select(table: string): SelectBuilder<F> {
    return this.sql.select(table);
  }

  /** See {@link SqlBuilding}. */
  insert(table: string): InsertBuilder<F> {
    return this.sql.insert(table);
  }

  /** See {@link SqlBuilding}. */
  update(table: string): UpdateBuilder<F> {
    return this.sql.update(table);
  }

  /** See {@link SqlBuilding}. */
  delete(table: string): DeleteBuilder<F> {
    return this.sql.delete(table);
  }
}

/**
 * What tells statements apart; a text without values does that by itself. `undefined` for those that
 * may write: the second of them is not the first one again.
 */
export function askedOf(sql: StatementInput, params: readonly unknown[]): unknown {
  if (typeof sql === "string" && params.length === 0) return onlyReads(sql) ? sql : undefined;
  const statements = toStatements(sql, params);
  return statements.every((statement) => onlyReads(statement.sql)) ? statements : undefined;
}

/** Blanks, comments and brackets before the verb. */
const READS =
  /^(?:[\s(;]|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(select|values|table|show|explain|pragma|with)\b/i;
const MAY_WRITE = /\b(insert|update|delete|merge|replace|create|alter|drop|truncate|call|do)\b/i;

/** Whether a text begins with a verb that reads, and, where more may follow, has none that writes. */
function onlyReads(sql: string): boolean {
  const verb = READS.exec(sql)?.[1]?.toLowerCase();
  if (verb === undefined) return false;
  const more = verb === "with" || verb === "explain" || /;\s*\S/.test(sql);
  return !more || !MAY_WRITE.test(sql);
}
