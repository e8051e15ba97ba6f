/**
 * One connection to Redis: many commands at once, answered in turn.
 *
 * @module
 */

import type { StopSignal } from "../../core/stop.ts";
import { isIP } from "node:net";
import { setImmediate } from "node:timers";
import type { Redis } from "ioredis";
import { asError, BackendError, ConnectError } from "../../core/errors.ts";
import type { Poolable } from "../../net/pool.ts";
import { type DatabaseTarget, nameOf } from "../database.ts";
import type { RedisCommand, RedisValue } from "./commands.ts";

/** A connection that ended before the answer was there, whatever became of the command. */
export class LostConnectionError extends BackendError {}

/** A connection. */
export class RedisConnection implements Poolable {
  readonly expiresAt = Infinity;
  /** Commands under way. */
  busy = 0;
  /** `performance.now()` of the last answer. */
  answeredAt = performance.now();
  /** True once it has answered anything to a caller. */
  used = false;
  /** Resolves when it has ended. */
  readonly closed: Promise<void>;

  readonly #target: DatabaseTarget;
  readonly #redis: Redis;
  #usable = true;
  #onDead: (() => void) | undefined;
  #error: Error | undefined;
  #gathering = false;
  /** Callers that have neither their answer nor given up. */
  #waiting = 0;

