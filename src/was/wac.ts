/**
 * The server-wide side of `was`: one object per worker, shared by every app in it.
 *
 * @module
 */

import type { Logger } from "../core/log.ts";
import { consoleLogger } from "../store/logs.ts";
import type { SharedCounters } from "../store/shared_counters.ts";
import { type BackendClients, backends } from "./backend_clients.ts";
import type { ClusterMember } from "./cluster.ts";
import { Clusters } from "./clusters.ts";
import { atilaOnly, Was } from "./was.ts";

/** Facts and shared objects of the worker. */
export class Wac {
  /** Logs of this worker. The engine replaces the console logger before any app is loaded. */
  logger: Logger = consoleLogger();
  /** Settings of the service, as given to `run` and the setters. */
  config: Record<string, unknown> = {};
  /** Number of workers of the engine. */
  workers = 1;
  /** Size of the auxiliary pool for blocking jobs; 0 when there is none. */
  numthreads = 4;
  /** Short name of this worker: `M`, `W0`, `W1` … */
  workerId = "W0";
  /** The mount whose `beforeMount` hooks run, with `host` and `mountPoint`; `undefined` at other times. */
  handler: unknown = undefined;
  /** Calls those who listen to broadcasts in any app of this worker. The engine sets it. @internal */
  broadcast: ((was: unknown, event: string, args: readonly unknown[]) => void) | undefined;
  /** Counters of all workers. The engine sets them. @internal */
  counters: SharedCounters | undefined;
  /** Directory for temporary files. The engine sets it. @internal */
  temporaryDirectory: string | undefined;
  /** Restarts or stops what this worker belongs to. The runner sets it. @internal */
  control: ((what: "restart" | "shutdown", timeoutSeconds: number) => void) | undefined;
  /** Counts of the cache file system, once it is in use. @internal */
  responseCacheStatus: (() => unknown) | undefined;
  /** The cluster, if `cluster` was called before `run`. */
  cluster: ClusterMember | undefined;
  /** Backend clients of this worker: counts, sweeping, closing. */
  readonly backends: BackendClients = backends;
  /** The groups of servers behind the aliases: who is in use, who is out, and changing that. */
  readonly clusters: Clusters = new Clusters();

  /**
   * Makes `was[name]` give the object, in every app of this worker.
   *
   * @throws {TypeError} when the name is taken, by another object or by a member of `was`.
   */
  register(name: string, object: unknown): void {
    if (name === "" || name === "ctx" || name in Was.prototype || atilaOnly(name)) {
      throw new TypeError(`Cannot register ${JSON.stringify(name)}: was.${name} exists already`);
    }
    Object.defineProperty(Was.prototype, name, { configurable: true, get: () => object });
    this.#registered.add(name);
  }

  /** Takes a registered object away. @throws {TypeError} when nothing was registered by that name. */
  unregister(name: string): void {
    if (!this.#registered.delete(name)) {
      throw new TypeError(`Cannot unregister ${JSON.stringify(name)}: nothing is registered by it`);
    }
    delete (Was.prototype as unknown as Record<string, unknown>)[name];
  }

  #registered = new Set<string>();
}

/** The one of this worker. */
export const wac: Wac = new Wac();
