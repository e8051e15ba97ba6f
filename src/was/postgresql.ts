/**
 * PostgreSQL as handlers use it: a server or an alias in, futures out.
 *
 * @module
 */

import { keptValues } from "../core/kept_values.ts";
import type { Outcome } from "../clients/contract.ts";
import type { StopSignal } from "../core/stop.ts";
import type { PostgresqlClient } from "../clients/postgresql/client.ts";
import type { StatementInput } from "../clients/statement.ts";
import type { AliasMember } from "./aliases.ts";
import { backendKeepAlive, backends } from "./backend_clients.ts";
import {
  type DatabaseAuth,
  type DatabaseOptions,
  type DatabaseOwner,
  DatabaseRequest,
  findPlace,
  needAlias,
  needNoCallback,
  needServer,
  type Place,
  type Row,
  type ServerOptions,
  startOnAll,
  startOnOne,
  targetOf,
} from "./database_call.ts";
import type { Future } from "./future.ts";
import type { MapFuture } from "./map_future.ts";
import { serverMember } from "./server_member.ts";
import { askedOf, type SqlDatabase, type SqlGroup, SqlHandle } from "./sql_database.ts";

/** `was.postgresql`. */
export interface PostgresqlMethod {
  /**
   * A database by `@alias`, where the member with the least load gets each statement, or by the
   * address of a server: `"user:password@host:5432/name"`.
   *
   * @throws {TypeError} without a target, with an unknown alias or option, or an alias of another
   * type.
   */
  <T = Row[]>(target: string, options?: ServerOptions<T>): SqlDatabase<T>;
  /** A database by server, name, and user with password. */
  <T = Row[]>(
    server: string,
    dbname: string,
    auth?: DatabaseAuth,
    options?: ServerOptions<T>,
  ): SqlDatabase<T>;
  /**
   * As a plain call, but only to an alias. Writes go to one member, too, and are not replicated.
   */
  lb<T = Row[]>(target: string, options?: DatabaseOptions<T>): SqlDatabase<T>;
  /** Every member of an alias at once. A callback is not possible. */
  map<T = Row[]>(target: string, options?: Omit<DatabaseOptions<T>, "callback">): SqlGroup<T>;
}

/** Makes `was.postgresql` of an owner. */
export function postgresqlMethod(owner: DatabaseOwner): PostgresqlMethod {
  const method = <T>(target: string, ...rest: unknown[]): SqlDatabase<T> => {
    const [dbname, auth] = typeof rest[0] === "object" ? [] : rest as [string?, DatabaseAuth?];
    const options = (typeof rest[0] === "object" ? rest[0] : rest[2] ?? {}) as ServerOptions<T>;
    needServer("PostgreSQL", target, [dbname, auth]);
    const place = findPlace(
      ...[owner, "postgresql", "PostgreSQL", target, options as Record<string, unknown>] as const,
      (text) =>
        serverMember(text, "postgresql", { dbname, auth, ssl: options.ssl, ca: options.ca }),
    );
    return new SqlHandle<Future<T>>(
      "postgresql",
      owner.sqlMaps,
      (sql, params) =>
        startOnOne<T>(owner, new PostgresqlRequest(place, sql, params, options), options),
    ) as SqlDatabase<T>;
  };
  method.lb = <T>(target: string, options: DatabaseOptions<T> = {}) => {
    needAlias("balance", target);
    return method<T>(target, options);
  };
  method.map = <T>(target: string, options: DatabaseOptions<T> = {}): SqlGroup<T> => {
    needAlias("map", target);
    needNoCallback(target, options);
    const place = findPlace(owner, "postgresql", "PostgreSQL", target, { ...options });
    return new SqlHandle<MapFuture<T>>(
      "postgresql",
      owner.sqlMaps,
      (sql, params) => startOnAll<T>(owner, new PostgresqlRequest(place, sql, params, {}), options),
    ) as SqlGroup<T>;
  };
  return method as PostgresqlMethod;
}

async function loadClient(): Promise<PostgresqlClient> {
  const { PostgresqlClient } = await import("../clients/postgresql/client.ts");
  return new PostgresqlClient({ idleSeconds: backendKeepAlive });
}

class PostgresqlRequest extends DatabaseRequest {
  readonly #sql: StatementInput;
  readonly #options: ServerOptions<never>;

  constructor(
    place: Place,
    sql: StatementInput,
    params: readonly unknown[],
    options: ServerOptions<never>,
  ) {
    super(place, "EXECUTE", params);
    this.#sql = sql;
    this.#options = options;
  }

  ask(member: AliasMember, signal: StopSignal): Promise<Outcome> {
    const client = backends.get("postgresql", loadClient);
    const sql = this.#sql;
    const params = this.params as readonly unknown[];
    if (!(client instanceof Promise)) return this.#send(client, member, sql, params, signal);
    // the client takes the values of the call, but it is not there yet
    const [keptSql, keptParams] = [keptValues(sql), keptValues(params)];
    return client.then((ready) => this.#send(ready, member, keptSql, keptParams, signal));
  }

  load(member: AliasMember): number {
    const client = backends.peek<PostgresqlClient>("postgresql");
    return client?.load(targetOf(this.place, member, this.#options)) ?? 0;
  }

  protected asked(): unknown {
    return askedOf(this.#sql, this.params as readonly unknown[]);
  }

  #send(
    client: PostgresqlClient,
    member: AliasMember,
    sql: StatementInput,
    params: readonly unknown[],
    signal: StopSignal,
  ): Promise<Outcome> {
    return client.send(targetOf(this.place, member, this.#options), sql, params, signal);
  }
}
