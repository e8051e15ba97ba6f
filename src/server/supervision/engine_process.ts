/**
 * An engine process: serves itself when there is one worker, or hosts several, and obeys the supervisor.
 *
 * @module
 */

import process from "node:process";
import { createShared } from "../../store/shared_counters.ts";
import { SHARED_BYTES } from "../../was/revocations.ts";
import { wac } from "../../was/wac.ts";
import type { StartEngine } from "../engine.ts";
import { setProcessTitle } from "../process_title.ts";
import type { EngineStart } from "../role.ts";
import { openLogs } from "../open_logs.ts";
import type { RunSettings } from "../run_settings.ts";
import {
  DEFAULT_GRACE_SECONDS,
  EXIT_FAILED,
  EXIT_NORMAL,
  graceMs,
  type Server,
  type WorkerInfo,
  workerNames,
} from "../server.ts";
import type { Service } from "../service.ts";
import { exitCodeOf, onEngineSignals } from "../signals.ts";
import { describeStartFailure } from "../start_failure.ts";
import { onUncaught } from "../uncaught.ts";
import { CriticalPointWatch, type Watched } from "./critical_point.ts";
import { Handover } from "./handover.ts";
import { isPortShared } from "./listening_sockets.ts";
import type { EngineReport, Order } from "./messages.ts";
import { WorkerHost } from "./worker_host.ts";

/** Milliseconds the healthy workers may drain when a hung one makes the whole process go. */
const HUNG_DRAIN_MS = 3000;

/** What serves in this process, one engine or several workers, as far as the process is concerned. */
interface Body {
  readonly address: string;
  readonly port: number;
  readonly watched: readonly string[];
  readonly missing: readonly string[];
  readonly workers: readonly WorkerInfo[];
  readonly threads: readonly Watched[];
  /** Replaces a worker that is overloaded or broken. */
  replace(index: number, reason: string): void;
  rotate(): void;
  beforeReload(): Promise<void>;
  stop(graceMs: number, handoverMs: number): Promise<void>;
}

/** Serves in this process until the supervisor says otherwise. Ends it when the start fails. */
export async function runEngineProcess(
  service: Service,
  settings: RunSettings,
  startEngine: StartEngine,
  start: EngineStart,
): Promise<Server> {
  // Orders and signals may come before the engine has started.
  const server = new EngineServer();
  setProcessTitle("engine");
  let body: Body;
  try {
    body = settings.workers === 1
      ? await ownBody(service, settings, startEngine, start)
      : await hostBody(service, settings, start);
    // The port was free when the supervisor looked; another service may have been as quick since.
    if (start.isFirst && isPortShared(body.port)) throw new Deno.errors.AddrInUse();
  } catch (error) {
    const failure = describeStartFailure(error, { address: settings.address, port: start.port });
    // The supervisor writes the line, so that there is exactly one. The report has to be out first.
    await new Promise<void>((sent) => {
      if (process.connected) process.send!({ type: "failed", failure }, () => sent());
      else sent();
    });
    return Deno.exit(EXIT_FAILED);
  }
  server.serve(body);
  // Before the supervisor hears that this one serves, and stops the other.
  if (start.takesOver) takeOver(handover(service, body.port));
  watchCriticalPoint(service, body);
  const { address, port, watched, missing, workers } = body;
  report({ type: "ready", address, port, watched, missing, workers });
  return server;
}

function report(message: EngineReport): void {
  if (process.connected) process.send!(message);
}

function takeOver(handover: Handover): void {
  handover.fromOthers()
    .catch((error) => wac.logger.get("server").trace(error))
    .finally(() => report({ type: "tookOver" }));
}

/** Hands connections over, on all ports of the service. */
function handover(service: Service, port: number): Handover {
  const { forward } = service;
  const ports = forward === undefined ? [port] : [port, forward.fromPort];
  return new Handover(ports, wac.logger.get("server"));
}

class EngineServer implements Server {
  #body: Body | undefined;
  #finished = Promise.withResolvers<number>();
  #stopping: Promise<void> | undefined;

