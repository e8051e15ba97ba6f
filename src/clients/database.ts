/**
 * What the clients of databases share: where a database is, and how an answer or a failure of one
 * becomes an outcome.
 *
 * @module
 */

import type { StopSignal } from "../core/stop.ts";
import { asError, BackendError, BackendTimeoutError } from "../core/errors.ts";
import type { Outcome } from "./contract.ts";

/** Where a database is, and as whom it is asked. */
export interface DatabaseTarget {
  /** Name of the alias, with `@`; left out for a server that was named itself. */
  readonly alias?: string;
  /** Host and port, as logs and results name the server. Never holds credentials. */
  readonly node: string;
  /** Host name or IP address, without brackets. */
  readonly host: string;
  /** Port. */
  readonly port: number;
  /** User; `undefined` without one. */
  readonly user: string | undefined;
  /** Password; `""` without one. */
  readonly password: string;
  /** Name or number of the database. */
  readonly database: string;
  /** Speak TLS, and check the certificate. */
  readonly tls: boolean;
  /** Certificates to trust besides the system's, PEM. */
  readonly caCerts?: readonly string[];
  /** Most connections to it. Default 10. */
  readonly maxConnections?: number;
}

/** An error that names the member it came from, and the alias if there is one. */
export interface DatabaseError extends Error {
  /** Name of the alias, with `@`. */
  readonly alias?: string;
  /** Host and port. */
  readonly member?: string;
}

/** Most connections to one server, database and user, unless the alias says otherwise. */
export const MAX_CONNECTIONS = 10;

/** Most who may wait for a connection. */
export const MAX_WAITING = 1000;

/**
 * Before a write, a connection that has been silent for that many milliseconds is asked whether its
 * server is there: the end of it may have come and not been read.
 */
export const ASK_AFTER_MS = 5;

const OF_SOCKETS = new Set<unknown>(["EPIPE", "ECONNRESET", "ETIMEDOUT"]);

/** True for an error with which a socket says that its connection has ended. */
export function isOfSocket(error: unknown): boolean {
  return OF_SOCKETS.has((error as { code?: unknown }).code);
}

const keys = new WeakMap<DatabaseTarget, string>();

/**
 * What connections are pooled by: server, database, user and how they were let in. Two aliases of
 * the same database share connections.
 */
export function poolKey(target: DatabaseTarget): string {
  let key = keys.get(target);
  if (key === undefined) {
    const { host, port, user, password, database, tls, caCerts, maxConnections } = target;
    key = JSON.stringify([host, port, user, password, database, tls, caCerts, maxConnections]);
    keys.set(target, key);
  }
  return key;
}

/** How messages name a target: alias and member. */
export function nameOf({ alias, node }: DatabaseTarget): string {
  return alias === undefined ? node : `${alias} (${node})`;
}

const NO_HEADERS = new Headers();

/** Outcome of a request that was answered. */
export function answered(target: DatabaseTarget, data: unknown): Outcome {
  return {
    status: 3,
    statusCode: 200,
    reason: "OK",
    headers: NO_HEADERS,
    content: null,
    node: target.node,
    data,
  };
}

/**
 * Outcome of a request that failed: status 1 when it was given up by its signal, else status 2 with
 * code 500.
 *
 * @param undelivered The database cannot have acted on it: another member may be asked.
 */
export function failure(
  target: DatabaseTarget,
  thrown: unknown,
  signal: StopSignal,
  undelivered = false,
): Outcome {
  const error = asError(thrown);
  const expired = signal.aborted && (thrown === signal.reason || undelivered);
  return {
    status: expired ? 1 : 2,
    statusCode: expired ? 730 : 500,
    reason: expired ? "Request Timeout" : error.message.split("\n", 1)[0]!,
    headers: NO_HEADERS,
    content: null,
    node: target.node,
    data: null,
    error: named(error, target),
    undelivered: undelivered && !expired,
  };
}

/** Adds alias and member to an error of a driver, which does not know them. */
export function named(error: Error, { alias, node }: DatabaseTarget): DatabaseError {
  if (error instanceof BackendError || Object.isFrozen(error)) return error;
  for (const [key, value] of [["alias", alias], ["member", node]] as const) {
    if (value === undefined || key in error) continue;
    Object.defineProperty(error, key, { value, enumerable: false, configurable: true });
  }
  return error;
}

/** The error of a request that was given up when no deadline said why. */
export function expiredError(target: DatabaseTarget): BackendTimeoutError {
  return new BackendTimeoutError(`${nameOf(target)} was not answered in time`, 730, {
    alias: target.alias,
    member: target.node,
  });
}
