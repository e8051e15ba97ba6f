/**
 * The per-request service object.
 *
 * @module
 */

import { type RequestContext, runningContext } from "../core/context.ts";
import {
  GLOBAL_ID_HEADER,
  LOCAL_ID_HEADER,
  nextChildIds,
  transactionText,
} from "../core/transaction.ts";
import type { OffloadPool } from "../clients/offload/pool.ts";
import { type SqlGenerator, sqlGenerator } from "../clients/sql/generator.ts";
import type { SqlDialect } from "../clients/sql/conditions.ts";
import type { SqlMaps } from "../clients/sql/maps.ts";
import { type Alias, aliases, type AliasRegistry, findAlias } from "./aliases.ts";
import type { UploadData } from "./encode_data.ts";
import {
  type Requester,
  type RequestKind,
  type RequestMethod,
  requestMethod,
} from "./http_requests.ts";
import { type BackendMethod, backendMethod, type BackendOwner } from "./backend.ts";
import { type MongodbMethod, mongodbMethod } from "./mongodb.ts";
import { type PostgresqlMethod, postgresqlMethod } from "./postgresql.ts";
import { type RedisMethod, redisMethod } from "./redis.ts";
import { type Sqlite3Method, sqlite3Method } from "./sqlite3.ts";
import type { HeldLock, LockOptions } from "../store/shared_state.ts";
import type { BalanceFacts } from "../net/balance/policy.ts";
import { factsOf } from "./balance_facts.ts";
import { assignState, lastUpdated, readState, setUpdated, takeLock } from "./shared.ts";
import { SugarNames } from "./sugar.ts";
import { wac } from "./wac.ts";

const JSON_TYPES: readonly [string, string] = ["application/json", "application/json"];
const NO_HEADERS: readonly string[] = [];

/** What an app can do that has listeners to broadcasts. */
interface Broadcasting {
  broadcastWith?(was: unknown, event: string, args: readonly unknown[]): unknown;
}

/**
 * What a handler asks backends, logs and shared state through. One is made per request, on first use;
 * Atila extends it with the request, the response, templates and so on.
 */
export class Was extends SugarNames implements Requester, BackendOwner {
  /** Context of the request; `undefined` in life-cycle hooks, where no request runs. */
  readonly ctx: RequestContext | undefined;

  #methods: Partial<Record<RequestKind, RequestMethod>> | undefined;
  #sqlite3: Sqlite3Method | undefined;
  #postgresql: PostgresqlMethod | undefined;
  #redis: RedisMethod | undefined;
  #mongodb: MongodbMethod | undefined;
  #backend: BackendMethod | undefined;
  #sql: SqlGenerator | undefined;

  /** Binds the object to a request, or to none. */
  constructor(ctx?: RequestContext) {
    super();
    this.ctx = ctx;
  }

  /** Short name of the worker. */
  get workerId(): string {
    return this.ctx?.workerId ?? wac.workerId;
  }

  /** `gtxnid/ltxnid` of the request, as it stands in all logs; `""` outside requests. */
  txnid(): string {
    return this.ctx ? transactionText(this.ctx) : "";
  }

  /** Starts a GET request; data becomes the query. */
  get get(): RequestMethod {
    return this.#method("GET");
  }

  /** Starts a HEAD request; data becomes the query. */
  get head(): RequestMethod {
    return this.#method("HEAD");
  }

  /** Starts an OPTIONS request; data becomes the query. */
  get options(): RequestMethod {
    return this.#method("OPTIONS");
  }

  /** Starts a DELETE request; data becomes the query. */
  get delete(): RequestMethod {
    return this.#method("DELETE");
  }

  /** Starts a POST request; data is encoded by its content type, JSON by default. */
  get post(): RequestMethod {
    return this.#method("POST");
  }

  /** Starts a PUT request; data is encoded by its content type, JSON by default. */
  get put(): RequestMethod {
    return this.#method("PUT");
  }

  /** Starts a PATCH request; data is encoded by its content type, JSON by default. */
  get patch(): RequestMethod {
    return this.#method("PATCH");
  }

  /** Posts a multipart form: text, bytes, `Blob`, `File` and open files. Never cached. */
  get upload(): RequestMethod<UploadData> {
    return this.#method("UPLOAD") as RequestMethod<UploadData>;
  }

  /** SQLite databases: `was.sqlite3("shop.db").execute("select …")`, or by alias. */
  get sqlite3(): Sqlite3Method {
    return this.#sqlite3 ??= sqlite3Method(this);
  }

