/**
 * What this process or thread is to the service. The start script is the main module of all of them,
 * and `run` goes by the role.
 *
 * @module
 */

/** What a supervisor tells the engine process it starts. */
export interface EngineStart {
  /** Port to listen on; never 0. */
  readonly port: number;
  /** True when it takes over from a running engine because somebody wants it to. */
  readonly reloaded: boolean;
  /** True when it takes over from a running engine, for whatever reason. */
  readonly takesOver: boolean;
  /** With `reloaded`: the mounts the running engine does not have either; all others must load. */
  readonly mayMiss?: readonly string[];
  /** True in a daemon. */
  readonly daemon: boolean;
  /** True in the first engine of a supervisor, with which nobody may share the port. Default false. */
  readonly isFirst?: boolean;
}

/** What a master tells the worker thread it starts. */
export interface WorkerStart extends EngineStart {
  /** Tells our threads from those an app starts. */
  readonly skitai: "worker";
  /** Number of the worker, from 0. */
  readonly index: number;
  /** Number of its life, from 1: its successor has another one. */
  readonly life: number;
  /** Memory shared by the workers of the engine. */
  readonly shared: SharedArrayBuffer;
}

/** The role of this process or thread. */
export type Role =
  | { readonly kind: "main" }
  | { readonly kind: "supervisor" }
  | { readonly kind: "engine"; readonly start: EngineStart }
  | { readonly kind: "worker" };

const ROLE_ENV = "SKITAI_ROLE";
const ENGINE_ENV = "SKITAI_ENGINE";

/** Environment that makes a child a supervisor in the background. */
export function supervisorEnvironment(): Record<string, string> {
  return { [ROLE_ENV]: "supervisor" };
}

/** Environment that makes a child an engine process. */
export function engineEnvironment(start: EngineStart): Record<string, string> {
  return { [ROLE_ENV]: "engine", [ENGINE_ENV]: JSON.stringify(start) };
}

/** Finds the role and takes it out of the environment, so that programs the app starts do not inherit it. */
export function takeRole(): Role {
  if ("DedicatedWorkerGlobalScope" in globalThis) return { kind: "worker" };
  const kind = Deno.env.get(ROLE_ENV);
  if (kind === undefined) return { kind: "main" };
  const start = Deno.env.get(ENGINE_ENV);
  Deno.env.delete(ROLE_ENV);
  Deno.env.delete(ENGINE_ENV);
  if (kind === "supervisor") return { kind };
  if (kind === "engine" && start !== undefined) return { kind, start: JSON.parse(start) };
  return { kind: "main" };
}
