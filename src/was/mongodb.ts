/**
 * MongoDB as handlers use it: operations on collections, futures out.
 *
 * @module
 */

import type { Outcome } from "../clients/contract.ts";
import type { StopSignal } from "../core/stop.ts";
import type { MongodbClient } from "../clients/mongodb/client.ts";
import {
  MONGO_OPERATIONS,
  type MongoDocument,
  type MongoFindOptions,
  type MongoOperation,
  mongoOperation,
  type MongoOperationName,
  type MongoUpdateOptions,
} from "../clients/mongodb/operations.ts";
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
  type ServerOptions,
  startOnAll,
  startOnOne,
  targetOf,
} from "./database_call.ts";
import type { Future } from "./future.ts";
import type { MapFuture } from "./map_future.ts";
import { serverMember } from "./server_member.ts";

/** What an insertion gives. */
export interface MongoInserted {
  /** How many documents were added. */
  readonly insertedCount: number;
  /** Their ids, in order. */
  readonly insertedIds: readonly unknown[];
}

/** What a change gives. */
export interface MongoChanged {
  /** Documents that met the condition. */
  readonly matchedCount: number;
  /** Documents that are different now. */
  readonly modifiedCount: number;
  /** Id of the document that was added instead, or `null`. */
  readonly upsertedId: unknown;
}

/** What a removal gives. */
export interface MongoDeleted {
  /** How many documents were taken out. */
  readonly deletedCount: number;
}

/** The operations. `R` makes of the data what a call gives: a future, or one for all members. */
export interface MongoDatabase {
  /** Documents that meet a condition; all without one. */
  find<D = MongoDocument>(
    collection: string,
    filter?: MongoDocument,
    options?: MongoFindOptions,
  ): Future<D[]>;
  /** The first such document, or `null`. */
  findone<D = MongoDocument>(
    collection: string,
    filter?: MongoDocument,
    options?: MongoFindOptions,
  ): Future<D | null>;
  /** How many such documents there are. */
  count(collection: string, filter?: MongoDocument): Future<number>;
  /** The different values of a member. */
  distinct<D = unknown>(collection: string, key: string, filter?: MongoDocument): Future<D[]>;
  /** What an aggregation gives. */
  aggregate<D = MongoDocument>(
    collection: string,
    pipeline: readonly MongoDocument[],
  ): Future<D[]>;
  /** Adds a document or several. */
  insert(
    collection: string,
    documents: MongoDocument | readonly MongoDocument[],
  ): Future<MongoInserted>;
  /**
   * Changes all documents that meet a condition: `update("users", { id: 1 }, { $set: { a: 2 } })`.
   */
  update(
    collection: string,
    filter: MongoDocument,
    change: MongoDocument,
    options?: MongoUpdateOptions,
  ): Future<MongoChanged>;
  /** Changes one such document. */
  updateone(
    collection: string,
    filter: MongoDocument,
    change: MongoDocument,
    options?: MongoUpdateOptions,
  ): Future<MongoChanged>;
  /** Puts another document in the place of one. */
  replace(
    collection: string,
    filter: MongoDocument,
    document: MongoDocument,
    options?: MongoUpdateOptions,
  ): Future<MongoChanged>;
  /** Takes out all documents that meet a condition. */
  delete(collection: string, filter: MongoDocument): Future<MongoDeleted>;
  /** Takes out one such document. */
  deleteone(collection: string, filter: MongoDocument): Future<MongoDeleted>;
  /** Runs a command of the server: `command({ dbStats: 1 })`. */
  command<D = MongoDocument>(command: MongoDocument): Future<D>;
}

/** A group of databases that all get each operation. */
export type MongoGroup = {
  readonly [K in keyof MongoDatabase]: (
    ...args: Parameters<MongoDatabase[K]>
    // deno-lint-ignore no-explicit-any -- each operation has data of its own
  ) => MapFuture<any>;
};

/** Options of MongoDB. */
// deno-lint-ignore no-explicit-any -- each operation has data of its own
export interface MongoOptions extends ServerOptions<any> {
  /** User and password, known to the database `admin`; for servers that are named themselves. */
  readonly auth?: DatabaseAuth;
}