  /** PostgreSQL databases: `was.postgresql("@shop").execute("select …", [7])`, or by server. */
  get postgresql(): PostgresqlMethod {
    return this.#postgresql ??= postgresqlMethod(this);
  }

  /** Redis databases: `was.redis("@cache").get("greeting")`, or by server. */
  get redis(): RedisMethod {
    return this.#redis ??= redisMethod(this);
  }

  /** MongoDB databases: `was.mongodb("@docs").find("pages", { public: true })`, or by server. */
  get mongodb(): MongodbMethod {
    return this.#mongodb ??= mongodbMethod(this);
  }

  /** Whatever an alias names: `was.backend("@shop").execute("select …")`. */
  get backend(): BackendMethod {
    return this.#backend ??= backendMethod(this);
  }

  /**
   * The SQL generator of the app, for statements that are run elsewhere; also a tag of templates:
   * `` was.sql`price < ${10}` ``. A file in the directory of statements is a member by its name.
   */
  get sql(): SqlGenerator {
    return this.#sql ??= sqlGenerator(this.sqlDialect, this.sqlMaps);
  }

  /** Statements in files; none unless the app has some. */
  get sqlMaps(): SqlMaps | undefined {
    return undefined;
  }

  /** Database the generator writes for. */
  protected get sqlDialect(): SqlDialect {
    return "postgresql";
  }

  /**
   * Runs an exported function of a module in an auxiliary thread, where it may block; on the event
   * loop when the service has no threads. Resolves to what it returns.
   *
   * @param moduleUrl Absolute URL, such as `new URL("./jobs.ts", import.meta.url)`.
   * @param fn Name of the export.
   * @param args Arguments; they are cloned, as is the result.
   * Rejects with what the function throws, with `TypeError` for a module that is not an absolute
   * URL, and with `PoolExhaustedError` when no thread became free in time.
   */
  async offload(moduleUrl: string | URL, fn: string, ...args: unknown[]): Promise<unknown> {
    return await (await this.offloadPool()).run(moduleUrl, fn, args);
  }

  /**
   * Sets the time of a last-update key to now, in all workers, and broadcasts in this one the events
   * `<key>`, `model-changed:<key>` and `model-changed` with the arguments.
   *
   * @throws {TypeError} for a key that was not declared with `deflu`.
   */
  setlu(key: string, ...args: unknown[]): void {
    setUpdated(key);
    for (const event of [key, `model-changed:${key}`, "model-changed"]) {
      this.announce(event, args);
    }
  }

  /**
   * Newest time any of the keys was set, in milliseconds since 1970; the start of the server when none
   * was. Meant for the option `useCache`.
   *
   * @throws {TypeError} for a key that was not declared with `deflu`.
   */
  getlu(...keys: string[]): number {
    return lastUpdated(keys);
  }

  /**
   * Sets a global state, in all workers, and broadcasts in this one the event `<key>` with the value
   * and the arguments.
   *
   * @throws {TypeError} for a key that was not declared with `defgs`, or a value that is no integer.
   */
  setgs(key: string, value: number, ...args: unknown[]): void {
    assignState(key, value);
    this.announce(key, [value, ...args]);
  }

  /** A global state, 0 until it is set. @throws {TypeError} for a key not declared with `defgs`. */
  getgs(key: string): number {
    return readState(key);
  }

  /**
   * Takes a lock that excludes all workers: `await using lock = await was.getLock("stock")`. Waits
   * until it is free, or as long as the options say. A worker that ends loses it at once,
   * one that stands still after 15 seconds.
   *
   * @throws {DOMException} `TimeoutError` when it did not become free in time.
   */
  getLock(name?: string, options?: LockOptions): Promise<HeldLock> {
    return takeLock(name, options);
  }

  /** Broadcasts an event to the apps of this worker. */
  protected announce(event: string, args: readonly unknown[]): void {
    if (wac.broadcast !== undefined) return wac.broadcast(this, event, args);
    // without an engine, an Atila app tells those it knows
    (this as { readonly app?: Broadcasting }).app?.broadcastWith?.(this, event, args);
  }

  /** Content type sent and type accepted unless a request says otherwise: JSON both. */
  get requestTypes(): readonly [requestType: string, acceptType: string] {
    return this.defaultRequestType ?? JSON_TYPES;
  }

