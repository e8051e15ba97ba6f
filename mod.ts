/**
 * Skitai for Deno: one script describes a whole service.
 *
 * Mount files, apps of any framework or Atila apps on URL prefixes, name the backends behind them, and
 * run. Handlers ask backends early and use the answers late, so a page waits for its slowest backend,
 * not for the sum of them.
 *
 * @example
 * ```ts ignore
 * import * as skitai from "@skitai/skitai";
 *
 * skitai.mount("/", () => new Response("Hello, World!"));
 * skitai.run({ port: 5000 });
 * ```
 *
 * @module
 */

import { startEngine } from "./src/server/engine.ts";
import { launch } from "./src/server/launcher.ts";
import type { Server } from "./src/server/server.ts";
import { type RunOptions, service } from "./src/server/service.ts";
import { isImportingStartScript } from "./src/server/start_script.ts";
import type { TestClient, TestClientOptions } from "./src/server/testing/mod.ts";

/**
 * Serves what was mounted. Resolves when all workers listen; the process then runs until it is told to
 * stop. A start that fails writes one line that names the cause and ends the process with code 1.
 *
 * Words and options on the command line make the script a daemon: `start`, `stop`, `restart`, `status`,
 * `-d`.
 *
 * @throws {ConfigError} for unknown options, or without a single mount.
 * @throws {TypeError} for options of a wrong type. @throws {RangeError} for numbers out of range.
 *
 * @example
 * ```ts ignore
 * import * as skitai from "@skitai/skitai";
 *
 * skitai.mount("/files", "/srv/files");
 * await skitai.run({ address: "0.0.0.0", port: 8080, workers: 2 });
 * ```
 */
export function run(options: RunOptions = {}): Promise<Server> {
  // A start script that mounts itself is evaluated twice; the server it meant is on its way already.
  if (isImportingStartScript()) return new Promise(() => {});
  return launch(service, options, startEngine);
}

/**
 * Starts an app script as a real server on a port of yours, and talks to it; see
 * `@skitai/skitai/testing`, which is loaded by this call.
 *
 * @throws {Error} with the output of the server when it does not answer in time.
 *
 * @example
 * ```ts ignore
 * await using client = await skitai.testClient("./app.ts", 6000);
 * console.assert((await client.get("/")).statusCode === 200);
 * ```
 */
export async function testClient(
  script: string | URL,
  port: number,
  options?: TestClientOptions,
): Promise<TestClient> {
  const testing = await import("./src/server/testing/mod.ts");
  return await testing.testClient(script, port, options);
}

export type {
  ApiStub,
  TestAnswer,
  TestClient,
  TestClientOptions,
  TestRequestOptions,
} from "./src/server/testing/mod.ts";
export {
  enableFileLogging,
  enableForward,
  enableSsl,
  logOff,
  mount,
  pref,
  secureHeaders,
  setKeepAlive,
  setMaxAge,
  setNetworkTimeout,
  setRequestTimeout,
  setServerHeader,
  setWorkerCriticalPoint,
} from "./src/server/service.ts";
export type { CriticalPoint, MountOptions, MountTarget, RunOptions } from "./src/server/service.ts";
export { type FrontLimitOptions, setFrontLimits } from "./src/server/front_limits.ts";
export type { Server, WorkerInfo, WorkerState } from "./src/server/server.ts";
export type { FrontKind } from "./src/server/front.ts";
export { argopt, type OptionPair } from "./src/server/argopt.ts";
export { abspath, getProcTitle, getswd, getVarPath, joinpath } from "./src/server/paths.ts";
export { isDevel } from "./src/core/environment.ts";