  private constructor(target: DatabaseTarget, redis: Redis) {
    this.#target = target;
    this.#redis = redis;
    redis.on("error", (error: Error) => this.#error = error);
    redis.on("close", () => this.#die());
    this.closed = new Promise((resolve) => redis.once("end", () => resolve()));
  }

  /**
   * Opens a connection, logs in and chooses the database.
   *
   * @throws {ConnectError} 704 unknown name, 713 TLS, 714 anything else, such as a wrong password
   * or database. @throws the signal's reason when it aborts.
   */
  static async open(target: DatabaseTarget, signal: StopSignal): Promise<RedisConnection> {
    signal.throwIfAborted();
    // the driver is loaded with the first connection
    const { Redis } = await import("ioredis");
    const { host, port, tls, caCerts } = target;
    const redis = new Redis({
      host,
      port,
      tls: tls
        ? { host, servername: isIP(host) === 0 ? host : undefined, ca: caCerts && [...caCerts] }
        : undefined,
      lazyConnect: true,
      // the pool decides when to connect again and what to send again
      retryStrategy: () => null,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      maxRetriesPerRequest: null,
      enableReadyCheck: false,
      connectTimeout: 0,
      protocol: 2,
      disableClientInfo: true,
    });
    const connection = new RedisConnection(target, redis);
    const abort = () => connection.close();
    signal.addEventListener("abort", abort, { once: true });
    try {
      await redis.connect();
      await connection.#login();
      return connection;
    } catch (thrown) {
      connection.close();
      signal.throwIfAborted();
      throw connection.#refused(asError(thrown));
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** False once it takes no more commands. */
  get usable(): boolean {
    return this.#usable;
  }

  /** See `Poolable`. */
  park(onDead: () => void): void {
    this.#onDead = onDead;
  }

  /** See `Poolable`. */
  unpark(): void {
    this.#onDead = undefined;
  }

  /** Takes no more commands, and closes when the last is answered. */
  retire(): void {
    this.#usable = false;
    if (this.#waiting === 0) this.close();
  }

  /** Closes at once; what is under way fails. */
  close(): void {
    this.#usable = false;
    // the driver's own way waits for the server to close, too
    this.#redis.stream?.destroy();
  }

  /**
   * Sends a command.
   *
   * @throws {LostConnectionError} when the connection ended before the answer. @throws what the
   * server says. @throws the signal's reason; the answer is dropped when it comes.
   */
  run(command: RedisCommand, signal: StopSignal): Promise<unknown> {
    const [name, ...args] = command;
    this.#gather();
    return this.#answer(this.#redis.call(name, ...flat(args)), signal);
  }

  /**
   * Runs commands as a transaction.
   *
   * @throws what the server says of the first that failed; the others have been run all the same,
   * unless it refused the transaction as a whole.
   */
  async transaction(commands: readonly RedisCommand[], signal: StopSignal): Promise<unknown[]> {
    const multi = this.#redis.multi();
    for (const [name, ...args] of commands) multi.call(name, ...flat(args));
    const replies = await this.#answer(multi.exec(), signal) as [Error | null, unknown][] | null;
    if (replies === null) throw new Error("The transaction was given up by the server");
    replies.forEach(([error], i) => {
      if (error === null) return;
      throw new Error(
        `Command ${i + 1} of ${commands.length} (${commands[i]![0]}) failed: ${error.message}`,
        { cause: error },
      );
    });
    return replies.map(([, reply]) => reply);
  }

  /** What is sent in one turn of the event loop goes out in one piece. */
  #gather(): void {
    if (this.#gathering) return;
    this.#gathering = true;
    const { stream } = this.#redis;
    stream.cork();
    setImmediate(() => {
      this.#gathering = false;
      stream.uncork();
    });
  }

  #answer(reply: Promise<unknown>, signal: StopSignal): Promise<unknown> {
    this.busy++;
    this.#waiting++;
    const sentAt = performance.now();
    return new Promise((resolve, reject) => {
      let left = false;
      const leave = () => {
        if (left) return;
        left = true;
        signal.removeEventListener("abort", onAbort);
        if (--this.#waiting === 0 && !this.#usable) this.close();
      };
      const onAbort = () => {
        // nothing came since: the server or the way to it is gone, and others should not queue here
        if (this.answeredAt <= sentAt) this.#usable = false;
        leave();
        reject(signal.reason);
      };
      signal.addEventListener("abort", onAbort);
      const end = () => {
        this.busy--;
        this.used = true;
        this.answeredAt = performance.now();
        leave();
      };
      reply.then((value) => {
        end();
        resolve(value);
      }, (thrown) => {
        end();
        const error = asError(thrown);
        reject(isReply(error) ? error : this.#lost(error));
      });
    });
  }

  async #login(): Promise<void> {
    const { user, password, database } = this.#target;
    const redis = this.#redis;
    if (password !== "") {
      await redis.call("auth", ...(user ? [user, password] : [password]));
    }
    // the driver would go on with another database when this one is refused
    if (database !== "" && database !== "0") await redis.call("select", database);
    else await redis.call("ping");
  }

  #lost(cause: Error): LostConnectionError {
    this.#usable = false;
    const { alias, node } = this.#target;
    const why = this.#error ?? cause;
    return new LostConnectionError(
      `The connection to ${nameOf(this.#target)} was lost before the answer: ${why.message}`,
      700,
      { alias, member: node, cause: why },
    );
  }

  #refused(thrown: Error): ConnectError {
    const { alias, node, tls } = this.#target;
    // the driver says only that it has closed; what the socket said comes by event
    const cause = isReply(thrown) ? thrown : this.#error ?? thrown;
    const { code = "" } = cause as { code?: string };
    const statusCode = code === "ENOTFOUND" || code === "EAI_AGAIN"
      ? 704
      : tls && /certificate|tls|ssl/i.test(cause.message)
      ? 713
      : 714;
    return new ConnectError(
      `Cannot connect to ${nameOf(this.#target)}: ${cause.message}`,
      statusCode,
      {
        ...{ alias, member: node, cause },
      },
    );
  }

  #die(): void {
    this.#usable = false;
    const onDead = this.#onDead;
    this.#onDead = undefined;
    onDead?.();
  }
}

/** Lists among the values stand for their members. */
function flat(args: readonly RedisValue[]): string[] {
  return args.some(Array.isArray) ? (args as unknown[]).flat(9) as string[] : args as string[];
}

/** True for what the server itself has said. */
function isReply(error: Error): boolean {
  return error.name === "ReplyError" ||
    /^(ERR|EXECABORT|WRONG|NO|LOADING|MISCONF|OOM)/.test(error.message);
}