  /** Finds an alias, of the app before those of the service. @throws {TypeError} when there is none. */
  findAlias(name: string): Alias {
    return findAlias(name, this.appAliases, aliases);
  }

  /** Transaction headers of the next backend call; none outside requests. */
  transactionHeaders(): readonly string[] {
    const { ctx } = this;
    if (ctx === undefined || ctx.gtxnid === "") return NO_HEADERS;
    const ids = nextChildIds(ctx);
    return [GLOBAL_ID_HEADER, ids[GLOBAL_ID_HEADER], LOCAL_ID_HEADER, ids[LOCAL_ID_HEADER]];
  }

  /** What balance policies may know of the request; `undefined` outside requests. */
  balanceFacts(): BalanceFacts | undefined {
    const { ctx } = this;
    return ctx && factsOf(ctx, this);
  }

  /** The auxiliary threads of the worker, made on first use. */
  offloadPool(): OffloadPool | Promise<OffloadPool> {
    return wac.backends.get("offload", loadOffloadPool);
  }

  /** Request and accept type of the app, if it sets them. */
  protected get defaultRequestType(): readonly [string, string] | undefined {
    return undefined;
  }

  /** Aliases of the app, if it has its own. */
  protected get appAliases(): AliasRegistry | undefined {
    return undefined;
  }

  #method(kind: RequestKind): RequestMethod {
    const methods = this.#methods ??= {};
    return methods[kind] ??= requestMethod(this, kind);
  }

  /** Writes to a log, with the transaction id. */
  log(message: string, category = "info", at = "app"): void {
    wac.logger.get(at).log(message, category, this.txnid());
  }

  /**
   * Writes an error with its stack and causes to the app log, as type `expt`.
   *
   * @param error Default: the place of the call, which is all there is to tell.
   * @param id Identifier to find the entry by. Default: the transaction, {@link txnid}.
   */
  traceback(error?: unknown, id = ""): void {
    const thrown = error ?? new Error(
      arguments.length === 0
        ? "was.traceback() was called without an error"
        : `${error} was thrown, which says nothing about its place`,
    );
    wac.logger.get("app").trace(thrown, id || this.txnid());
  }
}

async function loadOffloadPool(): Promise<OffloadPool> {
  const { OffloadPool } = await import("../clients/offload/pool.ts");
  return new OffloadPool({ threads: wac.numthreads, log: wac.logger.get("app") });
}

const ATILA_MEMBERS: ReadonlySet<string> = new Set([
  "request",
  "response",
  "app",
  "apps",
  "subapp",
  "g",
  "env",
  "session",
  "mbox",
  "cookie",
  "render",
  "redirect",
  "ab",
  "urlfor",
  "partial",
  "basepath",
  "baseurl",
  "broadcast",
  "emit",
  "emitAfter",
  "csrf",
  "csrfToken",
  "csrfTokenInput",
  "csrfVerify",
  "mktoken",
  "token",
  "detoken",
  "rmtoken",
  "mkjwt",
  "dejwt",
  "futures",
  "promise",
  "websocket",
  "framework",
  "fstream",
  "jstream",
  "xstream",
  "gstream",
]);

/** True for members that only requests to Atila apps have; their names cannot be registered. */
export function atilaOnly(name: string): boolean {
  return ATILA_MEMBERS.has(name);
}

/** The class used for requests of foreign apps; see `setWasClass`. */
let wasClass: typeof Was = Was;

/** Supplies a subclass to be used from now on. */
export function setWasClass(cls: typeof Was): void {
  if (cls !== Was && !(typeof cls === "function" && cls.prototype instanceof Was)) {
    const given = typeof cls === "function" ? cls.name || "a nameless class" : Deno.inspect(cls);
    throw new TypeError(`Cannot use ${given} as the class of was: it does not extend Was`);
  }
  wasClass = cls;
  detached = undefined;
}

let detached: Was | undefined;

/** The service object for code outside requests, of the class in use. */
export function detachedWas(): Was {
  return detached ??= new wasClass();
}

/** The service object of a context, made on first use. */
export function wasOf(ctx: RequestContext): Was {
  return (ctx.service ??= new wasClass(ctx)) as Was;
}

/** The service object of the running request. @throws {Error} when no request is running. */
export function currentWas(): Was {
  const ctx = runningContext();
  if (ctx === undefined) {
    throw new Error("Cannot use was here: no request is running in this asynchronous context");
  }
  return wasOf(ctx);
}
