/**
 * The backend clients of a worker: made on first use, swept and closed together.
 *
 * @module
 */

import type { Client, ClientStats } from "../clients/contract.ts";

/** Seconds an idle backend connection may be reused. */
let keepAliveSeconds = 1200;

/**
 * Sets how long an idle backend connection may be reused. It should be somewhat less than what the
 * backend itself allows; a backend that announces its time with a `Keep-Alive` header is believed.
 *
 * @param seconds Default 1200; 0 for a new connection each time.
 * @throws {RangeError} when it is negative or not a number.
 */
export function setBackendKeepAlive(seconds: number): void {
  if (typeof seconds !== "number" || !(seconds >= 0)) {
    throw new RangeError(`Cannot keep backend connections for ${seconds} seconds`);
  }
  keepAliveSeconds = seconds;
}

/** Seconds an idle backend connection may be reused. */
export function backendKeepAlive(): number {
  return keepAliveSeconds;
}

/** All clients of one worker, by kind. */
export class BackendClients implements AsyncDisposable {
  readonly #clients = new Map<string, Client>();
  readonly #loading = new Map<string, Promise<Client>>();

  /**
   * The client of that kind. It is loaded on first use, so that an app that never asks a backend does
   * not pay for one; later calls answer at once.
   */
  get<C extends Client>(kind: string, load: () => Promise<C>): C | Promise<C> {
    const ready = this.#clients.get(kind);
    if (ready !== undefined) return ready as C;
    const before = this.#loading.get(kind);
    if (before !== undefined) return before as Promise<C>;
    const loading = load().then((client) => {
      this.#clients.set(kind, client);
      return client;
    }).finally(() => this.#loading.delete(kind));
    this.#loading.set(kind, loading);
    return loading;
  }

  /** The client of that kind if it has been loaded. */
  peek<C extends Client>(kind: string): C | undefined {
    return this.#clients.get(kind) as C | undefined;
  }

  /** Connections of all clients together. */
  stats(): ClientStats {
    let open = 0;
    let busy = 0;
    for (const client of this.#clients.values()) {
      const stats = client.stats();
      open += stats.open;
      busy += stats.busy;
    }
    return { open, busy };
  }

  /** Lets every client close what has been idle for too long. */
  maintain(): void {
    for (const client of this.#clients.values()) client.maintain();
  }

  /** Closes all clients. A request after that makes a new one. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#loading.values());
    const clients = [...this.#clients.values()];
    this.#clients.clear();
    const ends = await Promise.allSettled(clients.map((one) => one[Symbol.asyncDispose]()));
    const errors = ends.filter((end) => end.status === "rejected").map((end) => end.reason);
    if (errors.length > 0) throw new AggregateError(errors, "Cannot close all backend clients");
  }
}

/** The clients of this worker; also reached as `wac.backends`. */
export const backends: BackendClients = new BackendClients();
