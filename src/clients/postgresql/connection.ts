/**
 * One connection to PostgreSQL: a driver instance that is never shared by two statements unless
 * both only read.
 *
 * @module
 */

import type { StopSignal } from "../../core/stop.ts";
import { isIP, Socket } from "node:net";
import type postgres from "postgres";
import { asError, BackendError, ConnectError, ProtocolError } from "../../core/errors.ts";
import { isPlainObject } from "../../core/plain_object.ts";
import type { Poolable } from "../../net/pool.ts";
import { type DatabaseTarget, isOfSocket, nameOf } from "../database.ts";
import { orAborted } from "../shared_opening.ts";
import { ServerMessages } from "./messages.ts";
import type { PgText } from "./text.ts";
import { SessionZone } from "./times.ts";
import { arrayText, OWN_ARRAYS_SQL, type OwnArray, PgTypes } from "./types.ts";

/** Most bytes a server may send before it has let us in. */
const MAX_GREETING = 256 * 1024;
/** Most texts prepared on a connection, which the server keeps until it is closed. */
const MAX_PREPARED = 1000;
/** How long a cancelled statement may take to end before its connection is cut, in milliseconds. */
const CANCEL_MS = 2000;
/** First bytes of the messages up to the answer of the first statement. */
const GREETINGS = new Set([..."REKSNZvTDCI"].map((char) => char.charCodeAt(0)));

/** How a text is sent. */
export type SendMode = "simple" | "once" | "prepared";

type Driver = typeof postgres;
type Sql = postgres.Sql;

/** The driver's own statement, with what its types leave out. */
interface Pending extends PromiseLike<unknown> {
  execute(): this;
  /** Sends a cancel request; unlike `cancel` it tells when that is done, and failed. */
  canceller: ((pending: Pending) => Promise<void>) | null;
}

/** The rows of a statement, with what the server called it. */
interface Rows extends Array<Record<string, unknown>> {
  readonly command?: string;
}

/** A connection. */
export class PgConnection implements Poolable {
  readonly expiresAt = Infinity;
  /** Statements under way on it, when it is shared. */
  shared = 0;
  /** `performance.now()` of the last answer. */
  answeredAt = 0;
  /** Resolves when its socket has closed. */
  readonly closed: Promise<void>;

  readonly #target: DatabaseTarget;
  readonly #socket: Socket;
  #sql!: Sql;
  #usable = true;
  #onDead: (() => void) | undefined;
  #closing = false;
  #cancelling: Promise<void> | undefined;
  /** Statements the driver has not ended. */
  #running = 0;
  readonly #prepared = new Set<string>();
  readonly #messages = new ServerMessages();

