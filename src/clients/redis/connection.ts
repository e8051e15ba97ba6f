/**
 * One connection to Redis: many commands at once, answered in turn.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { concatBytes } from "../../core/concat_bytes.ts";
import { asError, BackendError, ConnectError, ProtocolError } from "../../core/errors.ts";
import { abortSignalOf, type StopSignal } from "../../core/stop.ts";
import { closeQuietly, dial } from "../../net/connect.ts";
import type { Poolable } from "../../net/pool.ts";
import {
  encodeCommand,
  RespError,
  RespParser,
  type RespPart,
  type RespReply,
} from "../../wire/resp.ts";
import { type DatabaseTarget, nameOf } from "../database.ts";
import { partsOf, readReply, type RedisCommand } from "./commands.ts";

/** A connection that ended before the answer was there, whatever became of the command. */
export class LostConnectionError extends BackendError {}

const READ_BYTES = 64 * 1024;
const ENCODER = new TextEncoder();

/** A caller that waits for a reply, or for the last of several. */
class Caller {
  readonly #connection: RedisConnection;
  readonly #signal: StopSignal;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: unknown) => void;
  /** The command, for replies that are told by it. */
  readonly command: RedisCommand | undefined;
  readonly #sentAt = performance.now();
  /** Replies before the one that counts. */
  #before: number;
  /** The first of those that was an error. */
  #refused: RespError | undefined;
  #left = false;

  constructor(
    connection: RedisConnection,
    command: RedisCommand | undefined,
    before: number,
    signal: StopSignal,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    this.#connection = connection;
    this.command = command;
    this.#before = before;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
    signal.addEventListener("abort", this);
  }

  /** The signal was given: the caller goes, the reply is dropped when it comes. */
  handleEvent(): void {
    this.#leave();
    this.#connection.callerGone(this.#sentAt);
    this.#reject(this.#signal.reason);
  }

