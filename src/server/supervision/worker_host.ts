/**
 * Keeps the configured number of workers in this process, replacing those that end.
 *
 * @module
 */

import type { Log } from "../../core/log.ts";
import type { WorkerStart } from "../role.ts";
import type { WorkerInfo } from "../server.ts";
import { releaseLocksOf } from "../../was/shared.ts";
import { Backoff } from "./backoff.ts";
import type { Watched } from "./critical_point.ts";
import { type Handover, HANDOVER_MS } from "./handover.ts";
import { type WorkerEvents, WorkerHandle } from "./worker_handle.ts";

/** Milliseconds a worker that is replaced may take for the requests it has, with those it still accepts. */
const REPLACED_GRACE_MS = 2 * HANDOVER_MS;
/** Milliseconds a stopping worker gets on top of its grace before its thread is ended. */
const STOP_MARGIN_MS = 2000;

/** What the host tells its process. */
export interface HostEvents {
  /** Something about the workers has changed. */
  changed(): void;
  /** A worker hangs. Only a new process helps, because its thread cannot be ended. */
  hung(worker: WorkerInfo, seconds: number): void;
}

/** The workers of an engine process. */
export class WorkerHost {
  #start: Omit<WorkerStart, "index" | "life">;
  #lives = 0;
  #count: number;
  #log: Log;
  #handover: Handover;
  #handovers: Promise<void> = Promise.resolve();
  #events: HostEvents;
  #serving: WorkerHandle[] = [];
  #all = new Set<WorkerHandle>();
  #leaving = new Set<WorkerHandle>();
  #backoffs: Backoff[] = [];
  #waits = new Set<ReturnType<typeof setTimeout>>();
  #address = "";
  #port = 0;
  #watched: readonly string[] = [];
  #missing: readonly string[] = [];
  #stopping = false;

  /** Prepares; {@link start} starts. */
  constructor(options: {
    readonly start: Omit<WorkerStart, "index" | "life">;
    readonly count: number;
    readonly handover: Handover;
    readonly log: Log;
    readonly events: HostEvents;
  }) {
    this.#start = options.start;
    this.#count = options.count;
    this.#log = options.log;
    this.#handover = options.handover;
    this.#events = options.events;
  }

  /** Address in use. */
  get address(): string {
    return this.#address;
  }

  /** Port in use. */
  get port(): number {
    return this.#port;
  }

  /** Paths to watch. */
  get watched(): readonly string[] {
    return this.#watched;
  }

  /** The mounts that could not be loaded. */
  get missing(): readonly string[] {
    return this.#missing;
  }

  /** The workers, by number. */
  get workers(): readonly WorkerInfo[] {
    return this.#serving.map((worker) => worker.info);
  }

  /** The threads that serve, for the critical point. */
  get threads(): readonly Watched[] {
    return this.#serving
      .filter(({ info }) => info.state === "serving")
      .map(({ index, tid, info }) => ({ index, name: info.name, tid }));
  }

  /** Starts all. @throws the failure of the first that could not, with all others ended. */
  async start(): Promise<void> {
    for (let index = 0; index < this.#count; index++) {
      this.#backoffs.push(new Backoff());
      this.#serving.push(this.#launch(index, 0));
    }
    try {
      const [first] = await Promise.all(this.#serving.map((worker) => worker.ready));
      this.#address = first!.address;
      this.#port = first!.port;
      this.#watched = first!.watched;
      this.#missing = first!.missing;
    } catch (error) {
      this.#stopping = true;
      for (const worker of this.#all) worker.terminate();
      throw error;
    }
  }

  /** Replaces one worker. It goes on serving until its successor does, then ends what it has. */
  replace(index: number, reason: string): void {
    const old = this.#serving[index];
    if (this.#stopping || old === undefined || this.#leaving.has(old)) return;
    if (old.info.state !== "serving") return;
    this.#leaving.add(old);
    this.#succeed(old, `is replaced: ${reason}; its successor starts`);
  }

  /** Starts new log files in all workers. */
  rotate(): void {
    for (const worker of this.#all) worker.rotate();
  }

  /** Runs the hooks before a reload in all workers. */
  async beforeReload(): Promise<void> {
    await Promise.all(this.#serving.map((worker) => worker.beforeReload()));
  }

  /** Stops all workers within the grace. A hung one is not waited for: it goes with the process. */
  async stop(graceMs: number, handoverMs: number): Promise<void> {
    this.#stopping = true;
    for (const wait of this.#waits) clearTimeout(wait);
    const alive = [...this.#all].filter((worker) => !worker.hung);
    await Promise.all(alive.map((worker) => this.#retire(worker, graceMs, handoverMs)));
  }

  #launch(index: number, replaced: number): WorkerHandle {
    const start: WorkerStart = {
      ...this.#start,
      // The successor of a worker is a fresh one, whatever the engine itself took over from.
      reloaded: this.#start.reloaded && replaced === 0,
      mayMiss: replaced === 0 ? this.#start.mayMiss : undefined,
      index,
      life: ++this.#lives,
    };
    const worker = new WorkerHandle(start, replaced, this.#workerEvents);
    this.#all.add(worker);
    worker.ready.then(() => this.#onReady(worker), () => {/* its end is logged when it ends */});
    return worker;
  }

  #onReady(worker: WorkerHandle): void {
    this.#events.changed();
    for (const old of this.#leaving) {
      if (old.index !== worker.index) continue;
      this.#handovers = this.#handovers.then(() => this.#handOver(old));
    }
  }

  /** Connections are handed over from one worker at a time. */
  async #handOver(old: WorkerHandle): Promise<void> {
    const isOver = this.#handover.toNewest();
    await this.#retire(old, REPLACED_GRACE_MS, HANDOVER_MS);
    isOver();
  }

  #workerEvents: WorkerEvents = {
    crashed: (worker, reason) => this.replace(worker.index, reason),
    hung: (worker, seconds) => this.#events.hung(worker.info, seconds),
    ended: (worker, reason, asked) => {
      this.#all.delete(worker);
      // Others would wait for them until their lease ends.
      releaseLocksOf(this.#start.shared, worker.life);
      // The successor of one that was leaving is on its way already.
      const left = this.#leaving.delete(worker);
      if (!asked && !left && !this.#stopping) {
        this.#succeed(worker, `ended: ${reason}; another one starts`);
      }
    },
  };

  #succeed(old: WorkerHandle, what: string): void {
    const { index } = old;
    const waitMs = this.#backoffs[index]!.next(old.servedMs);
    const when = waitMs === 0 ? "at once" : `in ${waitMs / 1000} s`;
    this.#log.log(`${old.info.name} ${what} ${when}`, "error");
    const wait = setTimeout(() => {
      this.#waits.delete(wait);
      this.#serving[index] = this.#launch(index, old.replaced + 1);
      this.#events.changed();
    }, waitMs);
    this.#waits.add(wait);
  }

  async #retire(worker: WorkerHandle, graceMs: number, handoverMs: number): Promise<void> {
    const deadline = Promise.withResolvers<void>();
    const timer = setTimeout(deadline.resolve, graceMs + STOP_MARGIN_MS);
    const gone = worker.stop(graceMs, handoverMs);
    await Promise.race([gone, deadline.promise]);
    clearTimeout(timer);
    if (!this.#all.has(worker)) return;
    this.#log.log(`${worker.info.name} did not stop within its grace and is ended`, "warn");
    worker.terminate();
  }
}
