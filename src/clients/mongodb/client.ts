/**
 * MongoDB as a backend.
 *
 * The driver keeps the connections to each server. An operation that may write is sent at most
 * once; one that only reads is sent a second time when its connection was lost.
 *
 * @module
 */

import { abortSignalOf, type StopSignal } from "../../core/stop.ts";
import type { MongoClient } from "mongodb";
import { asError, BackendError, ConnectError, PoolExhaustedError } from "../../core/errors.ts";
import { packageExport } from "../../core/package_export.ts";
import { closeQuietly, dial } from "../../net/connect.ts";
import type { Client, ClientStats, Outcome, Send } from "../contract.ts";
import {
  answered,
  type DatabaseTarget,
  failure,
  isOfSocket,
  MAX_CONNECTIONS,
  MAX_WAITING,
  nameOf,
  poolKey,
} from "../database.ts";
import { orAborted, SharedOpening } from "../shared_opening.ts";
import { guardDriver } from "./messages.ts";
import type { MongoOperation } from "./operations.ts";

/** Options of a {@link MongodbClient}. */
export interface MongodbClientOptions {
  /**
   * Seconds after which an idle connection is not reused; asked for each server once. Default 1200.
   */
  readonly idleSeconds?: () => number;
}

/** A server nobody asked for that long is forgotten. */
const FORGET_MS = 20 * 60 * 1000;
/** How long an operation that was given up may keep its connection, in milliseconds. */
const STUCK_MS = 2000;

/** A connection that ended before the answer was there, whatever became of the operation. */
class LostConnectionError extends BackendError {}

/** One driver instance and what is under way on it. */
class Driver {
  /** Callers that wait for something. */
  live = 0;
  /** True once it has answered. */
  used = false;
  open = 0;
  busy = 0;
  #usable = true;
  #closing: Promise<void> | undefined;
  readonly #client: MongoClient;
  readonly #end: (driver: Driver) => void;

  /** @param end Closes it when it is retired and nobody waits any more. */
  constructor(client: MongoClient, end: (driver: Driver) => void) {
    this.#client = client;
    this.#end = end;
    client.on("connectionCreated", () => this.open++);
    client.on("connectionClosed", () => this.open--);
    client.on("connectionCheckedOut", () => this.busy++);
    client.on("connectionCheckedIn", () => this.busy--);
    client.on("serverDescriptionChanged", ({ newDescription }) => {
      // the driver would wait for it to come back; who asks next finds out at once
      if (newDescription.type === "Unknown" && newDescription.error !== null) this.retire();
    });
  }

  get usable(): boolean {
    return this.#usable;
  }

  get client(): MongoClient {
    return this.#client;
  }

  /** Takes no more operations, and closes when nobody waits any more. */
  retire(): void {
    this.#usable = false;
    if (this.live === 0) this.#end(this);
  }

  /** Closes all connections; what is under way fails. */
  close(): Promise<void> {
    this.#usable = false;
    return this.#closing ??= this.#client.close(true);
  }
}

interface Server {
  driver: Driver | undefined;
  readonly opening: SharedOpening<Driver>;
  /** Operations under way and waiting. */
  operations: number;
  usedAt: number;
}

/** Runs operations over pooled connections. */
export class MongodbClient implements Client {
  readonly #idleSeconds: () => number;
  readonly #servers = new Map<string, Server>();
  readonly #drivers = new Set<Driver>();
  readonly #ends = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  /** Makes a client without connections. */
  constructor(options: MongodbClientOptions = {}) {
    this.#idleSeconds = options.idleSeconds ?? (() => 1200);
  }

  /**
   * Prepares a request: `send(signal)` runs an operation and resolves to what it gives. Nothing is
   * thrown:
   * whatever the driver or the server says is an outcome with status 2 and code 500.
   */
  request(target: DatabaseTarget, operation: MongoOperation): Send {
    return (signal) => this.send(target, operation, signal);
  }

