/**
 * The simplest runner: the engine serves in this very process.
 *
 * @module
 */

import { later } from "../core/later.ts";
import { createShared } from "../store/shared_counters.ts";
import { SHARED_BYTES } from "../was/revocations.ts";
import { wac } from "../was/wac.ts";
import type { Engine, StartEngine } from "./engine.ts";
import { setProcessTitle } from "./process_title.ts";
import type { RunSettings } from "./run_settings.ts";
import {
  DEFAULT_GRACE_SECONDS,
  EXIT_NORMAL,
  EXIT_RESTART,
  graceMs,
  type Server,
  type WorkerInfo,
  workerNames,
} from "./server.ts";
import type { Service } from "./service.ts";

import { exitCodeOf, onSignals } from "./signals.ts";
import { onUncaught } from "./uncaught.ts";

/** Setting the title takes ten milliseconds, which the first request should not wait for. */
const TITLE_DELAY_MS = 300;

/** Starts the engine here. Signals end the process once it has stopped. Fails with the engine's start error. */
export async function runSingle(
  service: Service,
  settings: RunSettings,
  startEngine: StartEngine,
  loaded: (watched: readonly string[]) => void,
): Promise<Server> {
  // Whoever rotates logs or asks for a restart need not know that this process has just begun.
  const unsignal = onSignals({
    stop: (signal) => Deno.exit(exitCodeOf(signal)),
    restart: () => Deno.exit(EXIT_RESTART),
    rotate: () => wac.logger.rotate(),
  });
  let engine: Engine;
  try {
    engine = await startEngine(service, {
      address: settings.address,
      port: settings.port,
      reusePort: false,
      workerIndex: 0,
      life: 0,
      shared: createShared(1, SHARED_BYTES),
      reloaded: false,
      ownsLogs: true,
      run: settings,
      loaded,
    });
  } catch (error) {
    unsignal();
    throw error;
  }
  const server = new SingleServer(engine);
  unsignal();
  wac.control = (what, seconds) =>
    server.end(what === "restart" ? EXIT_RESTART : EXIT_NORMAL, seconds);
  const scheme = service.ssl === undefined ? "http" : "https";
  const host = server.address.includes(":") ? `[${server.address}]` : server.address;
  wac.logger.get("server").log(`serving on ${scheme}://${host}:${server.port}/`);
  return server;
}

class SingleServer implements Server {
  #engine: Engine;
  #finished = Promise.withResolvers<number>();
  #exitCode = EXIT_NORMAL;
  #stopping: Promise<void> | undefined;
  #servingSince = Date.now();
  #release: () => void;

  constructor(engine: Engine) {
    this.#engine = engine;
    const unsignal = onSignals({
      stop: (signal) => this.#stopAndExit(EXIT_NORMAL, signal),
      restart: () => this.#stopAndExit(EXIT_RESTART),
      rotate: () => wac.logger.rotate(),
    });
    // Nobody starts this process again, so it serves on after an error outside of any request.
    const unguard = onUncaught((error) => wac.logger.get("server").trace(error));
    const leaveUntitled = later(TITLE_DELAY_MS, () => setProcessTitle("master"));
    this.#release = () => {
      leaveUntitled();
      unsignal();
      unguard();
    };
  }

  get address(): string {
    return this.#engine.front.address.hostname;
  }

  get port(): number {
    return this.#engine.front.address.port;
  }

  get workers(): readonly WorkerInfo[] {
    return [{
      index: 0,
      ...workerNames(0),
      state: this.#stopping ? "stopping" : "serving",
      tid: Deno.pid,
      servingSince: this.#servingSince,
      replaced: 0,
    }];
  }

  get exitCode(): number {
    return this.#exitCode;
  }

  get finished(): Promise<number> {
    return this.#finished.promise;
  }

  async shutdown(timeoutSeconds: number = DEFAULT_GRACE_SECONDS): Promise<void> {
    await this.#stop(graceMs(timeoutSeconds));
    this.#release();
  }

  /** Ends the process with that code, after requests under way; 0 seconds for the usual grace. */
  end(code: number, seconds: number): void {
    this.#stopAndExit(code, undefined, seconds || DEFAULT_GRACE_SECONDS);
  }

  #stop(grace: number): Promise<void> {
    return this.#stopping ??= (async () => {
      try {
        await this.#engine.shutdown(grace);
      } finally {
        this.#finished.resolve(this.#exitCode);
      }
    })();
  }

  #stopAndExit(code: number, signal?: Deno.Signal, seconds = DEFAULT_GRACE_SECONDS): void {
    if (this.#stopping !== undefined) {
      if (signal !== undefined) Deno.exit(exitCodeOf(signal));
      return;
    }
    this.#exitCode = code;
    this.#stop(seconds * 1000).catch((error) => {
      wac.logger.get("server").trace(error);
    }).finally(() => {
      // A macrotask later, what awaits `finished` has had its turn.
      setTimeout(() => Deno.exit(code), 0);
    });
  }
}
