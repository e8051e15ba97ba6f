/**
 * Opens a connection to a backend, plain or over TLS, and says in one vocabulary why it could not.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { asError, BackendTimeoutError, ConnectError } from "../core/errors.ts";

/** Where to, and how. */
export interface DialOptions {
  /** Host name or IP address, without brackets. */
  readonly hostname: string;
  /** Port. */
  readonly port: number;
  /** Speak TLS. */
  readonly tls: boolean;
  /** Certificates to trust besides the system's, PEM. */
  readonly caCerts?: readonly string[];
  /** Protocols to offer by ALPN, best first. */
  readonly alpn?: readonly string[];
  /** Gives up when it aborts. */
  readonly signal?: AbortSignal;
}

/** An open connection. */
export interface Dialed {
  /** The connection; the caller closes it. */
  readonly conn: Deno.Conn;
  /** Protocol chosen by ALPN; `""` when none was. */
  readonly protocol: string;
}

/**
 * Opens a connection.
 *
 * @throws {ConnectError} 704 unknown name, 713 TLS handshake, 714 refused or unreachable.
 * @throws {BackendTimeoutError} 702 when the system gave up waiting.
 * @throws the signal's reason when it was aborted.
 */
export async function dial(options: DialOptions): Promise<Dialed> {
  const { hostname, port, signal } = options;
  const tcp = await connectTcp(hostname, port, signal).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw connectFailure(asError(error), hostname, port);
  });
  tcp.setNoDelay(true);
  if (!options.tls) return { conn: tcp, protocol: "" };
  const conn = await Deno.startTls(tcp, {
    hostname,
    caCerts: options.caCerts && [...options.caCerts],
    alpnProtocols: options.alpn && [...options.alpn],
  }).catch((error: unknown) => {
    closeQuietly(tcp);
    throw tlsFailure(asError(error), hostname, port);
  });
  const abort = () => closeQuietly(conn);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    signal?.throwIfAborted();
    const { alpnProtocol } = await conn.handshake();
    return { conn, protocol: alpnProtocol ?? "" };
  } catch (error) {
    closeQuietly(conn);
    signal?.throwIfAborted();
    throw tlsFailure(asError(error), hostname, port);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * The runtime forgets a connection that is there already when its signal is given, and never closes it.
 * So the attempt ends a turn of the event loop later: what was there by then has come out.
 */
async function connectTcp(
  hostname: string,
  port: number,
  signal: AbortSignal | undefined,
): Promise<Deno.TcpConn> {
  if (signal === undefined) return await Deno.connect({ hostname, port });
  signal.throwIfAborted();
  const end = new AbortController();
  let isOver = false;
  const abort = () => {
    setImmediate(() => {
      if (!isOver) end.abort(signal.reason);
    });
  };
  signal.addEventListener("abort", abort, { once: true });
  try {
    const conn = await Deno.connect({ hostname, port, signal: end.signal });
    if (!signal.aborted) return conn;
    closeQuietly(conn);
    throw signal.reason;
  } finally {
    isOver = true;
    signal.removeEventListener("abort", abort);
  }
}

/** Closes a connection that may be closed already. */
export function closeQuietly(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

const UNKNOWN_NAME = /lookup address|name or service|nodename|no such host|name resolution/i;

function connectFailure(cause: Error, hostname: string, port: number): ConnectError {
  const member = `${hostname}:${port}`;
  if (cause instanceof Deno.errors.TimedOut) {
    return new BackendTimeoutError(`Cannot connect to ${member}: it does not respond`, 702, {
      member,
      cause,
    });
  }
  if (UNKNOWN_NAME.test(cause.message)) {
    return new ConnectError(`Cannot connect to ${member}: no such host`, 704, { member, cause });
  }
  return new ConnectError(`Cannot connect to ${member}: ${cause.message}`, 714, { member, cause });
}

function tlsFailure(cause: Error, hostname: string, port: number): ConnectError {
  const member = `${hostname}:${port}`;
  return new ConnectError(`Cannot speak TLS with ${member}: ${cause.message}`, 713, {
    member,
    cause,
  });
}