  /** Takes a reply; false when more are to come. */
  answer(reply: RespReply): boolean {
    if (this.#before > 0) {
      this.#before--;
      if (reply instanceof RespError) this.#refused ??= reply;
      return false;
    }
    if (this.#left) return true;
    this.#leave();
    if (!(reply instanceof RespError)) {
      this.#resolve(this.command === undefined ? reply : readReply(this.command, reply));
    } else {
      if (this.#refused !== undefined) reply.cause = this.#refused;
      this.#reject(reply);
    }
    return true;
  }

  /** There will be no reply. */
  fail(error: Error): void {
    if (this.#left) return;
    this.#leave();
    this.#reject(error);
  }

  /** True once it has its answer or has given up. */
  get left(): boolean {
    return this.#left;
  }

  #leave(): void {
    this.#left = true;
    this.#signal.removeEventListener("abort", this);
  }
}

/** A connection. */
export class RedisConnection implements Poolable {
  readonly expiresAt = Infinity;
  /** `performance.now()` of the last answer. */
  answeredAt = performance.now();
  /** True once it has answered anything to a caller. */
  used = false;
  /** Resolves when it has ended. */
  readonly closed: Promise<void>;

  readonly #target: DatabaseTarget;
  readonly #conn: Deno.Conn;
  readonly #parser = new RespParser();
  /** Those whose replies are to come, in the order of their commands. */
  #callers: (Caller | undefined)[] = [];
  /** How many of the first have been answered. */
  #answered = 0;
  /** Callers that have neither their answer nor given up. */
  #waiting = 0;
  #usable = true;
  #open = true;
  #onDead: (() => void) | undefined;
  /** What is to be sent. */
  #pieces: RespPart[] = [];
  /** How many callers' commands are among that. */
  #unsent = 0;
  #sending = false;
  #error: Error | undefined;

  private constructor(target: DatabaseTarget, conn: Deno.Conn) {
    this.#target = target;
    this.#conn = conn;
    this.closed = this.#read();
  }

  /**
   * Opens a connection, logs in and chooses the database.
   *
   * @throws {ConnectError} 704 unknown name, 713 TLS, 714 anything else, such as a wrong password
   * or database. @throws the signal's reason when it aborts.
   */
  static async open(target: DatabaseTarget, signal: StopSignal): Promise<RedisConnection> {
    signal.throwIfAborted();
    const { host, port, tls, caCerts } = target;
    let connection: RedisConnection | undefined;
    try {
      const options = { hostname: host, port, tls, caCerts, signal: abortSignalOf(signal) };
      connection = new RedisConnection(target, (await dial(options)).conn);
      await connection.#login(signal);
      return connection;
    } catch (thrown) {
      connection?.close();
      await connection?.closed;
      signal.throwIfAborted();
      throw refused(target, asError(thrown));
    }
  }

  /** False once it takes no more commands. */
  get usable(): boolean {
    return this.#usable;
  }

  /** Commands under way, those nobody waits for included. */
  get busy(): number {
    return this.#callers.length - this.#answered;
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
    if (!this.#open) return;
    this.#open = false;
    closeQuietly(this.#conn);
  }

  /**
   * Sends a command.
   *
   * @param pieces What goes to the server, where the command was encoded before. Default: it is now.
   *
   * @throws {RangeError} when it is longer than a text can be. @throws {LostConnectionError} when the connection ended before the answer. @throws what the
   * server says. @throws the signal's reason; the answer is dropped when it comes.
   */
  run(
    command: RedisCommand,
    signal: StopSignal,
    pieces?: readonly RespPart[],
  ): Promise<unknown> {
    try {
      pieces ??= encodeCommand(partsOf(command));
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#ask(pieces, command, 0, signal);
  }

  /**
   * Asks whether the server is still there; any answer will do.
   *
   * @throws the signal's reason when it aborts.
   */
  async isThere(signal: StopSignal): Promise<boolean> {
    try {
      await this.run(["ping"], signal);
    } catch (error) {
      if (signal.aborted) throw error;
    }
    return this.#usable;
  }

  /**
   * Runs commands as a transaction.
   *
   * @param pieces What {@link encodeTransaction} has made of them.
   *
   * @throws what the server says of the first that failed; the others have been run all the same,
   * unless it refused the transaction as a whole.
   */
  async transaction(
    commands: readonly RedisCommand[],
    signal: StopSignal,
    pieces: readonly RespPart[],
  ): Promise<unknown[]> {
    const before = commands.length + 1;
    const replies = await this.#ask(pieces, undefined, before, signal) as RespReply[] | null;
    if (replies === null) throw new Error("The transaction was given up by the server");
    if (!Array.isArray(replies) || replies.length !== commands.length) {
      throw new ProtocolError(
        `The answer is not one of Redis: it is not the ${commands.length} replies of a transaction`,
        715,
      );
    }
    replies.forEach((reply, i) => {
      if (!(reply instanceof RespError)) return;
      throw new Error(
        `Command ${i + 1} of ${commands.length} (${commands[i]![0]}) failed: ${reply.message}`,
        { cause: reply },
      );
    });
    return replies.map((reply, i) => readReply(commands[i]!, reply));
  }

  /** A caller has given up. @internal */
  callerGone(sentAt: number): void {
    // nothing came since: the server or the way to it is gone, and others should not queue here
    if (this.answeredAt <= sentAt) this.#usable = false;
    this.#oneLess();
  }

  #ask(
    pieces: readonly RespPart[],
    command: RedisCommand | undefined,
    before: number,
    signal: StopSignal,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      if (!this.#open) return reject(this.#lost(new Error("it is closed")));
      this.#callers.push(new Caller(this, command, before, signal, resolve, reject));
      this.#waiting++;
      this.#unsent++;
      for (const piece of pieces) this.#pieces.push(piece);
      if (this.#sending) return;
      this.#sending = true;
      // what is sent in one turn of the event loop goes out in one piece
      setImmediate(this.#send);
    });
  }

  #send = async (): Promise<void> => {
    try {
      while (this.#pieces.length > 0 && this.#open) {
        const bytes = joined(this.#pieces);
        this.#pieces = [];
        this.#unsent = 0;
        for (let at = 0; at < bytes.length;) {
          at += await this.#conn.write(at === 0 ? bytes : bytes.subarray(at));
        }
      }
    } catch (error) {
      // the reading side tells those who wait
      this.#error ??= asError(error);
      this.close();
    } finally {
      this.#sending = false;
    }
  };

  /** Reads until it ends. */
  async #read(): Promise<void> {
    const buffer = new Uint8Array(READ_BYTES);
    let why: Error | undefined;
    try {
      for (;;) {
        const count = await this.#conn.read(buffer);
        if (count === null) break;
        this.#parser.push(count === READ_BYTES ? buffer : buffer.subarray(0, count), this.#take);
      }
    } catch (error) {
      why = asError(error);
    }
    this.close();
    const callers = this.#callers.slice(this.#answered);
    this.#callers = [];
    this.#answered = 0;
    this.#waiting = 0;
    if (callers.length > 0) {
      const lost = this.#lost(this.#error ?? why ?? new Error("the server closed it"));
      for (const caller of callers) caller!.fail(lost);
    }
    const onDead = this.#onDead;
    this.#onDead = undefined;
    onDead?.();
  }

  #take = (reply: RespReply): void => {
    const caller = this.#callers[this.#answered];
    // what comes before a command has been sent cannot be the answer to it
    if (caller === undefined || this.busy <= this.#unsent) {
      throw new BackendError("The server sent what nobody asked for", 715);
    }
    this.answeredAt = performance.now();
    const { left } = caller;
    if (!caller.answer(reply)) return;
    this.used = true;
    // whoever has his answer must not be kept alive by those behind him
    this.#callers[this.#answered] = undefined;
    // the list is used again as soon as all have been answered
    if (++this.#answered === this.#callers.length) {
      this.#callers = [];
      this.#answered = 0;
    } else if (this.#answered === 1024) {
      this.#callers = this.#callers.slice(1024);
      this.#answered = 0;
    }
    if (!left) this.#oneLess();
  };

  #oneLess(): void {
    if (--this.#waiting === 0 && !this.#usable) this.close();
  }

  async #login(signal: StopSignal): Promise<void> {
    const { user, password, database } = this.#target;
    if (user) await this.run(["auth", user, password], signal);
    else if (password !== "") await this.run(["auth", password], signal);
    if (database !== "" && database !== "0") await this.run(["select", database], signal);
    else {
      try {
        await this.run(["ping"], signal);
      } catch (error) {
        // whoever may not ask has been let in
        if (!isForbidden(error)) throw error;
      }
    }
    this.used = false;
  }

  #lost(cause: Error): LostConnectionError {
    this.#usable = false;
    const { alias, node } = this.#target;
    return new LostConnectionError(
      `The connection to ${nameOf(this.#target)} was lost before the answer: ${cause.message}`,
      700,
      { alias, member: node, cause },
    );
  }
}

/** Commands as they are sent, as a transaction. @throws {RangeError} when they are too long. */
export function encodeTransaction(commands: readonly RedisCommand[]): RespPart[] {
  const pieces = encodeCommand(["multi"]);
  for (const command of commands) pieces.push(...encodeCommand(partsOf(command)));
  pieces.push(...encodeCommand(["exec"]));
  return pieces;
}

/** Whether the server says that this user may not send a command. */
function isForbidden(error: unknown): boolean {
  return error instanceof RespError && error.message.startsWith("NOPERM");
}

function refused(target: DatabaseTarget, thrown: Error): ConnectError {
  const { alias, node } = target;
  // what stands behind it says more than that the connection was lost, or could not be made
  const cause = thrown instanceof BackendError && thrown.cause instanceof Error
    ? thrown.cause
    : thrown;
  const statusCode = thrown instanceof ConnectError ? thrown.statusCode : 714;
  return new ConnectError(`Cannot connect to ${nameOf(target)}: ${cause.message}`, statusCode, {
    ...{ alias, member: node, cause },
  });
}

/** Pieces in one. */
function joined(pieces: readonly RespPart[]): Uint8Array {
  let text = "";
  const parts: Uint8Array[] = [];
  for (const piece of pieces) {
    if (typeof piece === "string") text += piece;
    else {
      parts.push(ENCODER.encode(text), piece);
      text = "";
    }
  }
  const last = ENCODER.encode(text);
  if (parts.length === 0) return last;
  parts.push(last);
  return concatBytes(parts);
}
