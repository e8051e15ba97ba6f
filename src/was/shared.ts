/**
 * Last-update keys, global state and locks: what the workers of a service share.
 *
 * @module
 */

import { behindCounters } from "../store/shared_counters.ts";
import { type HeldLock, type LockOptions, SharedState } from "../store/shared_state.ts";

/** Where changes go besides the memory of the engine, and where locks are taken: the cluster. */
export interface SharedLink {
  /** A last-update key was set here. */
  updated(key: string, time: number): void;
  /** A global state was set here. */
  assigned(key: string, value: number): void;
  /** Takes a lock of the whole cluster; the local one is held already. */
  lock(name: string, options: LockOptions): Promise<() => void>;
}

/** Name of the lock that is taken when none is named. */
const MAIN_LOCK = "__main__";

const updateKeys = new Set<string>();
const stateKeys = new Set<string>();
let memory: SharedState | undefined;
let link: SharedLink | undefined;

/** The shared memory of this worker; memory of its own where no engine has handed one over. */
export function sharedState(): SharedState {
  if (memory === undefined) bind(new SharedState());
  return memory!;
}

/**
 * Takes the memory an engine has handed over, for a worker in that life of it. What gives it back
 * is returned. @internal
 */
export function openSharedState(shared: SharedArrayBuffer, life: number): Disposable {
  const opened = new SharedState(shared, behindCounters(shared), life);
  bind(opened);
  return {
    [Symbol.dispose]() {
      opened[Symbol.dispose]();
      if (memory === opened) memory = undefined;
    },
  };
}

/** Gives back the locks that a worker has left whose life is over. @internal */
export function releaseLocksOf(shared: SharedArrayBuffer, life: number): void {
  new SharedState(shared, behindCounters(shared)).releaseAllOf(life);
}

/** Tells the cluster about changes from now on; `undefined` for none. @internal */
export function linkSharedState(to: SharedLink | undefined): void {
  link = to;
}

/** Name of a last-update key in the memory. @internal */
export function updateName(key: string): string {
  return `u:${key}`;
}

/** Name of a global state in the memory. @internal */
export function stateName(key: string): string {
  return `s:${key}`;
}

/** Declared last-update keys and global states. @internal */
export function declaredKeys(): { readonly updates: string[]; readonly states: string[] } {
  return { updates: [...updateKeys], states: [...stateKeys] };
}

function bind(opened: SharedState): void {
  memory = opened;
  for (const key of updateKeys) opened.declare(updateName(key));
  for (const key of stateKeys) opened.declare(stateName(key));
}

function declareAll(what: string, keys: readonly unknown[], known: Set<string>): void {
  if (keys.length === 0) throw new TypeError(`${what}: no key is named`);
  for (const key of keys) {
    if (typeof key !== "string" || key === "") {
      throw new TypeError(`${what}: ${JSON.stringify(key)} is not a key`);
    }
    if (known.has(key)) continue;
    const name = known === updateKeys ? updateName(key) : stateName(key);
    // without memory, the name is checked when there is one
    memory?.declare(name);
    if (new TextEncoder().encode(name).length > 100) {
      throw new TypeError(`${what}: ${JSON.stringify(key)} is longer than 98 bytes`);
    }
    known.add(key);
  }
}

/**
 * Declares last-update keys, before `run`. Every worker knows the time each was set last; see
 * `was.setlu` and `was.getlu`.
 *
 * @throws {TypeError} without a key, and for one that is empty or longer than 98 bytes.
 */
export function deflu(...keys: string[]): void {
  declareAll("deflu", keys, updateKeys);
}

/** @deprecated Use {@link deflu}. */
export function addlu(...keys: string[]): void {
  deflu(...keys);
}

/** @deprecated Use {@link deflu}. */
export function trackers(...keys: string[]): void {
  deflu(...keys);
}

/** @deprecated Use {@link deflu}. */
export function lukeys(...keys: string[]): void {
  deflu(...keys);
}

/**
 * Declares global states, before `run`: whole numbers that all workers see, 0 at first; see
 * `was.setgs` and `was.getgs`.
 *
 * @throws {TypeError} without a key, and for one that is empty or longer than 98 bytes.
 */
export function defgs(...keys: string[]): void {
  declareAll("defgs", keys, stateKeys);
}

/** Sets the time of a key to now; gives it, in milliseconds since 1970. */
export function setUpdated(key: string): number {
  needKey("set", key, updateKeys, "deflu");
  const time = sharedState().raise(updateName(key), Date.now());
  link?.updated(key, time);
  return time;
}

/**
 * Newest time of the keys, in milliseconds since 1970; the start of the server for those never set.
 *
 * @throws {TypeError} for a key that was not declared, or without one.
 */
export function lastUpdated(keys: readonly string[]): number {
  if (keys.length === 0) throw new TypeError("Cannot get a last update: no key is named");
  const state = sharedState();
  let newest = 0;
  for (const key of keys) {
    needKey("get", key, updateKeys, "deflu");
    const time = state.get(updateName(key))!;
    if (time > newest) newest = time;
  }
  // one set on another machine may be older than this server
  return Math.max(newest, state.startedAt);
}

/** Sets a global state. @throws {TypeError} for a key not declared and a value that is no integer. */
export function assignState(key: string, value: number): void {
  needKey("set", key, stateKeys, "defgs");
  if (!Number.isSafeInteger(value)) {
    throw new TypeError(`Cannot set ${key} to ${String(value)}: expected a whole number`);
  }
  sharedState().set(stateName(key), value);
  link?.assigned(key, value);
}

/** A global state. @throws {TypeError} for a key that was not declared. */
export function readState(key: string): number {
  needKey("get", key, stateKeys, "defgs");
  return sharedState().get(stateName(key))!;
}

/** Takes a lock, of this engine, and with a cluster of all its machines. */
export async function takeLock(name = MAIN_LOCK, options: LockOptions = {}): Promise<HeldLock> {
  if (typeof name !== "string" || name === "") {
    throw new TypeError(`Cannot lock ${JSON.stringify(name)}: expected a name`);
  }
  for (const option of Object.keys(options)) {
    if (option === "timeoutMs" || option === "signal") continue;
    throw new TypeError(
      `Cannot lock ${name}: unknown option "${option}"; known are timeoutMs, signal`,
    );
  }
  const { timeoutMs } = options;
  if (timeoutMs !== undefined && !(typeof timeoutMs === "number" && timeoutMs >= 0)) {
    throw new RangeError(`Cannot wait for the lock ${name} for ${String(timeoutMs)} ms`);
  }
  const started = performance.now();
  const local = await sharedState().lock(name, options);
  if (link === undefined) return local;
  let unlock: () => void;
  try {
    const left = (options.timeoutMs ?? Infinity) - (performance.now() - started);
    unlock = await link.lock(name, { ...options, timeoutMs: Math.max(0, left) });
  } catch (error) {
    local.release();
    throw error;
  }
  let released = false;
  const release = () => {
    if (released) return;
    released = true;
    // that of the cluster even if the local one was lost: it would be renewed for ever
    unlock();
    local.release();
  };
  return {
    name,
    get held() {
      return local.held;
    },
    release,
    [Symbol.asyncDispose]: () => {
      release();
      return Promise.resolve();
    },
  };
}

function needKey(verb: string, key: string, known: ReadonlySet<string>, declare: string): void {
  if (known.has(key)) return;
  throw new TypeError(
    `Cannot ${verb} ${JSON.stringify(key)}: declare it with ${declare} before run; declared are ${
      [...known].join(", ") || "none"
    }`,
  );
}
