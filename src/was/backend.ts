/**
 * `was.backend`: whatever an alias names, asked the same way. Development on SQLite and production
 * on PostgreSQL differ in the alias only.
 *
 * @module
 */

import type { AliasType } from "./aliases.ts";
import type { DatabaseOptions, DatabaseOwner } from "./database_call.ts";
import type { Future } from "./future.ts";
import type { ReqOptions, RequestMethod } from "./http_requests.ts";
import type { MapFuture } from "./map_future.ts";
import type { RequestData } from "./encode_data.ts";
import type { MongodbMethod } from "./mongodb.ts";
import type { PostgresqlMethod } from "./postgresql.ts";
import type { RedisMethod } from "./redis.ts";
import type { SqlDatabase, SqlGroup } from "./sql_database.ts";
import type { Sqlite3Method } from "./sqlite3.ts";

/** Web servers behind an alias; each method takes the path below the member. */
export interface HttpBackend {
  /** Starts a GET request. */
  get<T = unknown>(path: string, data?: RequestData, options?: ReqOptions<T>): Future<T>;
  /** Starts a HEAD request. */
  head<T = unknown>(path: string, data?: RequestData, options?: ReqOptions<T>): Future<T>;
  /** Starts a DELETE request. */
  delete<T = unknown>(path: string, data?: RequestData, options?: ReqOptions<T>): Future<T>;
  /** Starts an OPTIONS request. */
  options<T = unknown>(path: string, data?: RequestData, options?: ReqOptions<T>): Future<T>;
  /** Starts a POST request. */
  post<T = unknown>(path: string, data?: RequestData, options?: ReqOptions<T>): Future<T>;
  /** Starts a PUT request. */
  put<T = unknown>(path: string, data?: RequestData, options?: ReqOptions<T>): Future<T>;
  /** Starts a PATCH request. */
  patch<T = unknown>(path: string, data?: RequestData, options?: ReqOptions<T>): Future<T>;
}

/** Web servers behind an alias that all get each request. */
export type HttpGroup = {
  readonly [K in keyof HttpBackend]: <T = unknown>(
    path: string,
    data?: RequestData,
    options?: ReqOptions<T>,
  ) => MapFuture<T>;
};

/** The methods of `was` a backend is asked with. */
export interface BackendOwner extends DatabaseOwner {
  /** SQLite. */
  readonly sqlite3: Sqlite3Method;
  /** PostgreSQL. */
  readonly postgresql: PostgresqlMethod;
  /** Redis. */
  readonly redis: RedisMethod;
  /** MongoDB. */
  readonly mongodb: MongodbMethod;
  /** HTTP. */
  readonly get: RequestMethod;
  /** HTTP. */
  readonly head: RequestMethod;
  /** HTTP. */
  readonly delete: RequestMethod;
  /** HTTP. */
  readonly options: RequestMethod;
  /** HTTP. */
  readonly post: RequestMethod;
  /** HTTP. */
  readonly put: RequestMethod;
  /** HTTP. */
  readonly patch: RequestMethod;
}

/** Options of a backend. */
// deno-lint-ignore no-explicit-any -- the data depend on the backend
export type BackendOptions = DatabaseOptions<any>;

/** `was.backend`. */
export interface BackendMethod {
  /**
   * What an alias names: an SQL database, and by its type parameter a `RedisDatabase`, a
   * `MongoDatabase` or an `HttpBackend`.
   *
   * @throws {TypeError} for anything but a defined alias, for WebSocket aliases and unknown
   * options.
   */
  <B = SqlDatabase>(alias: string, options?: BackendOptions): B;
  /** The same: every call goes to the member with the least load. */
  lb<B = SqlDatabase>(alias: string, options?: BackendOptions): B;
  /** Every member of an alias at once: a group of its kind, such as a {@link HttpGroup}. */
  map<B = SqlGroup>(alias: string, options?: Omit<BackendOptions, "callback">): B;
}

/** Makes `was.backend` of an owner. */
export function backendMethod(owner: BackendOwner): BackendMethod {
  const typeOf = (name: string): AliasType => {
    if (typeof name !== "string" || !name.startsWith("@")) {
      throw new TypeError(`Cannot use backend ${JSON.stringify(name)}: expected @alias`);
    }
    return owner.findAlias(name).type;
  };
  const method = (name: string, options: BackendOptions = {}): unknown => {
    const type = typeOf(name);
    switch (type) {
      case "http":
      case "https":
        return httpBackend(name, options, (method) => owner[method]);
      case "sqlite3":
      case "postgresql":
      case "redis":
      case "mongodb":
        return (owner[type] as (name: string, options: BackendOptions) => unknown)(name, options);
      default:
        throw new TypeError(`Cannot use backend ${name}: it is of type ${type}`);
    }
  };
  method.lb = method;
  method.map = (name: string, options: BackendOptions = {}): unknown => {
    const type = typeOf(name);
    switch (type) {
      case "sqlite3":
      case "postgresql":
      case "redis":
      case "mongodb":
        return owner[type].map(name, options);
      case "http":
      case "https":
        return httpBackend(name, options, (method) => owner[method].map);
      default:
        throw new TypeError(`Cannot map requests to ${name}: it is of type ${type}`);
    }
  };
  return method as unknown as BackendMethod;
}

const METHODS = ["get", "head", "delete", "options", "post", "put", "patch"] as const;

type Method = typeof METHODS[number];
type Request = (uri: string, data?: RequestData, options?: ReqOptions) => unknown;

/**
 * Methods that put the alias before the path, and the options of the backend under those of a
 * request.
 */
function httpBackend(
  name: string,
  common: BackendOptions,
  requestOf: (method: Method) => Request,
): unknown {
  const methods = METHODS.map((method) => [
    method,
    (path: string, data?: RequestData, options?: ReqOptions) => {
      const rest = path === "" || path.startsWith("/") || path.startsWith("?") ? path : `/${path}`;
      return requestOf(method)(`${name}${rest}`, data, { ...common, ...options });
    },
  ]);
  return Object.fromEntries(methods);
}