export {
  alias,
  DB_MONGODB,
  DB_PGSQL,
  DB_POSTGRESQL,
  DB_REDIS,
  DB_SQLITE3,
  ORM,
  type OrmType,
  PROTO_HTTP,
  PROTO_HTTPS,
  PROTO_WS,
  PROTO_WSS,
} from "./src/was/aliases.ts";
export type { AliasOptions, AliasType } from "./src/was/aliases.ts";
export type { BalanceFacts, BalanceSpec } from "./src/net/balance/policy.ts";
export type { MemberStatus, RepeatCounts, RetryOptions } from "./src/net/balancer.ts";
export type { RetryBudgetOptions } from "./src/net/retry_budget.ts";
export type { BreakerOptions, BreakerState } from "./src/net/breaker.ts";
export type { EjectionOptions } from "./src/net/ejection.ts";
export type { HealthOptions } from "./src/net/health.ts";
export type { SourceList } from "./src/net/source_list.ts";
export type { CountersStatus, Counts, SharedCounters } from "./src/store/shared_counters.ts";
export type { SugarNames } from "./src/was/sugar.ts";
export type { WasUtilities } from "./src/was/was_utilities.ts";
export type { StatusSection } from "./src/was/status_page.ts";
export type { ProtoType } from "./src/was/utilities.ts";
export { type Task, Tasks } from "./src/was/tasks.ts";
export type { Cluster, Clusters, ClusterStatus } from "./src/was/clusters.ts";
export { cluster, type ClusterMember, type ClusterOptions } from "./src/was/cluster.ts";
export { type CachefsOptions, enableCachefs } from "./src/was/cachefs.ts";
export { setMaxRcache } from "./src/was/kept_outcome.ts";
export { addlu, defgs, deflu, lukeys, type SharedLink, trackers } from "./src/was/shared.ts";
export type { HeldLock, LockOptions } from "./src/store/shared_state.ts";
export { setBackendKeepAlive } from "./src/was/backend_clients.ts";
export { was } from "./src/was/current.ts";
export { setWasClass, Was } from "./src/was/was.ts";
export { type Wac, wac } from "./src/was/wac.ts";
export { Future } from "./src/was/future.ts";
export type {
  Asked,
  Cacheable,
  DispatchOptions,
  FutureInit,
  FutureOwner,
  OrThrowArguments,
  ResultCallback,
  RowOf,
} from "./src/was/future.ts";
export { type RequestFacts, Result, type ResultOrigin } from "./src/was/result.ts";
export { Results } from "./src/was/results.ts";
export type { ReqOptions, Requester, RequestKind, RequestMethod } from "./src/was/http_requests.ts";
export type { RequestData, UploadData, UploadValue } from "./src/was/encode_data.ts";
export type { Alias, AliasMember, AliasRegistry } from "./src/was/aliases.ts";
export type { BackendClients } from "./src/was/backend_clients.ts";
export type { OrmConfig } from "./src/was/orm_config.ts";
export {
  drizzleEvents,
  type ModelChange,
  ModelChanges,
  type ModelEvents,
} from "./src/was/model_events.ts";
export type {
  DatabaseAuth,
  DatabaseOptions,
  DatabaseOwner,
  Row,
  ServerOptions,
} from "./src/was/database_call.ts";
export type { Sqlite3Database, Sqlite3Group, Sqlite3Method } from "./src/was/sqlite3.ts";
export type { PostgresqlMethod } from "./src/was/postgresql.ts";
export type { SqlBuilding, SqlDatabase, SqlGroup } from "./src/was/sql_database.ts";
export type {
  RedisCommands,
  RedisDatabase,
  RedisGroup,
  RedisGroupCommands,
  RedisMethod,
  RedisMethodName,
  RedisOptions,
  RedisReply,
} from "./src/was/redis.ts";
export type {
  MongoChanged,
  MongoDatabase,
  MongodbMethod,
  MongoDeleted,
  MongoGroup,
  MongoInserted,
  MongoOptions,
} from "./src/was/mongodb.ts";
export type {
  BackendMethod,
  BackendOptions,
  BackendOwner,
  HttpBackend,
  HttpGroup,
} from "./src/was/backend.ts";
export { sql, SqlName, type SqlTag, SqlTemplate } from "./src/clients/sql/template.ts";
export type { Placeholder } from "./src/clients/sql/template.ts";
export type { Combined, SqlCondition, SqlDialect } from "./src/clients/sql/conditions.ts";
export type { SqlGenerator, SqlMapFile } from "./src/clients/sql/generator.ts";
export type { Hole, MapBuilder, MapSource, Slot, SqlMaps } from "./src/clients/sql/maps.ts";
export type {
  ChangingBuilder,
  DeleteBuilder,
  FilteredBuilder,
  InsertBuilder,
  SelectBuilder,
  SqlBuilder,
  SqlColumn,
  SqlJoin,
  SqlRunner,
  SqlStatement,
  SqlValues,
  UpdateBuilder,
} from "./src/clients/sql/builder.ts";
export type { RedisCommand, RedisValue } from "./src/clients/redis/commands.ts";
export type {
  MongoDocument,
  MongoFindOptions,
  MongoUpdateOptions,
} from "./src/clients/mongodb/operations.ts";
export type { MapFuture } from "./src/was/map_future.ts";
export type {
  Compilable,
  QueryHolder,
  SqlConvertible,
  SqlParams,
  SqlRecord,
  StatementInput,
  StatementLike,
} from "./src/clients/statement.ts";
export type { StopListener, StopSignal } from "./src/core/stop.ts";
export type { Client, ClientStats, Outcome, RequestStatus, Send } from "./src/clients/contract.ts";
export type { OffloadOptions, OffloadPool, PerformOptions } from "./src/clients/offload/pool.ts";
export type { CallJob, Job, Sqlite3Job } from "./src/clients/offload/jobs.ts";
export type { Script, Step } from "./src/clients/sqlite3/execute.ts";

export { Atila, REQUIRED } from "./src/atila/mod.ts";

export type { FetchApp, FetchFunction, FetchInfo, Preferences } from "./src/core/app.ts";
export type { Completion, HttpVersion, RequestContext, User } from "./src/core/context.ts";
export type { Handler, Layer } from "./src/core/handler.ts";
export type { SecureHeadersOptions } from "./src/middleware/secure_headers.ts";
export type { Log, LogCycle, Logger, LogType } from "./src/core/log.ts";
export { BackendError, ConfigError, HttpError, SkitaiError } from "./src/core/errors.ts";
