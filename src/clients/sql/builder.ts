/**
 * A small generator of SQL: values are always bound, names always quoted.
 *
 * @module
 */

import {
  allOf,
  columnsSql,
  Combined,
  conditionSql,
  count,
  orderSql,
  raw,
  type SqlCondition,
  type SqlDialect,
  tableSql,
} from "./conditions.ts";
import type { SqlRecord } from "../statement.ts";
import { quoteName } from "./quote.ts";
import { sql, SqlName, SqlTemplate } from "./template.ts";

/** What every statement of the generator is, whatever runs it. */
export interface SqlStatement {
  /** The statement as a piece that can be put into others. */
  template(): SqlTemplate;
  /** The statement with the placeholders of its dialect. */
  compile(): { readonly sql: string; readonly parameters: readonly unknown[] };
}

/** Runs a built statement; databases supply it. */
export type SqlRunner<F> = (statement: SqlStatement) => F;

/** Values by column; a piece of SQL stands for itself. */
export type SqlValues = SqlRecord;

/** A column: a name, or a piece of SQL. */
export type SqlColumn = string | SqlTemplate;

/** What all statements of the generator can do. `F` is what `execute` gives. */
export abstract class SqlBuilder<F = never> implements SqlStatement {
  /** Database it is for. */
  readonly dialect: SqlDialect;
  readonly #run: SqlRunner<F> | undefined;

  /** Takes the dialect, and what runs the statement if something does. */
  constructor(dialect: SqlDialect, run?: SqlRunner<F>) {
    this.dialect = dialect;
    this.#run = run;
  }

  /**
   * The statement as a piece that can be put into others. @throws {TypeError} when it is not
   * complete.
   */
  abstract template(): SqlTemplate;

  /** The statement with the placeholders of its dialect. */
  compile(): { readonly sql: string; readonly parameters: readonly unknown[] } {
    const placeholder = this.dialect === "postgresql" ? (n: number) => `$${n}` : () => "?";
    const { sql, params } = this.template().render(placeholder);
    return { sql, parameters: params };
  }

  /** The text with its placeholders, for logs. */
  toString(): string {
    return this.compile().sql;
  }

  /**
   * Runs the statement on the database it was made with.
   *
   * @throws {TypeError} when it was made without one: give it to `execute` of a database.
   */
  execute(): F {
    if (this.#run === undefined) {
      throw new TypeError("Cannot execute a statement without a database: give it to db.execute()");
    }
    return this.#run(this);
  }
}

/** A statement that applies to some rows only. */
export abstract class FilteredBuilder<F> extends SqlBuilder<F> {
  readonly #conditions: SqlCondition[] = [];

  /** Rows for which all of this holds, besides what was said before. See {@link SqlCondition}. */
  filter(...conditions: SqlCondition[]): this {
    for (const condition of conditions) {
      // what cannot be used is told where it was written
      conditionSql(this.dialect, condition);
      this.#conditions.push(condition);
    }
    return this;
  }

  /** Rows for which not all of this holds. */
  exclude(...conditions: SqlCondition[]): this {
    return this.filter(new Combined("not", conditions));
  }

  /** True when there is a filter. */
  protected get filtered(): boolean {
    return this.#conditions.length > 0;
  }

  /** ` where …`, or nothing. */
  protected where(): SqlTemplate {
    return this.filtered ? sql` where ${allOf(this.dialect, this.#conditions)}` : raw("");
  }
}

/** How two tables go together: columns of both that are equal, or a piece of SQL. */
export type SqlJoin = SqlTemplate | Readonly<Record<string, string>>;

/** A `select`. */
export class SelectBuilder<F = never> extends FilteredBuilder<F> {
  readonly #table: SqlTemplate;
  readonly #with: SqlTemplate[] = [];
  readonly #columns: SqlColumn[] = [];
  readonly #joins: SqlTemplate[] = [];
  readonly #groups: SqlColumn[] = [];
  readonly #having: SqlCondition[] = [];
  readonly #order: SqlColumn[] = [];
  #distinct = false;
  #limit: number | undefined;
  #offset: number | undefined;

  /** Takes a table, `name` or `name alias`. */
  constructor(dialect: SqlDialect, table: string, run?: SqlRunner<F>) {
    super(dialect, run);
    this.#table = tableSql(table);
  }

