/**
 * A worker as its master sees it: the thread, and what is known of it.
 *
 * @module
 */

import { Worker } from "node:worker_threads";
import { getHeapStatistics } from "node:v8";
import { asError } from "../../core/errors.ts";
import { scriptUrl } from "../paths.ts";
import type { WorkerStart } from "../role.ts";
import { type WorkerInfo, workerNames, type WorkerState } from "../server.ts";
import { StartError, type StartFailure } from "../start_failure.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { Order, WorkerReport } from "./messages.ts";

/** What a handle tells the host. */
export interface WorkerEvents {
  /** The worker threw outside of a request and is to be replaced, but still serves. */
  crashed(worker: WorkerHandle, reason: string): void;
  /** The thread has ended. `asked` is true when it was told to. */
  ended(worker: WorkerHandle, reason: string, asked: boolean): void;
  /** The worker does not answer any more; its thread cannot be ended. */
  hung(worker: WorkerHandle, seconds: number): void;
}

/** What a worker said when it was ready. */
export type WorkerReady = Extract<WorkerReport, { type: "ready" }>;

const MEGABYTE = 1024 * 1024;

/** One worker thread, from its start to its end. */
export class WorkerHandle {
  /** Number of the worker. */
  readonly index: number;
  /** Number of its life. */
  readonly life: number;
  /** How many workers of this number came before. */
  readonly replaced: number;
  /** Resolves when the worker serves, rejects when it fails to start. */
  readonly ready: Promise<WorkerReady>;
  /** Resolves when the thread has ended. */
  readonly gone: Promise<void>;

  #thread: Worker;
  #events: WorkerEvents;
  #heartbeat: Heartbeat | undefined;
  #state: WorkerState = "starting";
  #tid = 0;
  #servingSince = 0;
  #hung = false;
  #failure: StartFailure | undefined;
  #lastError = "";
  #ready = Promise.withResolvers<WorkerReady>();
  #gone = Promise.withResolvers<void>();
  #prepared: (() => void) | undefined;

  /** Starts the thread. Its main module is the start script, as everywhere. */
  constructor(start: WorkerStart, replaced: number, events: WorkerEvents) {
    this.index = start.index;
    this.life = start.life;
    this.replaced = replaced;
    this.#events = events;
    this.ready = this.#ready.promise;
    this.gone = this.#gone.promise;
    this.ready.catch(() => {});
    this.#thread = new Worker(new URL(scriptUrl()), {
      name: workerNames(start.index).id,
      workerData: start,
      // A heap that overflows ends the process unless the thread has a limit of its own. The limit
      // itself stays what it would be anyway.
      resourceLimits: {
        maxOldGenerationSizeMb: Math.floor(getHeapStatistics().heap_size_limit / MEGABYTE),
      },
    });
    this.#thread.on("message", (report: WorkerReport) => this.#onReport(report));
    this.#thread.on("error", (error) => {
      const { name, message } = asError(error);
      this.#lastError = `${name}: ${message}`;
    });
    this.#thread.on("exit", (code) => this.#onExit(code));
  }

  /** What is known of it. */
  get info(): WorkerInfo {
    return {
      index: this.index,
      ...workerNames(this.index),
      state: this.#state,
      tid: this.#tid,
      servingSince: this.#servingSince,
      replaced: this.replaced,
    };
  }

  /** Number of its thread. */
  get tid(): number {
    return this.#tid;
  }

  /** Milliseconds it has served; 0 for one that never did. */
  get servedMs(): number {
    return this.#servingSince === 0 ? 0 : Math.max(1, Date.now() - this.#servingSince);
  }

  /** True once it has stopped answering. */
  get hung(): boolean {
    return this.#hung;
  }

  /** Starts new log files. */
  rotate(): void {
    this.#send({ type: "rotate" });
  }

  /** Runs the hooks before a reload; resolves when they ran or the worker ended. */
  async beforeReload(): Promise<void> {
    if (this.#state !== "serving") return;
    const prepared = Promise.withResolvers<void>();
    this.#prepared = prepared.resolve;
    this.#send({ type: "beforeReload" });
    await Promise.race([prepared.promise, this.gone]);
  }

  /**
   * Asks it to stop within the grace; with `handoverMs` its successor listens, and it accepts for so long
   * still. Resolves when the thread has ended.
   */
  stop(graceMs: number, handoverMs: number): Promise<void> {
    if (this.#state !== "stopping") {
      this.#state = "stopping";
      this.#heartbeat?.stop();
      this.#send({ type: "stop", graceMs, handoverMs });
    }
    return this.gone;
  }

  /** Ends the thread without asking. A thread in an endless loop survives it in this runtime. */
  terminate(): void {
    this.#state = "stopping";
    this.#heartbeat?.stop();
    // The exit event tells when it is over.
    void this.#thread.terminate();
  }

  #send(order: Order): void {
    this.#thread.postMessage(order);
  }

  #onReport(report: WorkerReport): void {
    switch (report.type) {
      case "ready":
        this.#tid = report.tid;
        this.#servingSince = Date.now();
        if (this.#state === "starting") {
          this.#state = "serving";
          this.#heartbeat = new Heartbeat(
            () => this.#send({ type: "ping" }),
            (seconds) => {
              this.#hung = true;
              this.#events.hung(this, seconds);
            },
          );
        }
        return this.#ready.resolve(report);
      case "failed":
        this.#failure = report.failure;
        return;
      case "pong":
        this.#heartbeat?.answered();
        if (report.exhausted && this.#state === "serving") {
          this.#events.crashed(this, "a request has used up its heap");
        }
        return;
      case "reloadPrepared":
        return this.#prepared?.();
      case "crashed":
        if (this.#state === "serving") this.#events.crashed(this, report.reason);
        return;
      case "stopped":
        return;
    }
  }

  #onExit(code: number): void {
    const asked = this.#state === "stopping";
    this.#state = "stopping";
    this.#heartbeat?.stop();
    const reason = this.#lastError || this.#failure?.text || `exit code ${code}`;
    this.#ready.reject(
      new StartError(
        this.#failure ??
          { text: `cannot start server: worker #${this.index} ended (${reason})`, stack: "" },
      ),
    );
    this.#gone.resolve();
    this.#events.ended(this, reason, asked);
  }
}
