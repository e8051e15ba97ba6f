/**
 * One serving engine: builds the handler of a service, starts a front, and stops again. Used by every
 * runner, once per worker.
 *
 * @module
 */

import { join } from "../core/file_path.ts";
import type { LifecyclePhase, MountedApp } from "../core/app.ts";
import { installBodyMeter } from "../core/body_size.ts";
import { isDevel } from "../core/environment.ts";
import { compose, type Handler } from "../core/handler.ts";
import { later, loadTimers } from "../core/later.ts";
import type { Log } from "../core/log.ts";
import { compression } from "../middleware/compression.ts";
import { errorGuard } from "../middleware/error_guard.ts";
import { requestLog } from "../middleware/request_log.ts";
import { secureHeaders } from "../middleware/secure_headers.ts";
import { standardHeaders } from "../middleware/standard_headers.ts";
import { transaction } from "../middleware/transaction.ts";
import type { LoggerHandle } from "../store/logs.ts";
import { openCounters, type SharedCounters } from "../store/shared_counters.ts";
import { openNonces } from "../was/nonces.ts";
import { openRevocations } from "../was/revocations.ts";
import { aliases } from "../was/aliases.ts";
import { watchAll } from "../was/delivery.ts";
import { ClusterMember, hasCluster } from "../was/cluster.ts";
import { setCachefsDirectory } from "../was/cachefs.ts";
import { openSharedState } from "../was/shared.ts";
import { wac } from "../was/wac.ts";
import { chooseFront } from "./choose_front.ts";
import { DEFAULT_FRONT_LIMITS, type Front, type FrontLimits, type FrontOptions } from "./front.ts";
import { startFast } from "./fronts/fast.ts";
import { makeVarDirectory } from "./instance/var_directory.ts";
import { Maintenance } from "./maintenance.ts";
import { createMountTable, type MountTable } from "./mount_table.ts";
import { openLogs } from "./open_logs.ts";
import { getVarPath } from "./paths.ts";
import type { RunSettings } from "./run_settings.ts";
import { workerNames } from "./server.ts";
import type { Service } from "./service.ts";

/** Seconds between two looks at what other engines of the service have revoked. */
const REVOCATION_SECONDS = 2;

/** Milliseconds after which requests find the timers of the runtime loaded; the first ones do not wait. */
const TIMERS_DELAY_MS = 300;

/** What a runner decides for an engine. */
export interface EngineOptions {
  /** Address to listen on. */
  readonly address: string;
  /** Port to listen on. */
  readonly port: number;
  /** Share the port. */
  readonly reusePort: boolean;
  /** Number of this worker, from 0. */
  readonly workerIndex: number;
  /** Number of its life: unlike that of the worker, its successor has another one. */
  readonly life: number;
  /** Memory of the shared counters, made by the master. */
  readonly shared: SharedArrayBuffer;
  /** True in an engine that replaces another one: `reloaded` hooks run instead of `mounted`. */
  readonly reloaded: boolean;
  /**
   * The mounts that may fail to load, as {@link Engine.missing} names them: with a list, what the
   * engine before had stays mounted, or this one does not start. Default: all of them.
   */
  readonly mayMiss?: readonly string[];
  /** This engine's logger owns the rotation of the log files; false where a supervisor does. */
  readonly ownsLogs: boolean;
  /** What `run` was told, checked and with defaults. */
  readonly run: RunSettings;
  /**
   * To be called once, when the apps are loaded and before any hook runs or a port is opened, with the
   * paths to watch. When it throws, the engine cleans up and fails with the same error: this is how a
   * run that turns out to need the reloader hands over to a supervisor.
   */
  readonly loaded?: (watched: readonly string[]) => void;
}

/** A serving engine. */
export interface Engine {
  /** Its front. */
  readonly front: Front;
  /** Files and directories to watch when some app reloads; empty when none does. */
  readonly watched: readonly string[];
  /** The mounts that could not be loaded. */
  readonly missing: readonly string[];
  /** Runs the `beforeReload` hooks, when another engine is about to take over. */
  beforeReload(): Promise<void>;
  /**
   * Stops: no new connections, running requests end, unmount hooks, pools, logs. Each phase within the
   * grace. With `handoverMs` a successor listens, and new connections end so much later.
   */
  shutdown(graceMs: number, handoverMs?: number): Promise<void>;
}

