/**
 * Redis as a backend.
 *
 * Commands share one connection to each server and database, where they are answered in turn;
 * those that wait at the server have a connection to themselves. A command that may write is sent
 * at most once; one
 * that only reads is sent a second time when the connection turns out to be dead.
 *
 * @module
 */

import type { StopSignal } from "../../core/stop.ts";
import { PoolExhaustedError } from "../../core/errors.ts";
import { Pool } from "../../net/pool.ts";
import type { Client, ClientStats, Outcome, Send } from "../contract.ts";
import {
  answered,
  ASK_AFTER_MS,
  type DatabaseTarget,
  failure,
  MAX_CONNECTIONS,
  MAX_WAITING,
  nameOf,
  poolKey,
} from "../database.ts";
import { SharedOpening } from "../shared_opening.ts";
import { encodeCommand, type RespPart } from "../../wire/resp.ts";
import { blocks, checkCommand, partsOf, readsOnly, type RedisCommand } from "./commands.ts";
import { encodeTransaction, LostConnectionError, RedisConnection } from "./connection.ts";

/** Options of a {@link RedisClient}. */
export interface RedisClientOptions {
  /** Seconds after which an idle connection is not reused; asked each time. Default 1200. */
  readonly idleSeconds?: () => number;
}

/** Most commands under way on the shared connection of a server. */
const MAX_COMMANDS = 10_000;
/** A server nobody asked for that long is forgotten. */
const FORGET_MS = 20 * 60 * 1000;

/** The connections to one server and database. */
class RedisServer {
  /** The one that all share. */
  shared: RedisConnection | undefined;
  /** The shared one while it is being opened. */
  readonly opening: SharedOpening<RedisConnection>;
  /** Commands under way on shared connections, those that wait for one included. */
  commands = 0;
  /** Those among them that have nothing sent yet: what comes later must not overtake them. */
  held = 0;
  /** Those among these that ask whether the server is there. */
  asking = 0;
  usedAt = performance.now();
  /** Connections for commands that wait at the server. */
  readonly pool: Pool<RedisConnection>;

  constructor(
    open: (signal: StopSignal) => Promise<RedisConnection>,
    options: { name: string; max: number; idleSeconds: () => number },
  ) {
    // it is the shared one even if all who waited are gone by now: nobody else would ever close it
    this.opening = new SharedOpening(async (signal) => this.shared = await open(signal));
    this.pool = new Pool({ ...options, open, maxWaiting: MAX_WAITING });
  }

  /** The shared connection; the first who needs it opens it. */
  async connection(signal: StopSignal): Promise<{ connection: RedisConnection; reused: boolean }> {
    const { shared } = this;
    if (shared?.usable) return { connection: shared, reused: shared.used };
    return { connection: await this.opening.wait(signal), reused: false };
  }
}

/** Sends commands over shared connections. */
export class RedisClient implements Client {
  readonly #idleSeconds: () => number;
  readonly #servers = new Map<string, RedisServer>();
  readonly #connections = new Set<RedisConnection>();
  #closed = false;

  /** Makes a client without connections. */
  constructor(options: RedisClientOptions = {}) {
    this.#idleSeconds = options.idleSeconds ?? (() => 1200);
  }

  /**
   * Prepares a request: `send(signal)` sends a command and resolves to its reply.
   *
   * Nothing is thrown: commands and values that cannot be sent and whatever the server says are
   * outcomes with status 2 and code 500.
   */
  request(target: DatabaseTarget, command: RedisCommand): Send {
    return (signal) => this.send(target, command, signal);
  }