  private constructor(target: DatabaseTarget, socket: Socket) {
    this.#target = target;
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.#die();
        resolve();
      });
    });
    socket.once("end", () => this.#die());
  }

  /**
   * Opens a connection and logs in.
   *
   * @throws {ConnectError} 704 unknown name, 713 TLS, 714 anything else, such as a wrong password
   * or database. @throws the signal's reason when it aborts.
   */
  static async open(target: DatabaseTarget, signal: StopSignal): Promise<PgConnection> {
    // the driver is loaded with the first connection
    const { default: driver } = await import("postgres");
    const socket = await connect(target, signal);
    const connection = new PgConnection(target, socket);
    try {
      await connection.#login(driver, signal);
      return connection;
    } catch (thrown) {
      connection.destroy();
      await connection.closed;
      signal.throwIfAborted();
      throw refused(target, asError(thrown));
    }
  }

  /** False once it can carry nothing more. */
  get usable(): boolean {
    return this.#usable;
  }

  /** The wait for a cancelled statement; `undefined` when there is none. */
  get cancelling(): Promise<void> | undefined {
    return this.#cancelling;
  }

  /** See `Poolable`. */
  park(onDead: () => void): void {
    this.#onDead = onDead;
  }

  /** See `Poolable`. */
  unpark(): void {
    this.#onDead = undefined;
  }

  /** Takes no more statements; it is closed when it is given back. */
  retire(): void {
    this.#usable = false;
  }

  /** Says goodbye when nothing is under way, and closes. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#usable = false;
    if (this.#running > 0 || this.#socket.destroyed) return this.destroy();
    // a server that does not answer the goodbye must not keep the socket
    this.#sql.end({ timeout: 1 }).catch(() => {}).finally(() => this.destroy());
  }

  /** Closes at once; what is under way fails. */
  destroy(): void {
    this.#usable = false;
    this.#socket.destroy();
  }

  /**
   * Runs a text. The data are the rows of its last statement.
   *
   * When the signal aborts, it rejects with its reason at once; meanwhile the server is told to
   * cancel, and the connection is not used again.
   *
   * @param text Where it is noted how long the server took.
   */
  run(
    sql: string,
    values: readonly unknown[],
    mode: SendMode,
    signal: StopSignal,
    cancel = true,
    text?: PgText,
  ): Promise<Record<string, unknown>[]> {
    if (signal.aborted) {
      // a transaction it belongs to would stay open
      this.retire();
      return Promise.reject(signal.reason);
    }
    if (mode === "prepared" && this.#prepared.add(sql).size > MAX_PREPARED) this.retire();
    return new Promise((resolve, reject) => {
      const query = this.#sql.unsafe(sql, this.#bound(values) as never[], {
        prepare: mode === "prepared",
        simple: mode === "simple",
      } as { prepare: boolean }) as unknown as Pending;
      const onAbort = () => {
        this.#usable = false;
        if (cancel) this.#cancelling ??= this.#cancel(query);
        reject(signal.reason);
      };
      signal.addEventListener("abort", onAbort);
      this.#running++;
      const sentAt = performance.now();
      const ended = () => {
        this.#running--;
        signal.removeEventListener("abort", onAbort);
        const now = performance.now();
        if (text !== undefined) noteRun(text, now - Math.max(sentAt, this.answeredAt));
        this.answeredAt = now;
      };
      query.then((rows) => {
        ended();
        try {
          resolve(this.#lastRows(rows as Rows));
        } catch (error) {
          reject(error);
        }
      }, (error: unknown) => {
        ended();
        // after a value that it could not write the driver no longer knows which answer is whose
        if (!isOfServer(error)) this.retire();
        reject(isLost(error) ? this.#lost(asError(error)) : error);
      });
    });
  }

  /**
   * Asks whether the server is still there; any answer will do.
   *
   * @throws the signal's reason when it aborts.
   */
  async isThere(signal: StopSignal): Promise<boolean> {
    try {
      await this.run("", [], "simple", signal, false);
    } catch (error) {
      if (signal.aborted) throw error;
    }
    return this.#usable;
  }

  /**
   * Ends a transaction that the statements before have left open.
   *
   * @returns true when there was one.
   */
  async rollback(signal: StopSignal): Promise<boolean> {
    // the last of them may still be on its way to its end, and news may come behind it
    for (let i = 0; i < 3 && this.#messages.inTransaction === undefined; i++) {
      await this.run("", [], "simple", signal);
    }
    if (this.#messages.inTransaction === false) return false;
    await this.run("rollback", [], "simple", signal);
    return true;
  }

  async #login(driver: Driver, signal: StopSignal): Promise<void> {
    const { host, port, user, password, database } = this.#target;
    const unguard = guard(this.#socket, this.#target, this.#messages);
    let socket: Socket | undefined = this.#socket;
    const zone = new SessionZone();
    const types = new PgTypes(zone);
    const sql = this.#sql = driver({
      host: [host],
      port: [port],
      user: user ?? "postgres",
      pass: password,
      database: database || user || "postgres",
      // what the driver would take from the environment instead is given, too
      path: undefined,
      max: 1,
      max_pipeline: 100,
      max_lifetime: null,
      idle_timeout: 0,
      connect_timeout: 0,
      backoff: 0,
      keep_alive: 60,
      prepare: true,
      debug: false,
      fetch_types: false,
      // the sockets come with their TLS
      ssl: false,
      target_session_attrs: undefined,
      // dates are read in one style only
      connection: { application_name: "skitai", DateStyle: "ISO" },
      transform: { undefined: null },
      types: types.all() as Record<string, never>,
      onparameter: (name: string, value: string) => {
        if (name === "TimeZone") zone.set(value);
      },
      // the driver would print them
      onnotice: () => {},
      onclose: () => this.#die(),
      // the driver would connect again by itself, and again; the pool decides that
      socket: async () => {
        const first = socket;
        socket = undefined;
        if (first !== undefined) return first;
        if (this.#cancelEnd === undefined) {
          // as the driver says it where it knows itself
          throw Object.assign(new Error("it is closed"), { code: "CONNECTION_CLOSED" });
        }
        const { signal } = this.#cancelEnd;
        const second = await connect(this.#target, signal);
        // a server that stands still would keep it
        signal.addEventListener("abort", () => second.destroy(), { once: true });
        if (signal.aborted) second.destroy();
        return second;
      },
    } as unknown as postgres.Options<Record<string, never>>);
    const rows = await orAborted(
      sql.unsafe(OWN_ARRAYS_SQL) as PromiseLike<unknown>,
      signal,
    ) as unknown as OwnArray[];
    unguard();
    const options = sql.options as unknown as {
      parsers: Record<number, unknown>;
      serializers: Record<number, unknown>;
    };
    for (const { to, parse, serialize } of types.own(rows)) {
      options.parsers[to] = parse;
      options.serializers[to] = serialize;
    }
  }

  /** Ends the connection that tells the server to cancel; `undefined` while there is nothing to tell. */
  #cancelEnd: AbortController | undefined;

  /** Asks the server to stop, waits until it has, and closes. */
  async #cancel(query: Pending): Promise<void> {
    const end = this.#cancelEnd = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const limit = new Promise<void>((resolve) => timer = setTimeout(resolve, CANCEL_MS));
    // whether the request arrived or not, the connection is given up, which is all that can be done
    const sent = query.canceller?.(query).catch(() => {});
    const ended = query.then(() => {}, () => {});
    await Promise.race([Promise.all([sent, ended]), limit]);
    clearTimeout(timer);
    end.abort();
    this.destroy();
    await this.closed;
  }

  /**
   * What the driver does not know how to write becomes what it knows. Lists go without a type, so
   * that the server says what they are lists of; where that is a type this connection does not know,
   * they go as the text they have there.
   */
  #bound(values: readonly unknown[]): unknown[] {
    // the driver reads them later, when the caller may have put others there
    return values.map((value) => {
      // what does not fit into 64 bits may fit into a numeric
      if (typeof value === "bigint") return BigInt.asIntN(64, value) === value ? value : `${value}`;
      if (typeof value !== "object" || value === null) return value;
      if (Array.isArray(value)) {
        const list = [...value];
        Object.defineProperty(list, "toString", { value: () => arrayText(list) });
        return this.#sql.typed(list as never, 0);
      }
      if (ArrayBuffer.isView(value)) {
        return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
      }
      if (value instanceof ArrayBuffer) return new Uint8Array(value);
      // also for types that are made of JSON, which the driver does not know
      return isPlainObject(value) ? JSON.stringify(value) : value;
    });
  }

  #lastRows(result: Rows | readonly Rows[]): Record<string, unknown>[] {
    // of several statements each has its own
    const isOne = !Array.isArray(result[0]) || (result as Rows).command !== undefined;
    return (isOne ? result as Rows : result.at(-1) as Rows).slice();
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

  #die(): void {
    this.#usable = false;
    const onDead = this.#onDead;
    this.#onDead = undefined;
    onDead?.();
  }
}

