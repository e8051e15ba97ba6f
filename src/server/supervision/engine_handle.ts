/**
 * An engine process as its supervisor sees it.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { launchDirectory } from "../paths.ts";
import { engineEnvironment, type EngineStart } from "../role.ts";
import type { WorkerInfo } from "../server.ts";
import { StartError, type StartFailure } from "../start_failure.ts";
import { onEnd } from "./child_end.ts";
import { beatsUntilHung, Heartbeat } from "./heartbeat.ts";
import type { EngineReport, Order } from "./messages.ts";
import { childCommand } from "./respawn.ts";

/** What a handle tells the supervisor. */
export interface EngineEvents {
  /** The process has ended. `asked` is true when it was told to. */
  ended(engine: EngineHandle, reason: string, asked: boolean): void;
  /** The engine asks to be replaced. */
  replace(engine: EngineHandle, reason: string, drainMs: number | undefined): void;
  /** The state of its workers has changed. */
  changed(engine: EngineHandle): void;
  /** The process does not answer; it is killed after this call. */
  hung(engine: EngineHandle, seconds: number): void;
}

/** What an engine said when it was ready. */
export type EngineReady = Extract<EngineReport, { type: "ready" }>;

/** Milliseconds an engine gets on top of its grace before it is killed. */
const STOP_MARGIN_MS = 5000;

/** One engine process, from its start to its end. */
export class EngineHandle {
  /** Resolves when it serves, rejects when it fails to start. */
  readonly ready: Promise<EngineReady>;
  /** Resolves when the process has ended. */
  readonly gone: Promise<void>;

  #child: ChildProcess;
  #events: EngineEvents;
  #heartbeat: Heartbeat | undefined;
  #stopping = false;
  #began = performance.now();
  #servingSince = 0;
  #workers: readonly WorkerInfo[] = [];
  #watched: readonly string[] = [];
  #missing: readonly string[] = [];
  #failure: StartFailure | undefined;
  #exitCode: number | null = null;
  #ready = Promise.withResolvers<EngineReady>();
  #gone = Promise.withResolvers<void>();
  #tookOver = Promise.withResolvers<void>();
  #prepared: (() => void) | undefined;

  /** Starts the process, with the flags and arguments of this one. */
  constructor(start: EngineStart, events: EngineEvents) {
    this.#events = events;
    this.ready = this.#ready.promise;
    this.gone = this.#gone.promise;
    this.ready.catch(() => {});
    const { program, args } = childCommand();
    this.#child = spawn(program, args, {
      // Relative paths among the flags were meant from there.
      cwd: launchDirectory,
      env: { ...Deno.env.toObject(), ...engineEnvironment(start) },
      stdio: ["inherit", "inherit", "inherit", "ipc"],
    });
    this.#child.on("message", (message: unknown) => this.#onReport(message as EngineReport));
    this.#child.on("error", (error) => {
      this.#failure ??= { text: `cannot start server: ${error.message}`, stack: "" };
      // A process that never came to be has no exit either.
      if (this.#child.pid === undefined) this.#onExit(null, null);
    });
    onEnd(this.#child, (code, signal) => this.#onExit(code, signal));
  }

  /** Process id; 0 when it could not be started. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** True from ready to stop. */
  get serving(): boolean {
    return this.#servingSince !== 0 && !this.#stopping;
  }

  /** True when it has been starting for as long as one that serves may be silent. */
  get isSlowToStart(): boolean {
    const seconds = beatsUntilHung();
    return this.#servingSince === 0 && seconds > 0 &&
      performance.now() - this.#began > seconds * 1000;
  }

  /** Milliseconds it has served; 0 for one that never did. */
  get servedMs(): number {
    return this.#servingSince === 0 ? 0 : Math.max(1, Date.now() - this.#servingSince);
  }

  /** Its workers, as last reported. */
  get workers(): readonly WorkerInfo[] {
    return this.#workers;
  }

  /** Paths to watch. */
  get watched(): readonly string[] {
    return this.#watched;
  }

  /** The mounts it could not load. */
  get missing(): readonly string[] {
    return this.#missing;
  }

  /** Exit code, when it ended by itself. */
  get exitCode(): number | null {
    return this.#exitCode;
  }

  /** Starts new log files. */
  rotate(): void {
    this.#send({ type: "rotate" });
  }

  /** Runs the hooks before a reload; resolves when they ran, the time is over, or the process ended. */
  async beforeReload(timeoutMs: number): Promise<void> {
    if (!this.serving) return;
    const prepared = Promise.withResolvers<void>();
    this.#prepared = prepared.resolve;
    const timer = setTimeout(prepared.resolve, timeoutMs);
    this.#send({ type: "beforeReload" });
    await Promise.race([prepared.promise, this.gone]);
    clearTimeout(timer);
  }

  /** Resolves when it gets all connections and the one before it has stopped listening, or the time is over. */
  async tookOver(timeoutMs: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, timeoutMs);
    await Promise.race([this.#tookOver.promise, late.promise, this.gone]);
    clearTimeout(timer);
  }

  /**
   * Asks it to stop within the grace, and kills it when it does not. With `handoverMs` its successor
   * listens, and it accepts for so long still. Resolves when it has ended.
   */
  async stop(graceMs: number, handoverMs: number = 0): Promise<void> {
    this.#heartbeat?.stop();
    if (!this.#stopping) {
      this.#stopping = true;
      // One that starts has nothing to end gracefully, and may never come to listen for orders.
      if (this.#servingSince === 0) this.#child.kill("SIGTERM");
      else this.#send({ type: "stop", graceMs, handoverMs });
    }
    const timer = setTimeout(() => this.kill(), graceMs + STOP_MARGIN_MS);
    await this.gone;
    clearTimeout(timer);
  }

  /** Ends it at once. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #send(order: Order): void {
    if (this.#child.connected) this.#child.send(order);
  }

  #onReport(report: EngineReport): void {
    switch (report.type) {
      case "ready":
        this.#servingSince = Date.now();
        this.#workers = report.workers;
        this.#watched = report.watched;
        this.#missing = report.missing;
        if (!this.#stopping) {
          this.#heartbeat = new Heartbeat(
            () => this.#send({ type: "ping" }),
            (seconds) => {
              this.#events.hung(this, seconds);
              this.kill();
            },
          );
        }
        return this.#ready.resolve(report);
      case "failed":
        this.#failure = report.failure;
        return;
      case "pong":
        return this.#heartbeat?.answered();
      case "reloadPrepared":
        return this.#prepared?.();
      case "tookOver":
        return this.#tookOver.resolve();
      case "workers":
        this.#workers = report.workers;
        return this.#events.changed(this);
      case "replace":
        return this.#events.replace(this, report.reason, report.drainMs);
    }
  }

  #onExit(code: number | null, signal: string | null): void {
    const asked = this.#stopping;
    this.#stopping = true;
    this.#exitCode = code;
    this.#heartbeat?.stop();
    const how = signal === null ? `exit code ${code}` : signal;
    const reason = this.#failure?.text ?? how;
    this.#ready.reject(
      new StartError(
        this.#failure ??
          { text: `cannot start server: the engine process ended (${how})`, stack: "" },
      ),
    );
    this.#gone.resolve();
    this.#events.ended(this, reason, asked);
  }
}
