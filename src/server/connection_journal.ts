/**
 * The journal of long connections: those that outlive a request get one line in the server log when
 * they close.
 *
 * @module
 */

import type { Log } from "../core/log.ts";

/** A connection that has closed. */
export interface ClosedConnection {
  /** What it was. */
  readonly kind: "http2" | "tunnel" | "websocket";
  /** Client address. */
  readonly address: string;
  /** Bytes received; for a WebSocket those in its messages. */
  readonly bytesIn: number;
  /** Bytes sent; for a WebSocket those in its messages. */
  readonly bytesOut: number;
  /** `performance.now()` when it was opened. */
  readonly openedAt: number;
}

/** Writes the line: kind, client address, bytes in, bytes out, seconds open. */
export function journalConnection(log: Log, closed: ClosedConnection): void {
  const { kind, address, bytesIn, bytesOut, openedAt } = closed;
  const seconds = ((performance.now() - openedAt) / 1000).toFixed(1);
  log.log(
    `${kind} connection closed: ${address}, ${bytesIn} bytes in, ${bytesOut} bytes out, ` +
      `${seconds} s`,
    "info",
    "front",
  );
}
