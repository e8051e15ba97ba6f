/**
 * The SQL generator as apps hold it: statements from scratch, and those of files by file and name.
 *
 * @module
 */

import {
  DeleteBuilder,
  InsertBuilder,
  SelectBuilder,
  type SqlRunner,
  UpdateBuilder,
} from "./builder.ts";
import type { SqlRecord } from "../statement.ts";
import { Combined, type SqlCondition, type SqlDialect } from "./conditions.ts";
import { MapBuilder, type SqlMaps } from "./maps.ts";
import { sql, type SqlTag, type SqlTemplate } from "./template.ts";

/** The statements of one file. */
export type SqlMapFile<F = never> = Readonly<
  Record<string, (values?: SqlRecord) => MapBuilder<F>>
>;

/**
 * The generator. It is a tag of templates, too: `` sql`select ${1}` ``. A file of statements is a
 * member by its name: `sql.report.totals({ kind: "pdf" })`.
 */
export interface SqlGenerator<F = never> extends SqlTag {
  /** Database it writes for. */
  readonly dialect: SqlDialect;
  /** Reads rows of a table. */
  select(table: string): SelectBuilder<F>;
  /** Adds rows to a table. */
  insert(table: string): InsertBuilder<F>;
  /** Changes rows of a table. */
  update(table: string): UpdateBuilder<F>;
  /** Takes rows out of a table. */
  delete(table: string): DeleteBuilder<F>;
  /** All of the conditions hold. */
  and(...conditions: SqlCondition[]): SqlCondition;
  /** One of the conditions holds. */
  or(...conditions: SqlCondition[]): SqlCondition;
  /** Not all of the conditions hold. */
  not(...conditions: SqlCondition[]): SqlCondition;
  /** Statements of a file. @throws {ReferenceError} when there is no such file. */
  file(name: string): SqlMapFile<F>;
  /** Statements of a file, by its name. */
  // deno-lint-ignore no-explicit-any -- the files of the app are its own
  readonly [file: string]: any;
}

/** Makes a generator. `run` is what `execute` of its statements does. */
export function sqlGenerator<F = never>(
  dialect: SqlDialect,
  maps: SqlMaps | undefined,
  run?: SqlRunner<F>,
): SqlGenerator<F> {
  const file = (name: string): SqlMapFile<F> => {
    if (maps === undefined) {
      throw new ReferenceError(`Cannot find ${name}.sql: no directory is set`);
    }
    return mapFile(dialect, maps, name, run);
  };
  const members: Readonly<Record<string, unknown>> = {
    dialect,
    select: (table: string) => new SelectBuilder<F>(dialect, table, run),
    insert: (table: string) => new InsertBuilder<F>(dialect, table, run),
    update: (table: string) => new UpdateBuilder<F>(dialect, table, run),
    delete: (table: string) => new DeleteBuilder<F>(dialect, table, run),
    and: (...conditions: SqlCondition[]) => new Combined("and", conditions),
    or: (...conditions: SqlCondition[]) => new Combined("or", conditions),
    not: (...conditions: SqlCondition[]) => new Combined("not", conditions),
    name: sql.name,
    join: sql.join,
    file,
  };
  const tag = (strings: TemplateStringsArray, ...values: unknown[]): SqlTemplate =>
    sql(strings, ...values);
  return new Proxy(tag, {
    get(target, name) {
      if (typeof name === "symbol") return Reflect.get(target, name);
      if (Object.hasOwn(members, name)) return members[name];
      // a promise would be waited for, and tools look at these
      if (name === "then" || name === "toJSON" || name in Function.prototype) {
        return Reflect.get(target, name);
      }
      return file(name);
    },
  }) as unknown as SqlGenerator<F>;
}

function mapFile<F>(
  dialect: SqlDialect,
  maps: SqlMaps,
  name: string,
  run: SqlRunner<F> | undefined,
): SqlMapFile<F> {
  const sources = maps.get(name);
  if (sources === undefined) {
    throw new ReferenceError(`Cannot find ${name}.sql in ${maps.directory}`);
  }
  const file: Record<string, (values?: SqlRecord) => MapBuilder<F>> = Object
    .create(null);
  for (const [key, source] of sources) {
    file[key] = (values) => new MapBuilder<F>(dialect, source, values, run);
  }
  return new Proxy(file, {
    get(target, key) {
      const found = Reflect.get(target, key);
      if (found !== undefined || typeof key === "symbol" || key === "then" || key === "toJSON") {
        return found;
      }
      throw new ReferenceError(
        `Cannot find ${String(key)} in ${name}.sql; it has ${[...sources.keys()].join(", ")}`,
      );
    },
  });
}