  /** Columns to read: `"id, name"`, `"count(*) cnt"`, pieces of SQL. All when never called. */
  get(...columns: SqlColumn[]): this {
    columnsSql(columns);
    this.#columns.push(...columns);
    return this;
  }

  /** No row twice. */
  distinct(): this {
    this.#distinct = true;
    return this;
  }

  /** Adds a statement under a name, to be read like a table. */
  with(name: string, statement: SqlStatement | SqlTemplate): this {
    const template = statement instanceof SqlTemplate ? statement : statement.template();
    this.#with.push(sql`${new SqlName(name)} as (${template})`);
    return this;
  }

  /**
   * Adds a table; `on` has the column of the new one first: `.join("items i", { "i.order_id":
   * "o.id" })`.
   */
  join(table: string, on: SqlJoin): this {
    return this.#join("join", table, on);
  }

  /** As `join`, but rows without a partner stay. */
  leftJoin(table: string, on: SqlJoin): this {
    return this.#join("left join", table, on);
  }

  /** One row for each group. */
  groupBy(...columns: SqlColumn[]): this {
    this.#groups.push(...columns);
    return this;
  }

  /** Groups for which this holds. */
  having(...conditions: SqlCondition[]): this {
    this.#having.push(...conditions);
    return this;
  }

  /** Order; `"-created"` is descending. */
  orderBy(...columns: SqlColumn[]): this {
    orderSql(columns);
    this.#order.push(...columns);
    return this;
  }

  /** At most so many rows. @throws {RangeError} */
  limit(rows: number): this {
    this.#limit = count(rows, "a limit");
    return this;
  }

  /** Leaves out the first rows. @throws {RangeError} */
  offset(rows: number): this {
    this.#offset = count(rows, "an offset");
    return this;
  }

  /** The statement. */
  template(): SqlTemplate {
    const columns = this.#columns.length === 0 ? raw("*") : columnsSql(this.#columns);
    return sql.join([
      this.#with.length > 0 ? sql`with ${sql.join(this.#with)} ` : raw(""),
      raw(this.#distinct ? "select distinct " : "select "),
      columns,
      sql` from ${this.#table}`,
      ...this.#joins,
      this.where(),
      this.#groups.length > 0 ? sql` group by ${columnsSql(this.#groups)}` : raw(""),
      this.#having.length > 0 ? sql` having ${allOf(this.dialect, this.#having)}` : raw(""),
      this.#order.length > 0 ? sql` order by ${orderSql(this.#order)}` : raw(""),
      this.#range(),
    ], "");
  }

  #range(): SqlTemplate {
    // an offset alone is an error in SQLite
    const limit = this.#limit ??
      (this.#offset !== undefined && this.dialect === "sqlite3" ? -1 : undefined);
    return raw(
      (limit === undefined ? "" : ` limit ${limit}`) +
        (this.#offset === undefined ? "" : ` offset ${this.#offset}`),
    );
  }

  #join(how: string, table: string, on: SqlJoin): this {
    const condition = on instanceof SqlTemplate ? on : sql.join(
      Object.entries(on).map(([own, other]) => raw(`${quoteName(own)} = ${quoteName(other)}`)),
      " and ",
    );
    this.#joins.push(sql` ${raw(how)} ${tableSql(table)} on ${condition}`);
    return this;
  }
}

/** An `insert`. */
export class InsertBuilder<F = never> extends SqlBuilder<F> {
  readonly #table: SqlTemplate;
  readonly #rows: SqlValues[] = [];
  readonly #returning: SqlColumn[] = [];
  #conflict:
    | { readonly columns: readonly string[]; readonly update: readonly string[] }
    | undefined;

  /** Takes a table. */
  constructor(dialect: SqlDialect, table: string, run?: SqlRunner<F>) {
    super(dialect, run);
    this.#table = tableSql(table);
  }

  /** Rows to add: one, or a list of those that have the same columns. */
  data(rows: SqlValues | readonly SqlValues[]): this {
    this.#rows.push(...(Array.isArray(rows) ? rows : [rows]) as SqlValues[]);
    return this;
  }

  /** Columns of the new rows to give back. */
  returning(...columns: SqlColumn[]): this {
    this.#returning.push(...columns);
    return this;
  }