  /** Runs an operation; see {@link request}. */
  async send(
    target: DatabaseTarget,
    operation: MongoOperation,
    signal: StopSignal,
  ): Promise<Outcome> {
    const server = this.#serverOf(target);
    const most = (target.maxConnections ?? MAX_CONNECTIONS) + MAX_WAITING;
    if (server.operations >= most) {
      const message = `Cannot ask ${nameOf(target)}: ${server.operations} operations are under way`;
      const { alias, node } = target;
      return failure(
        target,
        new PoolExhaustedError(message, 714, { alias, member: node }),
        signal,
        true,
      );
    }
    server.operations++;
    try {
      for (let attempt = 1;; attempt++) {
        let driver: Driver;
        try {
          signal.throwIfAborted();
          this.#closing.signal.throwIfAborted();
          driver = await this.#driver(server, signal);
        } catch (error) {
          return failure(target, error, signal, true);
        }
        const reused = driver.used;
        try {
          return answered(target, await this.#run(driver, target, operation, signal));
        } catch (error) {
          const lost = error instanceof LostConnectionError;
          const harmless = lost && (operation.read || unsent(error));
          const open = !signal.aborted && !this.#closing.signal.aborted;
          if (harmless && reused && attempt === 1 && open) continue;
          return failure(target, error, signal, harmless);
        }
      }
    } finally {
      server.operations--;
    }
  }

  /** Operations under way and waiting; for choosing among members. */
  load(target: DatabaseTarget): number {
    return this.#servers.get(poolKey(target))?.operations ?? 0;
  }

  /** Current counts; the connection that watches each server is not among them. */
  stats(): ClientStats {
    let open = 0;
    let busy = 0;
    for (const driver of this.#drivers) {
      open += driver.open;
      busy += driver.busy;
    }
    return { open, busy };
  }

  /** Forgets servers nobody asks; the driver itself closes what has been idle for too long. */
  maintain(): void {
    const oldest = performance.now() - FORGET_MS;
    for (const [key, server] of this.#servers) {
      if (server.operations > 0 || server.usedAt >= oldest) continue;
      server.driver?.retire();
      this.#servers.delete(key);
    }
  }

  /** Closes all connections; operations under way fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error("The client of MongoDB is closed"));
    const servers = [...this.#servers.values()];
    this.#servers.clear();
    const { reason } = this.#closing.signal;
    await Promise.all(servers.map(({ opening }) => opening.cancel(reason)));
    await Promise.all([...this.#drivers].map((driver) => driver.close()));
    await Promise.all(this.#ends);
    this.#drivers.clear();
  }

  #serverOf(target: DatabaseTarget): Server {
    const key = poolKey(target);
    let server = this.#servers.get(key);
    if (server === undefined) {
      const made: Server = {
        driver: undefined,
        // it is the driver even if all who waited are gone by now: nobody else would ever close it
        opening: new SharedOpening(async (signal) =>
          made.driver = await this.#open(target, signal)
        ),
        operations: 0,
        usedAt: 0,
      };
      server = made;
      if (!this.#closing.signal.aborted) this.#servers.set(key, server);
    }
    server.usedAt = performance.now();
    return server;
  }

  async #driver(server: Server, signal: StopSignal): Promise<Driver> {
    if (server.driver?.usable) return server.driver;
    return await server.opening.wait(signal);
  }

  /** Makes a driver instance for a server that is there. */
  async #open(target: DatabaseTarget, signal: StopSignal): Promise<Driver> {
    const { host, port, user, password, tls, caCerts, alias, node } = target;
    try {
      // the driver waits for a server that is away; this says at once that it is
      closeQuietly(
        (await dial({ hostname: host, port, tls: false, signal: abortSignalOf(signal) })).conn,
      );
      signal.throwIfAborted();
      // loaded with the first operation
      const MongoClient = packageExport(await import("mongodb"), "MongoClient");
      await guardDriver();
      const client = new MongoClient(
        `mongodb://${host.includes(":") ? `[${host}]` : host}:${port}/`,
        {
          directConnection: true,
          maxPoolSize: target.maxConnections ?? MAX_CONNECTIONS,
          maxIdleTimeMS: this.#idleSeconds() * 1000 || 1,
          // this client decides what is sent again
          retryReads: false,
          retryWrites: false,
          serverSelectionTimeoutMS: 30_000,
          serverMonitoringMode: "poll",
          appName: "skitai",
          tls,
          ...caCerts && { ca: [...caCerts] },
          ...user !== undefined && {
            auth: { username: user, password },
            authSource: "admin",
          },
        },
      );
      const driver = new Driver(client, (ended) => this.#end(ended));
      this.#drivers.add(driver);
      try {
        // the driver would try again until its own time is over
        const unreachable = new Promise<never>((_, reject) =>
          client.once("serverHeartbeatFailed", ({ failure }) => reject(failure))
        );
        // logs in, too
        const ping = client.db(target.database || "test").command({ ping: 1 });
        await orAborted(Promise.race([ping, unreachable]), signal);
        driver.used = true;
        return driver;
      } catch (error) {
        this.#end(driver);
        throw error;
      }
    } catch (thrown) {
      signal.throwIfAborted();
      const cause = asError(thrown);
      const { statusCode = 714 } = cause as { statusCode?: number };
      const reason = cause instanceof BackendError ? asError(cause.cause ?? cause) : cause;
      throw new ConnectError(`Cannot connect to ${nameOf(target)}: ${reason.message}`, statusCode, {
        ...{ alias, member: node, cause },
      });
    }
  }

  async #run(
    driver: Driver,
    target: DatabaseTarget,
    operation: MongoOperation,
    signal: StopSignal,
  ): Promise<unknown> {
    driver.live++;
    let settled = false;
    const running = operation.run(
      driver.client.db(target.database || "test"),
      abortSignalOf(signal),
    );
    running.then(() => settled = true, () => settled = true);
    try {
      const data = await orAborted(running, signal);
      driver.used = true;
      return data;
    } catch (thrown) {
      if (thrown === signal.reason || signal.aborted) {
        // its connection is not free before the server answers, which it may never do
        const timer = setTimeout(() => {
          if (!settled) driver.retire();
        }, STUCK_MS);
        Deno.unrefTimer(timer);
        running.then(() => clearTimeout(timer), () => clearTimeout(timer));
        throw signal.reason;
      }
      const error = asError(thrown);
      // the socket says it as it is: its end is not read yet
      const raw = isOfSocket(error);
      // the driver has not seen that its connections have ended, and would take the next one of them
      if (raw) driver.retire();
      if (!raw && !isLost(error)) throw error;
      const { alias, node } = target;
      throw new LostConnectionError(
        `The connection to ${nameOf(target)} was lost before the answer: ${error.message}`,
        700,
        { alias, member: node, cause: error },
      );
    } finally {
      driver.live--;
      if (!driver.usable) {
        if (driver.live === 0) this.#end(driver);
      }
    }
  }