/** Starts an engine for the service. @throws {ConfigError} and start errors, with nothing left half-started. */
export type StartEngine = (service: Service, options: EngineOptions) => Promise<Engine>;

/**
 * Starts an engine. Whatever can fail does so before a port is open, in this order: logs, TLS, apps,
 * hooks, front; then what was begun is taken back.
 */
export const startEngine: StartEngine = async (service, options) => {
  await using begun = new AsyncDisposableStack();
  installBodyMeter();

  const settings = options.run;
  const workerId = workerNames(options.workerIndex).id;
  const logger = begun.use(openLogs(service, settings, options.ownsLogs, true));
  const log = logger.get("server");
  Object.assign(wac, {
    logger,
    workerId,
    workers: settings.workers,
    numthreads: settings.threads,
    config: { ...settings },
  });

  const tls = service.ssl === undefined
    ? undefined
    : (await import("./tls.ts")).loadTls(service.ssl);
  const counters = openCounters(options.shared, options.workerIndex);
  begun.use(openSharedState(options.shared, options.life));
  begun.use(openNonces(options.shared));
  wac.counters = counters;
  wac.temporaryDirectory = join(getVarPath(), "tmp");
  setCachefsDirectory(join(getVarPath(), "cache"));
  const revocations = begun.use(openRevocations(options.shared, {
    directory: join(getVarPath(), "revocations"),
    prepare: makeVarDirectory,
    log,
  }));
  const table = await createMountTable(service.mounts, {
    log: logger.get("app"),
    serverLog: log,
    maxAges: service.maxAges,
    serverHeader: service.serverHeader,
    isDevel: isDevel(),
    mayMiss: options.mayMiss,
  });
  wac.broadcast = (was, event, args) => broadcastToAll(table.apps, was, event, args);
  begun.defer(() => {
    wac.broadcast = undefined;
  });
  if (hasCluster()) {
    wac.cluster = begun.use(await ClusterMember.join());
  }
  const { watched } = table;
  options.loaded?.(watched);

  const run = (phase: LifecyclePhase): Promise<void> => runPhase(table, phase, log);
  begun.use(wac.backends);
  begun.defer(() => run("umounted"));
  await run("beforeMount");
  await run(options.reloaded ? "reloaded" : "mounted");
  await run("mountedOrReloaded");

  const limits = {
    ...DEFAULT_FRONT_LIMITS,
    ...service.frontLimits,
    keepAliveSeconds: service.keepAliveSeconds,
    requestTimeoutSeconds: service.requestTimeoutSeconds,
  };
  const front = await startFront(settings, {
    hostname: options.address,
    port: options.port,
    reusePort: options.reusePort,
    handler: pipeline(service, logger, counters, table, (now) => connections(now)),
    tls,
    limits,
    counters,
    server: service.serverHeader,
    log,
    workerId,
  });
  begun.use(front);
  const connections = (now: number): number => front.connections(now) + wac.backends.stats().open;
  let forward: Front | undefined;
  if (service.forward !== undefined && options.workerIndex === 0) {
    const { startForward } = await import("./forward.ts");
    const { reusePort } = options;
    const server = service.serverHeader;
    forward = begun.use(await startForward({ ...service.forward, reusePort, limits, server, log }));
  }
  begun.defer(later(TIMERS_DELAY_MS, loadTimers));
  watchAll(aliases);
  const maintenance = begun.use(new Maintenance(log));
  maintenance.add("backends", () => wac.backends.maintain());
  // Workers share what one of them reads; an engine that takes over, or goes, learns from the other one.
  if (options.workerIndex === 0) {
    maintenance.add("revocations", () => revocations.refresh(), REVOCATION_SECONDS);
  }
  for (const app of table.apps) {
    const { maintainSeconds } = app;
    if (maintainSeconds === undefined) continue;
    maintenance.add("app", (now) => app.runMaintenance?.(now), maintainSeconds);
  }

  const rest = begun.move();
  let stopping: Promise<void> | undefined;
  return {
    front,
    watched,
    missing: table.missing,
    beforeReload: () => run("beforeReload"),
    shutdown: (graceMs, handoverMs) =>
      stopping ??= (async () => {
        await within(graceMs, run("beforeUmount"), "beforeUmount hooks", log);
        await Promise.all([
          front.shutdown(graceMs, handoverMs),
          forward?.shutdown(graceMs, handoverMs),
        ]);
        await within(graceMs, rest.disposeAsync(), "unmount hooks, backends and logs", log);
      })(),
  };
};