  /**
   * What to do about a row that has the same values in these columns as one that is there: leave
   * that as it is, or set the columns listed in `update` to the new values.
   */
  onConflict(columns: string | readonly string[], update: readonly string[] = []): this {
    this.#conflict = { columns: typeof columns === "string" ? [columns] : columns, update };
    return this;
  }

  /** The statement. @throws {TypeError} without rows, and for rows of different columns. */
  template(): SqlTemplate {
    const [first] = this.#rows;
    if (first === undefined) throw new TypeError("Cannot insert: no data was given");
    const columns = Object.keys(first);
    if (columns.length === 0) throw new TypeError("Cannot insert a row without columns");
    const rows = this.#rows.map((row) => {
      const own = Object.keys(row);
      if (own.length !== columns.length || own.some((name) => !columns.includes(name))) {
        throw new TypeError(
          `Cannot insert rows of different columns: ${columns.join(", ")}; and ${own.join(", ")}`,
        );
      }
      return sql`(${sql.join(columns.map((name) => bound(name, row[name])))})`;
    });
    return sql`insert into ${this.#table} (${
      sql.join(columns.map((one) => new SqlName(one)))
    }) values ${sql.join(rows)}${this.#onConflict()}${returning(this.#returning)}`;
  }

  #onConflict(): SqlTemplate {
    if (this.#conflict === undefined) return raw("");
    const { columns, update } = this.#conflict;
    const target = sql.join(columns.map((name) => new SqlName(name)));
    if (update.length === 0) return sql` on conflict (${target}) do nothing`;
    const sets = update.map((name) => raw(`${quoteName(name)} = excluded.${quoteName(name)}`));
    return sql` on conflict (${target}) do update set ${sql.join(sets)}`;
  }
}

/** A statement that changes rows: which ones has to be said. */
export abstract class ChangingBuilder<F> extends FilteredBuilder<F> {
  #all = false;
  readonly #returning: SqlColumn[] = [];

  /** Says that every row is meant. */
  all(): this {
    this.#all = true;
    return this;
  }

  /** Columns of the rows concerned to give back. */
  returning(...columns: SqlColumn[]): this {
    this.#returning.push(...columns);
    return this;
  }

  /** ` where …`. @throws {TypeError} when nobody said which rows. */
  protected rows(verb: string): SqlTemplate {
    if (!this.filtered && !this.#all) {
      throw new TypeError(`Cannot ${verb} every row: add a filter, or say all()`);
    }
    return sql`${this.where()}${returning(this.#returning)}`;
  }
}

/** An `update`. */
export class UpdateBuilder<F = never> extends ChangingBuilder<F> {
  readonly #table: SqlTemplate;
  #values: SqlValues = {};

  /** Takes a table. */
  constructor(dialect: SqlDialect, table: string, run?: SqlRunner<F>) {
    super(dialect, run);
    this.#table = tableSql(table);
  }

  /** Values to set. */
  data(values: SqlValues): this {
    this.#values = { ...this.#values, ...values };
    return this;
  }

  /** The statement. @throws {TypeError} without values, and without `filter` or `all`. */
  template(): SqlTemplate {
    const sets = Object.entries(this.#values).map(([name, value]) =>
      sql`${new SqlName(name)} = ${bound(name, value)}`
    );
    if (sets.length === 0) throw new TypeError("Cannot update: no data was given");
    return sql`update ${this.#table} set ${sql.join(sets)}${this.rows("update")}`;
  }
}

/** A `delete`. */
export class DeleteBuilder<F = never> extends ChangingBuilder<F> {
  readonly #table: SqlTemplate;

  /** Takes a table. */
  constructor(dialect: SqlDialect, table: string, run?: SqlRunner<F>) {
    super(dialect, run);
    this.#table = tableSql(table);
  }

  /** The statement. @throws {TypeError} without `filter` or `all`. */
  template(): SqlTemplate {
    return sql`delete from ${this.#table}${this.rows("delete")}`;
  }
}

function returning(columns: readonly SqlColumn[]): SqlTemplate {
  return columns.length === 0 ? raw("") : sql` returning ${columnsSql(columns)}`;
}

function bound(name: string, value: unknown): unknown {
  if (value === undefined) throw new TypeError(`Cannot store ${name}: the value is undefined`);
  return value;
}