  /** Sends a command; see {@link request}. */
  send(
    target: DatabaseTarget,
    command: RedisCommand,
    signal: StopSignal,
  ): Promise<Outcome> {
    let pieces: RespPart[];
    try {
      checkCommand(command);
      // now: it may have to wait, and the caller go on to change what he gave
      pieces = encodeCommand(partsOf(command));
    } catch (error) {
      return Promise.resolve(failure(target, error, signal));
    }
    const server = this.#serverOf(target);
    if (blocks(command)) return this.#alone(target, server, command, pieces, signal);
    return this.#shared(target, server, signal, readsOnly(command), (connection) => {
      return connection.run(command, signal, pieces);
    });
  }

  /** Runs commands as a transaction; the data are their replies. */
  async transaction(
    target: DatabaseTarget,
    commands: readonly RedisCommand[],
    signal: StopSignal,
  ): Promise<Outcome> {
    let pieces: RespPart[];
    try {
      if (!Array.isArray(commands) || commands.length === 0) {
        throw new TypeError("Cannot send an empty list of commands");
      }
      for (const command of commands) {
        if (!Array.isArray(command)) throw new TypeError("Cannot send a command that is no list");
        checkCommand(command as unknown as RedisCommand);
      }
      pieces = encodeTransaction(commands);
    } catch (error) {
      return failure(target, error, signal);
    }
    const reads = commands.every(readsOnly);
    return await this.#shared(target, this.#serverOf(target), signal, reads, (connection) => {
      return connection.transaction(commands, signal, pieces);
    });
  }

  /** Commands under way and waiting; for choosing among members. */
  load(target: DatabaseTarget): number {
    const server = this.#servers.get(poolKey(target));
    return server === undefined ? 0 : server.commands + server.pool.load;
  }

  /** Current counts. */
  stats(): ClientStats {
    let busy = 0;
    for (const connection of this.#connections) if (connection.busy > 0) busy++;
    return { open: this.#connections.size, busy };
  }

  /** Closes connections that have been idle for too long, and forgets servers nobody asks. */
  maintain(): void {
    const now = performance.now();
    const oldest = now - this.#idleSeconds() * 1000;
    for (const [key, server] of this.#servers) {
      const { shared, pool } = server;
      pool.maintain();
      if (shared !== undefined && shared.busy === 0 && shared.answeredAt <= oldest) {
        server.shared = undefined;
        shared.close();
      }
      if (server.commands === 0 && pool.load === 0 && server.usedAt < now - FORGET_MS) {
        server.shared?.retire();
        if (pool.open === 0) this.#servers.delete(key);
      }
    }
  }

  /** Closes all connections; commands under way fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const servers = [...this.#servers.values()];
    this.#servers.clear();
    const closed = new Error("The client of Redis is closed");
    await Promise.all(servers.map(({ opening }) => opening.cancel(closed)));
    const ends = [...this.#connections].map((connection) => connection.closed);
    await Promise.all(servers.map(({ pool }) => pool[Symbol.asyncDispose]()));
    for (const connection of this.#connections) connection.close();
    await Promise.all(ends);
  }

  #serverOf(target: DatabaseTarget): RedisServer {
    const key = poolKey(target);
    let server = this.#servers.get(key);
    if (server === undefined) {
      server = new RedisServer(async (signal) => {
        const connection = await RedisConnection.open(target, signal);
        if (signal.aborted) {
          connection.close();
          throw signal.reason;
        }
        this.#connections.add(connection);
        connection.closed.then(() => this.#connections.delete(connection));
        return connection;
      }, {
        name: nameOf(target),
        max: target.maxConnections ?? MAX_CONNECTIONS,
        idleSeconds: this.#idleSeconds,
      });
      if (!this.#closed) this.#servers.set(key, server);
    }
    server.usedAt = performance.now();
    return server;
  }

  #shared(
    target: DatabaseTarget,
    server: RedisServer,
    signal: StopSignal,
    reads: boolean,
    run: (connection: RedisConnection) => Promise<unknown>,
  ): Promise<Outcome> {
    if (server.commands >= MAX_COMMANDS) {
      const { alias, node } = target;
      const error = new PoolExhaustedError(
        `Cannot ask ${nameOf(target)}: ${server.commands} commands are under way`,
        714,
        { alias, member: node },
      );
      return Promise.resolve(failure(target, error, signal, true));
    }
    server.commands++;
    const { shared } = server;
    // nearly always there is a connection and nothing to look after
    const isReady = shared?.usable === true && !signal.aborted && !this.#closed &&
      server.held === 0 && (reads || !isStale(shared));
    if (!isReady) return this.#carefully(target, server, signal, reads, 1, run);
    const reused = shared.used;
    return run(shared).then((data) => {
      server.commands--;
      return answered(target, data);
    }, (error) => {
      const lost = error instanceof LostConnectionError;
      if (lost && reads && reused && !signal.aborted && !this.#closed) {
        return this.#carefully(target, server, signal, reads, 2, run);
      }
      server.commands--;
      return failure(target, error, signal, lost && reads);
    });
  }

  /** Opens a connection where there is none, asks one that may be dead, and runs the command. */
  async #carefully(
    target: DatabaseTarget,
    server: RedisServer,
    signal: StopSignal,
    reads: boolean,
    first: number,
    run: (connection: RedisConnection) => Promise<unknown>,
  ): Promise<Outcome> {
    try {
      for (let attempt = first;; attempt++) {
        let connection: RedisConnection;
        let reused: boolean;
        server.held++;
        try {
          for (;;) {
            signal.throwIfAborted();
            if (this.#closed) throw new Error(`Cannot ask ${nameOf(target)}: the client is closed`);
            ({ connection, reused } = await server.connection(signal));
            if (server.asking === 0 && (reads || !isStale(connection))) break;
            server.asking++;
            try {
              if (await connection.isThere(signal)) break;
            } finally {
              server.asking--;
            }
          }
        } catch (error) {
          return failure(target, error, signal, true);
        } finally {
          server.held--;
        }
        try {
          return answered(target, await run(connection));
        } catch (error) {
          const lost = error instanceof LostConnectionError;
          if (lost && reads && reused && attempt === 1 && !signal.aborted && !this.#closed) {
            continue;
          }
          return failure(target, error, signal, lost && reads);
        }
      }
    } finally {
      server.commands--;
    }
  }

  async #alone(
    target: DatabaseTarget,
    server: RedisServer,
    command: RedisCommand,
    pieces: readonly RespPart[],
    signal: StopSignal,
  ): Promise<Outcome> {
    let connection: RedisConnection;
    try {
      signal.throwIfAborted();
      if (this.#closed) throw new Error(`Cannot ask ${nameOf(target)}: the client is closed`);
      for (;;) {
        ({ connection } = await server.pool.lease(signal));
        // WAIT counts for what was written before the last command on its own connection
        if (!isStale(connection) && !/^wait/i.test(command[0])) break;
        try {
          if (await connection.isThere(signal)) break;
        } catch (error) {
          connection.close();
          server.pool.release(connection);
          throw error;
        }
        server.pool.release(connection);
      }
    } catch (error) {
      return failure(target, error, signal, true);
    }
    try {
      return answered(target, await connection.run(command, signal, pieces));
    } catch (error) {
      // the server would go on waiting, and take what others are to have
      if (signal.aborted) connection.close();
      return failure(target, error, signal);
    } finally {
      server.pool.release(connection);
    }
  }
}

/** Whether nobody knows if a connection still lives. */
function isStale({ busy, answeredAt }: RedisConnection): boolean {
  return busy === 0 && performance.now() - answeredAt > ASK_AFTER_MS;
}