/** Statements of one connection are run in turn: each begins when the one before it has ended. */
function noteRun(text: PgText, ms: number): void {
  text.runs++;
  // an outlier is forgotten in time
  text.slowest = Math.max(ms, text.slowest * 0.9);
  text.usual += (ms - text.usual) * (text.runs === 1 ? 1 : 0.1);
}

/** A connection that ended before the answer was there, whatever became of the statement. */
export class LostConnectionError extends BackendError {}

function isOfServer(error: unknown): boolean {
  return error instanceof Error && error.name === "PostgresError";
}

/** True for errors of driver, socket and server that say so. */
function isLost(error: unknown): boolean {
  const { code, severity, severity_local = "" } = error as Record<string, string | undefined>;
  // its codes do not tell: those of connections are also said of others, and of wrong messages
  if (isOfServer(error)) return ENDS.has(severity ?? severity_local);
  return isOfSocket(error) || typeof code === "string" && code.startsWith("CONNECTION_");
}

/** What servers call errors that end the connection. */
const ENDS = new Set(["FATAL", "PANIC"]);

/** Opens a socket, over TLS where the target wants it. */
async function connect(target: DatabaseTarget, signal: StopSignal): Promise<Socket> {
  const socket = new Socket();
  // the driver listens later; until then an error would be nobody's
  socket.on("error", () => {});
  try {
    await orAborted(
      new Promise<void>((resolve, reject) => {
        socket.once("error", reject);
        socket.connect({ host: target.host, port: target.port }, resolve);
      }),
      signal,
    );
    socket.setNoDelay(true);
    return target.tls ? await secured(socket, target, signal) : socket;
  } catch (thrown) {
    socket.destroy();
    signal.throwIfAborted();
    throw refused(target, asError(thrown));
  }
}

/** Request for TLS: length, code 80877103. */
const SSL_REQUEST = new Uint8Array([0, 0, 0, 8, 4, 210, 22, 47]);

