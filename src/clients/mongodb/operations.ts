/**
 * The operations on collections: what each does, whether it only reads, and what its data are.
 *
 * @module
 */

import { keptValues } from "../../core/kept_values.ts";
import type { Db, Document, Filter, FindOptions, Sort } from "mongodb";

/** A document. */
// deno-lint-ignore no-explicit-any -- what is in a collection is known to its users
export type MongoDocument = Record<string, any>;

/** Options of `find` and `findone`. */
export interface MongoFindOptions {
  /** Members to give: `{ name: 1 }`. Default all. */
  readonly projection?: MongoDocument;
  /** Order: `{ created: -1 }`. */
  readonly sort?: MongoDocument;
  /** Documents to leave out first. Default 0. */
  readonly skip?: number;
  /** Most documents. Default all; `findone` gives one. */
  readonly limit?: number;
}

/** Options of `update`, `updateone` and `replace`. */
export interface MongoUpdateOptions {
  /** Add a document when none matches. Default false. */
  readonly upsert?: boolean;
}

/** An operation and what it takes. */
export interface MongoOperation {
  /** Name, as results call it. */
  readonly name: string;
  /** True when it may be sent twice. */
  readonly read: boolean;
  /** Runs it. */
  run(db: Db, signal: AbortSignal): Promise<unknown>;
}

type Run = (db: Db, signal: AbortSignal, ...args: never[]) => Promise<unknown>;

const FIND_OPTIONS = ["projection", "sort", "skip", "limit"];

function findOptions(options: MongoFindOptions = {}, signal: AbortSignal): FindOptions {
  known("find", options, FIND_OPTIONS);
  for (const name of ["skip", "limit"] as const) {
    const count = options[name];
    if (count === undefined || (Number.isSafeInteger(count) && count >= 0)) continue;
    // the driver passes over a text, and gives every document
    throw new TypeError(`Cannot find: ${name} is a whole number from 0, not ${String(count)}`);
  }
  const { sort, ...rest } = options;
  return { ...rest, ...sort && { sort: sort as Sort }, signal } as FindOptions;
}

function updateOptions(options: MongoUpdateOptions = {}): MongoUpdateOptions {
  known("update", options, ["upsert"]);
  return options;
}

function known(what: string, options: object, names: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (names.includes(name)) continue;
    throw new TypeError(`Cannot ${what}: unknown option "${name}"; known are ${names.join(", ")}`);
  }
}

/** A change or a removal without a condition would hit every document by mistake. */
function condition(what: string, filter: unknown): Filter<Document> {
  if (typeof filter !== "object" || filter === null || Array.isArray(filter)) {
    throw new TypeError(`Cannot ${what}: no condition was given; {} means every document`);
  }
  for (const [name, value] of Object.entries(filter)) {
    if (value !== undefined) continue;
    // it would hit every document that has no such member
    throw new TypeError(`Cannot ${what}: the value of ${name} in the condition is undefined`);
  }
  return filter as Filter<Document>;
}

/** What is no document would become one without members, or with those of a text. */
function copied(document: unknown): MongoDocument {
  if (typeof document !== "object" || document === null || Array.isArray(document)) {
    const what = document === null ? "null" : Array.isArray(document) ? "a list" : typeof document;
    throw new TypeError(`Cannot insert ${what}: expected a document or a list of them`);
  }
  return { ...document };
}