  constructor() {
    process.on("message", (order: unknown) => this.#obey(order as Order));
    process.on("disconnect", () => this.#onOrphaned());
    // It may have gone while the script ran, before anybody could listen.
    if (!process.connected) this.#onOrphaned();
    onEngineSignals({
      stop: (signal) => {
        if (this.#stopping !== undefined) Deno.exit(exitCodeOf(signal));
        this.#stopAndExit(DEFAULT_GRACE_SECONDS * 1000);
      },
      rotate: () => this.#rotate(),
    });
  }

  /** Goes on with what serves now. */
  serve(body: Body): void {
    this.#body = body;
  }

  get address(): string {
    return this.#body!.address;
  }

  get port(): number {
    return this.#body!.port;
  }

  get workers(): readonly WorkerInfo[] {
    return this.#body?.workers ?? [];
  }

  get exitCode(): number {
    return EXIT_NORMAL;
  }

  get finished(): Promise<number> {
    return this.#finished.promise;
  }

  shutdown(timeoutSeconds: number = DEFAULT_GRACE_SECONDS): Promise<void> {
    return this.#stop(graceMs(timeoutSeconds));
  }

  #onOrphaned(): void {
    if (this.#stopping !== undefined) return;
    wac.logger.get("server").log("the supervisor is gone; this engine process stops", "error");
    this.#stopAndExit(DEFAULT_GRACE_SECONDS * 1000);
  }

  #obey(order: Order): void {
    switch (order.type) {
      case "ping":
        return report({ type: "pong" });
      case "rotate":
        return this.#rotate();
      case "stop":
        return this.#stopAndExit(order.graceMs, order.handoverMs);
      case "beforeReload":
        (this.#body?.beforeReload() ?? Promise.resolve())
          .catch((error) => wac.logger.get("server").trace(error))
          .finally(() => report({ type: "reloadPrepared" }));
    }
  }

  #rotate(): void {
    wac.logger.rotate();
    this.#body?.rotate();
  }

  #stop(grace: number, handoverMs = 0): Promise<void> {
    // Before it serves there is nothing that would have to end gracefully.
    return this.#stopping ??= (this.#body?.stop(grace, handoverMs) ?? Promise.resolve()).finally(
      () => this.#finished.resolve(EXIT_NORMAL),
    );
  }

  #stopAndExit(grace: number, handoverMs = 0): void {
    this.#stop(grace, handoverMs)
      .catch((error) => wac.logger.get("server").trace(error))
      // Also ends the threads of workers that hang.
      .finally(() => setTimeout(() => Deno.exit(EXIT_NORMAL), 0));
  }
}

/** The only worker is this process itself. */
async function ownBody(
  service: Service,
  settings: RunSettings,
  startEngine: StartEngine,
  start: EngineStart,
): Promise<Body> {
  const engine = await startEngine(service, {
    address: settings.address,
    port: start.port,
    reusePort: true,
    workerIndex: 0,
    life: 0,
    shared: createShared(1, SHARED_BYTES),
    reloaded: start.reloaded,
    mayMiss: start.mayMiss,
    ownsLogs: false,
    run: settings,
  });
  wac.control = (what, seconds) => {
    if (what === "shutdown") Deno.kill(Deno.ppid, "SIGTERM");
    else {
      const drainMs = seconds === 0 ? undefined : seconds * 1000;
      report({ type: "replace", reason: "the app asked for a restart", drainMs });
    }
  };
  const { hostname, port } = engine.front.address;
  const servingSince = Date.now();
  const names = workerNames(0);
  onUncaught((error) => {
    wac.logger.get("server").trace(error);
    report({ type: "replace", reason: `${names.name}: ${error.name}: ${error.message}` });
  });
  return {
    address: hostname,
    port,
    watched: engine.watched,
    missing: engine.missing,
    workers: [{
      index: 0,
      ...names,
      state: "serving",
      tid: Deno.pid,
      servingSince,
      replaced: 0,
    }],
    threads: [{ index: 0, name: names.name, tid: Deno.pid }],
    replace: (_index, reason) => report({ type: "replace", reason: `${names.name}: ${reason}` }),
    rotate: () => {},
    beforeReload: () => engine.beforeReload(),
    stop: (grace, handoverMs) => engine.shutdown(grace, handoverMs),
  };
}

/** Workers in threads. This process only looks after them. */
async function hostBody(
  service: Service,
  settings: RunSettings,
  start: EngineStart,
): Promise<Body> {
  wac.logger = openLogs(service, settings, false, false);
  wac.workerId = "M";
  const host: WorkerHost = new WorkerHost({
    start: { ...start, skitai: "worker", shared: createShared(settings.workers, SHARED_BYTES) },
    count: settings.workers,
    handover: handover(service, start.port),
    log: wac.logger.get("server"),
    events: {
      changed: () => report({ type: "workers", workers: host.workers }),
      hung: ({ name }, seconds) =>
        report({
          type: "replace",
          reason: `${name} has not responded for ${seconds} s, and its thread cannot be ended`,
          drainMs: HUNG_DRAIN_MS,
        }),
    },
  });
  // The script has run in this thread too. What it leaves behind here must not take the workers along.
  onUncaught((error) => wac.logger.get("server").trace(error));
  await host.start();
  return host;
}

function watchCriticalPoint(service: Service, body: Body): void {
  if (service.criticalPoint === undefined) return;
  new CriticalPointWatch({
    point: service.criticalPoint,
    log: wac.logger.get("server"),
    workers: () => body.threads,
    overloaded: ({ index }, percent) =>
      body.replace(index, `critical point, ${percent.toFixed(1)} % of a processor`),
  }).start();
}