/** Changes to TLS, and checks the certificate; there is no way back to plain text. */
async function secured(
  socket: Socket,
  target: DatabaseTarget,
  signal: StopSignal,
): Promise<Socket> {
  const { host, caCerts, alias, node: member } = target;
  const answer = await orAborted(
    new Promise<Uint8Array>((resolve, reject) => {
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("it closed the connection")));
      socket.once("data", resolve);
      socket.write(SSL_REQUEST);
    }),
    signal,
  );
  if (answer.length !== 1 || answer[0] !== 0x53) {
    throw new ConnectError(`Cannot connect to ${nameOf(target)}: it does not speak TLS`, 713, {
      alias,
      member,
    });
  }
  const { connect: connectTls } = await import("node:tls");
  const secure = connectTls({
    socket,
    host,
    servername: isIP(host) === 0 ? host : undefined,
    ca: caCerts && [...caCerts],
  });
  secure.on("error", () => {});
  try {
    await orAborted(
      new Promise<void>((resolve, reject) => {
        secure.once("error", reject);
        secure.once("close", () => reject(new Error("it closed the connection")));
        secure.once("secureConnect", resolve);
      }),
      signal,
    );
    return secure;
  } catch (cause) {
    secure.destroy();
    signal.throwIfAborted();
    throw new ConnectError(
      `Cannot speak TLS with ${nameOf(target)}: ${asError(cause).message}`,
      713,
      { alias, member, cause },
    );
  }
}

/**
 * Steps of a login: done, password, MD5, and the three of SCRAM. For others, such as Kerberos, the driver
 * would print something and wait for ever.
 */
const LOGINS = new Set([0, 3, 5, 10, 11, 12]);

/**
 * What a server asks for in the second step of a login with SCRAM; a million rounds take a second.
 */
const SCRAM = /^r=[^,]+,s=[A-Za-z0-9+/]+=*,i=[1-9]\d{0,5}$/;

/**
 * Keeps from the driver what is not the greeting of a PostgreSQL server: it would wait for the
 * rest of it, or fail where nobody hears. Lasts until the returned function is called; that what comes
 * is made of its messages is looked after for longer.
 */
function guard(
  socket: Socket,
  target: DatabaseTarget,
  messages: ServerMessages,
): () => void {
  let active = true;
  let size = 0;
  let rest = new Uint8Array(0);
  const problem = (data: Uint8Array): string | undefined => {
    if ((size += data.length) > MAX_GREETING) return "its greeting does not end";
    const bytes = new Uint8Array(rest.length + data.length);
    bytes.set(rest);
    bytes.set(data, rest.length);
    let at = 0;
    while (at < bytes.length) {
      if (!GREETINGS.has(bytes[at]!)) return "it answers something that is not PostgreSQL";
      if (bytes.length - at < 5) break;
      const view = new DataView(bytes.buffer, at);
      const length = view.getUint32(1);
      if (length < 4 || length > MAX_GREETING) return "it answers something that is not PostgreSQL";
      if (bytes.length - at < length + 1) break;
      const text = bytes.subarray(at + 9, at + 1 + length);
      if (bytes[at] === 0x52) {
        if (length < 8) return "its login makes no sense";
        const step = view.getUint32(5);
        if (!LOGINS.has(step)) return `it wants a login of kind ${step}, which is not offered`;
        if (step === 11 && !SCRAM.test(new TextDecoder().decode(text))) {
          return "its login makes no sense";
        }
      }
      at += length + 1;
    }
    rest = bytes.slice(at);
    return undefined;
  };
  const on = socket.on.bind(socket) as (event: string, listener: Listener) => Socket;
  // the driver listens by this method; what it is not to see must not reach it
  socket.on = ((event: string, listener: Listener) => {
    if (event !== "data") return on(event, listener);
    return on(event, (data) => {
      const greeting = active ? problem(data as Uint8Array) : undefined;
      const why = greeting ?? messages.push(data as Uint8Array);
      if (why === undefined) {
        listener(data);
        return;
      }
      const { alias, node } = target;
      const name = nameOf(target);
      const message = active
        ? `Cannot connect to ${name}: ${why}`
        : `The answer of ${name} is not one of PostgreSQL: ${why}`;
      const isCopy = !active && messages.isCopy;
      active = false;
      socket.destroy(
        isCopy
          ? new TypeError(`Cannot execute COPY on ${name}: it is not offered`)
          : new ProtocolError(message, 715, { alias, member: node }),
      );
    });
  }) as typeof socket.on;
  return () => active = false;
}

type Listener = (...args: unknown[]) => unknown;

function refused(target: DatabaseTarget, cause: Error): Error {
  if (cause instanceof ConnectError || cause instanceof ProtocolError) return cause;
  const { code = "" } = cause as { code?: string };
  const statusCode = code === "ENOTFOUND" || code === "EAI_AGAIN" ? 704 : 714;
  return new ConnectError(
    `Cannot connect to ${nameOf(target)}: ${cause.message}`,
    statusCode,
    { alias: target.alias, member: target.node, cause },
  );
}
