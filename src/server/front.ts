/**
 * The contract of a front: what accepts connections and turns bytes into `Request`s.
 *
 * @module
 */

import type { Handler } from "../core/handler.ts";
import type { Log } from "../core/log.ts";

/** Which front: `fast` for trusted clients, `edge` for strangers, `auto` chooses. */
export type FrontKind = "auto" | "fast" | "edge";

/** TLS material, already read, decrypted and checked. */
export interface TlsMaterial {
  /** Certificate chain, PEM. */
  readonly cert: string;
  /** Private key, PEM, not encrypted. */
  readonly key: string;
}

/** Limits a front enforces. Seconds where the public setting is in seconds. */
export interface FrontLimits {
  /** Seconds a connection may stay open between requests. Default 30. */
  readonly keepAliveSeconds: number;
  /** Seconds without a byte sent or received while a request or response is in transfer. Default 30. */
  readonly requestTimeoutSeconds: number;
  /** Seconds from the first byte of a connection or request until its header is complete (`edge`). Default 10. */
  readonly headerTimeoutSeconds: number;
  /** Largest request header block in bytes (`edge`; `fast` has the runtime's own limit). Default 32 KiB. */
  readonly maxHeaderBytes: number;
  /** Slowest body a client may send, bytes a second, measured over several seconds (`edge`). Default 150. */
  readonly minBodyBytesPerSecond: number;
  /** Most connections at once (`edge`). Default 10 000. */
  readonly maxConnections: number;
  /** Most connections from one address at once (`edge`). Default: no limit. */
  readonly maxConnectionsPerAddress: number;
}

/** The limits where nobody set others. */
export const DEFAULT_FRONT_LIMITS: FrontLimits = {
  keepAliveSeconds: 30,
  requestTimeoutSeconds: 30,
  headerTimeoutSeconds: 10,
  maxHeaderBytes: 32 * 1024,
  minBodyBytesPerSecond: 150,
  maxConnections: 10_000,
  maxConnectionsPerAddress: Number.POSITIVE_INFINITY,
};

/** Counters a front draws its numbers from; shared by all workers of an engine. */
export interface FrontCounters {
  /** Next connection number. */
  nextConnection(): number;
  /** Next request number. */
  nextRequest(): number;
  /** Adds to the count of connections killed for being idle or slow. */
  zombie(): void;
}

/** What a front is started with. */
export interface FrontOptions {
  /** Address to bind, IPv4 or IPv6. */
  readonly hostname: string;
  /** Port; 0 lets the system choose. */
  readonly port: number;
  /** Answers the requests. It has been folded with every layer and never throws. */
  readonly handler: Handler;
  /** Speak TLS only. */
  readonly tls?: TlsMaterial;
  /** Share the port with other workers and processes. */
  readonly reusePort: boolean;
  /** Limits to enforce. */
  readonly limits: FrontLimits;
  /** Where numbers come from. */
  readonly counters: FrontCounters;
  /** Value of `Server` in what the front answers by itself; `""`, the default, sends none. */
  readonly server?: string;
  /** Server log: what was cut and why, long connections. */
  readonly log: Log;
  /** Short worker name, copied into every context. */
  readonly workerId: string;
}

/** A running front. */
export interface Front extends AsyncDisposable {
  /** Address in use. */
  readonly address: { readonly hostname: string; readonly port: number };
  /** Open client connections; a recent estimate on `fast`, which can be told `performance.now()`. */
  connections(now?: number): number;
  /**
   * Refuses new connections, lets running requests end with `Connection: close`, and cuts what is left
   * after the grace. Resolves when all are closed. A second call waits for the first.
   *
   * With `handoverMs` a successor listens already: connections are accepted for so long still, or half
   * the grace if that is less, because those that are on their way lead here.
   */
  shutdown(graceMs: number, handoverMs?: number): Promise<void>;
}

/** Starts a front. @throws {Deno.errors.AddrInUse} and the like when it cannot listen. */
export type StartFront = (options: FrontOptions) => Promise<Front>;