/** Everything around the mounts, folded once. The request log is outermost: it sees what the client gets. */
function pipeline(
  service: Service,
  logger: LoggerHandle,
  counters: SharedCounters,
  table: MountTable,
  connections: (now: number) => number,
): Handler {
  return compose([
    requestLog({ log: logger.lines("request"), off: service.logOff, connections, counters }),
    standardHeaders(service.serverHeader),
    ...(service.secureHeaders === undefined ? [] : [secureHeaders(service.secureHeaders)]),
    compression(),
    errorGuard({ log: logger.get("app") }),
    transaction,
  ], table.handler);
}

/** Runs the hooks of all apps, one app after the other, in the order of the mounts. */
async function runPhase(table: MountTable, phase: LifecyclePhase, log: Log): Promise<void> {
  for (const mount of table.mounts) {
    if (phase === "beforeMount") wac.handler = mount;
    try {
      await mount.app.lifecycle(phase);
    } catch (error) {
      log.trace(error, phase);
    }
  }
  wac.handler = undefined;
}

interface Broadcasting extends MountedApp {
  /** Apps of the same host; what is broadcast by one is heard by all of them. */
  readonly others: ReadonlyMap<string, MountedApp>;
  /** Broadcasts with the service object of the app itself. */
  broadcast(event: string, ...args: unknown[]): unknown;
  /** Broadcasts with a service object. */
  broadcastWith(was: unknown, event: string, args: readonly unknown[]): unknown;
}

/** Lets every app that has listeners hear an event once. */
function broadcastToAll(
  apps: readonly MountedApp[],
  was: unknown,
  event: string,
  args: readonly unknown[],
): void {
  const told = new Set<MountedApp>();
  for (const app of apps) {
    if (!("broadcastWith" in app) || told.has(app)) continue;
    const { others } = app as Broadcasting;
    for (const one of [app, ...others.values()]) told.add(one);
    if (was === undefined) (app as Broadcasting).broadcast(event, ...args);
    else (app as Broadcasting).broadcastWith(was, event, args);
  }
}

async function startFront(settings: RunSettings, options: FrontOptions): Promise<Front> {
  const { kind, reason } = chooseFront({
    front: settings.front,
    address: options.hostname,
    trustProxies: settings.trustProxies,
    needsEdge: [],
  });
  if (options.workerId === "W0") options.log.log(reason);
  if (kind === "fast") return await startFast(options);
  const { startEdge } = await import("./fronts/edge.ts");
  return await startEdge({ ...options, limits: await withinOpenFiles(settings, options) });
}

/**
 * A server of Node's kind that cannot accept a connection for want of a file descriptor stops listening in
 * this runtime and tells nobody. So connections end before the descriptors do.
 */
async function withinOpenFiles(
  { workers }: RunSettings,
  { limits, log, workerId }: FrontOptions,
): Promise<FrontLimits> {
  const { mostConnections } = await import("./open_files.ts");
  const maxConnections = mostConnections(workers);
  if (limits.maxConnections <= maxConnections) return limits;
  // Infinity means as many as there can be.
  if (workerId === "W0" && Number.isFinite(limits.maxConnections)) {
    log.log(
      `front edge takes at most ${maxConnections} connections for each worker, not ` +
        `${limits.maxConnections}, as the process may not open more files; raise ulimit -n`,
      "warn",
      "front",
    );
  }
  return { ...limits, maxConnections };
}

/** Waits for a phase of the stop, at most as long as the grace. */
async function within(
  graceMs: number,
  phase: Promise<void>,
  name: string,
  log: Log,
): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), graceMs);
  });
  try {
    if (await Promise.race([phase, late]) === "late") {
      log.log(`The ${name} did not end within ${graceMs} ms and are left behind`, "warn");
    }
  } catch (error) {
    log.trace(error, "shutdown");
  } finally {
    clearTimeout(timer);
  }
}
