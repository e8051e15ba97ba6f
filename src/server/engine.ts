/**
 * One serving engine: builds the handler of a service, starts a front, and stops again. Used by every
 * runner, once per worker.
 *
 * @module
 */

import type { Service } from "./service.ts";
import type { Front } from "./front.ts";
import type { RunSettings } from "./run_settings.ts";

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
  /** Memory of the shared counters, made by the master. */
  readonly shared: SharedArrayBuffer;
  /** True in an engine that replaces another one: `reloaded` hooks run instead of `mounted`. */
  readonly reloaded: boolean;
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
  /** Runs the `beforeReload` hooks, when another engine is about to take over. */
  beforeReload(): Promise<void>;
  /** Stops: no new connections, running requests end, unmount hooks, pools, logs. Each phase within the grace. */
  shutdown(graceMs: number): Promise<void>;
}

/** Starts an engine for the service. @throws {ConfigError} and start errors, with nothing left half-started. */
export type StartEngine = (service: Service, options: EngineOptions) => Promise<Engine>;