const OPERATIONS = {
  find: (db, signal, name: string, filter: MongoDocument = {}, options?: MongoFindOptions) =>
    db.collection(name).find(filter, findOptions(options, signal)).toArray(),
  findone: (db, signal, name: string, filter: MongoDocument = {}, options?: MongoFindOptions) =>
    db.collection(name).findOne(filter, findOptions(options, signal)),
  count: (db, signal, name: string, filter: MongoDocument = {}) =>
    db.collection(name).countDocuments(filter, { signal } as object),
  distinct: (db, _signal, name: string, key: string, filter: MongoDocument = {}) =>
    db.collection(name).distinct(key, filter),
  aggregate: (db, signal, name: string, pipeline: MongoDocument[]) =>
    db.collection(name).aggregate(pipeline, { signal }).toArray(),
  async insert(db, _signal, name: string, documents: MongoDocument | readonly MongoDocument[]) {
    const collection = db.collection(name);
    // the driver adds the id to what it is given
    if (!Array.isArray(documents)) {
      const { insertedId } = await collection.insertOne(copied(documents));
      return { insertedCount: 1, insertedIds: [insertedId] };
    }
    const { insertedCount, insertedIds } = await collection
      .insertMany((documents as readonly unknown[]).map(copied));
    return { insertedCount, insertedIds: Object.values(insertedIds) };
  },
  async update(
    db,
    _signal,
    name: string,
    filter: MongoDocument,
    change: MongoDocument,
    options?: MongoUpdateOptions,
  ) {
    return changed(
      await db.collection(name)
        .updateMany(condition("update", filter), change, updateOptions(options)),
    );
  },
  async updateone(
    db,
    _signal,
    name: string,
    filter: MongoDocument,
    change: MongoDocument,
    options?: MongoUpdateOptions,
  ) {
    return changed(
      await db.collection(name)
        .updateOne(condition("update", filter), change, updateOptions(options)),
    );
  },
  async replace(
    db,
    _signal,
    name: string,
    filter: MongoDocument,
    document: MongoDocument,
    options?: MongoUpdateOptions,
  ) {
    return changed(
      await db.collection(name)
        .replaceOne(condition("replace", filter), document, updateOptions(options)),
    );
  },
  async delete(db, _signal, name: string, filter: MongoDocument) {
    const { deletedCount } = await db.collection(name).deleteMany(condition("delete", filter));
    return { deletedCount };
  },
  async deleteone(db, _signal, name: string, filter: MongoDocument) {
    const { deletedCount } = await db.collection(name).deleteOne(condition("delete", filter));
    return { deletedCount };
  },
  command: (db, _signal, command: MongoDocument) => db.command(command),
} satisfies Record<string, Run>;

/** Names of the operations. */
export type MongoOperationName = keyof typeof OPERATIONS;

/** Names of the operations, for those who make methods of them. */
export const MONGO_OPERATIONS: readonly MongoOperationName[] = Object.keys(
  OPERATIONS,
) as MongoOperationName[];

const READS: ReadonlySet<string> = new Set(["find", "findone", "count", "distinct"]);

/**
 * Makes an operation, of values as they are now.
 *
 * @throws {TypeError} for what is no operation, or names no collection.
 */
export function mongoOperation(
  name: MongoOperationName,
  args: readonly unknown[],
): MongoOperation {
  if (!Object.hasOwn(OPERATIONS, name)) {
    throw new TypeError(`Cannot ${name}: known are ${MONGO_OPERATIONS.join(", ")}`);
  }
  if (name === "command") {
    if (typeof args[0] !== "object" || args[0] === null) {
      throw new TypeError("Cannot run a command of MongoDB: expected an object");
    }
  } else if (typeof args[0] !== "string" || args[0] === "") {
    throw new TypeError(`Cannot ${name}: no collection was given`);
  }
  const run = OPERATIONS[name] as unknown as (
    db: Db,
    signal: AbortSignal,
    ...args: unknown[]
  ) => Promise<unknown>;
  // the driver reads them when it has a connection
  const kept = keptValues(args);
  // an aggregation may end in $out or $merge
  // and what is wrong with values may be thrown at once
  return {
    name,
    read: READS.has(name),
    run: async (db, signal) => await run(db, signal, ...kept),
  };
}

function changed(
  { matchedCount, modifiedCount, upsertedId }: {
    readonly matchedCount: number;
    readonly modifiedCount: number;
    readonly upsertedId: unknown;
  },
): MongoDocument {
  return { matchedCount, modifiedCount, upsertedId: upsertedId ?? null };
}
