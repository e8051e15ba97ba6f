/**
 * A worker: one engine in a thread of its own.
 *
 * @module
 */

import { getHeapStatistics } from "node:v8";
import { wac } from "../../was/wac.ts";
import type { Engine, StartEngine } from "../engine.ts";
import type { WorkerStart } from "../role.ts";
import type { RunSettings } from "../run_settings.ts";
import { EXIT_FAILED, EXIT_NORMAL, graceMs, type Server, workerNames } from "../server.ts";
import type { Service } from "../service.ts";
import { describeStartFailure } from "../start_failure.ts";
import { onUncaught } from "../uncaught.ts";
import { currentThread } from "./cpu_time.ts";
import type { Order, WorkerReport } from "./messages.ts";

/** What connects a worker with its master; the port of a thread of `node:worker_threads`. */
export interface WorkerChannel {
  /** Sends a report. */
  postMessage(report: WorkerReport): void;
  /** Listens for orders. */
  on(event: "message", listener: (order: Order) => void): void;
}

/** Serves in this thread until the master says otherwise. Never returns when the engine fails to start. */
export async function runWorker(
  service: Service,
  settings: RunSettings,
  startEngine: StartEngine,
  start: WorkerStart,
  channel: WorkerChannel,
): Promise<Server> {
  const report = (message: WorkerReport) => channel.postMessage(message);
  let engine: Engine;
  try {
    engine = await startEngine(service, {
      address: settings.address,
      port: start.port,
      reusePort: true,
      workerIndex: start.index,
      life: start.life,
      shared: start.shared,
      reloaded: start.reloaded,
      mayMiss: start.mayMiss,
      ownsLogs: false,
      run: settings,
    });
  } catch (error) {
    report({
      type: "failed",
      failure: describeStartFailure(error, { address: settings.address, port: start.port }),
    });
    return await end(EXIT_FAILED);
  }
  const heapLimitAtStart = heapLimit();
  const finished = Promise.withResolvers<number>();
  let stopping: Promise<void> | undefined;
  const stop = (grace: number, handover = 0) =>
    stopping ??= engine.shutdown(grace, handover).finally(() => finished.resolve(EXIT_NORMAL));

  channel.on("message", (order) => {
    switch (order.type) {
      case "ping":
        return report({ type: "pong", exhausted: heapLimit() > heapLimitAtStart });
      case "rotate":
        return wac.logger.rotate();
      case "beforeReload":
        engine.beforeReload().catch((error) => wac.logger.get("server").trace(error))
          .finally(() => report({ type: "reloadPrepared" }));
        return;
      case "stop":
        stop(order.graceMs, order.handoverMs).catch((error) =>
          wac.logger.get("server").trace(error)
        )
          .finally(() => {
            report({ type: "stopped" });
            end(EXIT_NORMAL);
          });
    }
  });
  reportCrashes(report);
  // either way another worker takes its place
  wac.control = (what) => report({ type: "crashed", reason: `the app asked for a ${what}` });

  const { hostname, port } = engine.front.address;
  const servingSince = Date.now();
  const tid = currentThread();
  const { watched, missing } = engine;
  report({ type: "ready", address: hostname, port, watched, missing, tid });
  return {
    address: hostname,
    port,
    get workers() {
      const state = stopping ? "stopping" as const : "serving" as const;
      return [{
        index: start.index,
        ...workerNames(start.index),
        state,
        tid,
        servingSince,
        replaced: 0,
      }];
    },
    exitCode: EXIT_NORMAL,
    finished: finished.promise,
    shutdown: (timeoutSeconds = 30) => stop(graceMs(timeoutSeconds)),
  };
}

/**
 * A handler that uses up the heap before its first `await` is broken off without an error that anybody
 * could see, and the runtime raises the limit of the thread, which is how one can tell.
 */
function heapLimit(): number {
  return getHeapStatistics().heap_size_limit;
}

/** Ends this thread, a moment later so that the last report is on its way. */
function end(code: number): Promise<never> {
  setTimeout(() => Deno.exit(code), 0);
  return new Promise(() => {});
}

/**
 * An error outside of any request leaves the worker in a state nobody knows, so it is to be replaced;
 * but it goes on serving until the other one does, and the requests it has are answered.
 */
function reportCrashes(report: (message: WorkerReport) => void): void {
  onUncaught((error) => {
    wac.logger.get("server").trace(error);
    report({ type: "crashed", reason: `${error.name}: ${error.message}` });
  });
}