  #end(driver: Driver): void {
    const end = driver.close().finally(() => {
      this.#ends.delete(end);
      this.#drivers.delete(driver);
    });
    this.#ends.add(end);
  }
}

const LOST = new Set([
  "MongoNetworkError",
  "MongoNetworkTimeoutError",
  "MongoServerSelectionError",
  "MongoPoolClearedError",
  "MongoPoolClosedError",
  "MongoTopologyClosedError",
  "MongoClientClosedError",
  "MongoNotConnectedError",
  "PoolClearedOnNetworkError",
]);

function isLost(error: Error): boolean {
  if (LOST.has(error.name)) return true;
  // several documents at once: what the server itself refuses has a code
  return error.name === "MongoBulkWriteError" && (error as { code?: unknown }).code === undefined;
}

/** Errors of operations that never left. */
const UNSENT = new Set([
  "MongoServerSelectionError",
  "MongoPoolClearedError",
  "MongoPoolClosedError",
  "MongoTopologyClosedError",
]);

function unsent(error: unknown): boolean {
  const { cause } = error as { cause?: Error };
  if (cause === undefined) return false;
  if (UNSENT.has(cause.name)) return true;
  // there was no connection left, and the one that was to be opened for it has failed
  const { hasErrorLabel } = cause as { hasErrorLabel?(label: string): boolean };
  return hasErrorLabel?.call(cause, "HandshakeError") === true;
}