/** `was.mongodb`. */
export interface MongodbMethod {
  /**
   * A database by `@alias`, where the member with the least load gets each operation, or by the
   * address of a server: `"user:password@host:27017/name"`. The user is one of the database
   * `admin`.
   *
   * @throws {TypeError} without a target, with an unknown alias or option, or an alias of another
   * type.
   */
  (target: string, options?: MongoOptions): MongoDatabase;
  /** A database by server and name. */
  (server: string, dbname: string, options?: MongoOptions): MongoDatabase;
  /** As a plain call, but only to an alias. */
  lb(target: string, options?: MongoOptions): MongoDatabase;
  /** Every member of an alias at once. A callback is not possible. */
  map(target: string, options?: Omit<MongoOptions, "callback">): MongoGroup;
}

/** Makes `was.mongodb` of an owner. */
export function mongodbMethod(owner: DatabaseOwner): MongodbMethod {
  const method = (target: string, ...rest: unknown[]): MongoDatabase => {
    const dbname = typeof rest[0] === "string" ? rest[0] : undefined;
    const given = (dbname === undefined ? rest[0] : rest[1]) as MongoOptions | undefined ?? {};
    const { auth, ...options } = given;
    needServer("MongoDB", target, [dbname, auth]);
    const place = findPlace(
      owner,
      "mongodb",
      "MongoDB",
      target,
      options,
      (text) => serverMember(text, "mongodb", { dbname, auth, ssl: options.ssl, ca: options.ca }),
    );
    return operations((request) => startOnOne(owner, request, options), place, options);
  };
  method.lb = (target: string, options: MongoOptions = {}) => {
    needAlias("balance", target);
    return method(target, options);
  };
  method.map = (target: string, options: DatabaseOptions = {}): MongoGroup => {
    needAlias("map", target);
    needNoCallback(target, options);
    const place = findPlace(owner, "mongodb", "MongoDB", target, { ...options });
    return operations(
      (request) => startOnAll(owner, request, options),
      place,
      {},
    ) as unknown as MongoGroup;
  };
  return method as unknown as MongodbMethod;
}

function operations(
  start: (request: DatabaseRequest) => unknown,
  place: Place,
  options: MongoOptions,
): MongoDatabase {
  return Object.fromEntries(
    MONGO_OPERATIONS.map((name) => [
      name,
      (...args: unknown[]) => start(new MongoRequest(place, name, args, options)),
    ]),
  ) as unknown as MongoDatabase;
}

class MongoRequest extends DatabaseRequest {
  readonly #operation: MongoOperation;
  readonly #options: MongoOptions;

  constructor(
    place: Place,
    name: MongoOperationName,
    args: readonly unknown[],
    options: MongoOptions,
  ) {
    super(place, name.toUpperCase(), args);
    this.#operation = mongoOperation(name, args);
    this.#options = options;
  }

  ask(member: AliasMember, signal: StopSignal): Promise<Outcome> {
    const client = backends.get("mongodb", loadClient);
    const target = targetOf(this.place, member, this.#options);
    return client instanceof Promise
      ? client.then((ready) => ready.send(target, this.#operation, signal))
      : client.send(target, this.#operation, signal);
  }

  load(member: AliasMember): number {
    const client = backends.peek<MongodbClient>("mongodb");
    return client?.load(targetOf(this.place, member, this.#options)) ?? 0;
  }

  protected asked(): unknown {
    return this.#operation.read ? told(this.params) : undefined;
  }
}

/**
 * Identifiers and numbers of the driver as what they say, so that the same request is known again.
 */
function told(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(told);
  if (typeof value !== "object" || value === null) return value;
  const { _bsontype: kind } = value as { _bsontype?: unknown };
  if (typeof kind === "string") return [kind, String(value)];
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) return value;
  return Object.entries(value).map(([name, member]) => [name, told(member)]);
}

async function loadClient(): Promise<MongodbClient> {
  const { MongodbClient } = await import("../clients/mongodb/client.ts");
  return new MongodbClient({ idleSeconds: backendKeepAlive });
}
