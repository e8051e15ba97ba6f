/**
 * What the processes and threads of a supervised service say to each other. Structured messages, so
 * that nothing has to be parsed out of text.
 *
 * @module
 */

import type { WorkerInfo } from "../server.ts";
import type { StartFailure } from "../start_failure.ts";

/** A master to what serves under it: supervisor to engine process, engine process to worker. */
export type Order =
  | { readonly type: "ping" }
  | { readonly type: "rotate" }
  | { readonly type: "beforeReload" }
  /** With `handoverMs` a successor listens already, and connections are accepted for so long still. */
  | { readonly type: "stop"; readonly graceMs: number; readonly handoverMs: number };

/** A worker to its engine process. */
export type WorkerReport =
  | {
    readonly type: "ready";
    readonly address: string;
    readonly port: number;
    readonly watched: readonly string[];
    readonly missing: readonly string[];
    readonly tid: number;
  }
  | { readonly type: "failed"; readonly failure: StartFailure }
  /** With `exhausted`, a request has used up the heap and was broken off by the runtime. */
  | { readonly type: "pong"; readonly exhausted: boolean }
  | { readonly type: "reloadPrepared" }
  | { readonly type: "crashed"; readonly reason: string }
  | { readonly type: "stopped" };

/** An engine process to its supervisor. */
export type EngineReport =
  | {
    readonly type: "ready";
    readonly address: string;
    readonly port: number;
    readonly watched: readonly string[];
    readonly missing: readonly string[];
    readonly workers: readonly WorkerInfo[];
  }
  | { readonly type: "failed"; readonly failure: StartFailure }
  | { readonly type: "pong" }
  | { readonly type: "reloadPrepared" }
  /** New connections come here only; those who listened before have stopped. */
  | { readonly type: "tookOver" }
  | { readonly type: "workers"; readonly workers: readonly WorkerInfo[] }
  /** The engine cannot go on and asks to be replaced; with `drainMs` it says how long it may drain. */
  | { readonly type: "replace"; readonly reason: string; readonly drainMs?: number };

/** A supervisor in the background to the command that started it. */
export type SupervisorReport =
  | {
    readonly type: "ready";
    readonly pid: number;
    readonly address: string;
    readonly port: number;
  }
  | { readonly type: "failed"; readonly text: string };
