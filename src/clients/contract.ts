/**
 * The contract of every backend client: a started request that becomes an {@link Outcome} and can be
 * aborted. Clients know nothing of `was`; `was/` turns outcomes into results.
 *
 * @module
 */

import type { StopSignal } from "../core/stop.ts";

/**
 * How a request ended, independent of any HTTP status: -1 could not be sent, 0 not yet, 1 timed out,
 * 2 network or database failure, 3 finished normally.
 */
export type RequestStatus = -1 | 0 | 1 | 2 | 3;

/** What a client reports. Never thrown: failures are outcomes too. */
export interface Outcome {
  /** See {@link RequestStatus}. */
  readonly status: RequestStatus;
  /** HTTP code, 200 or 500 for databases, 700 and above for network failures. */
  readonly statusCode: number;
  /** Reason phrase. */
  readonly reason: string;
  /** Response headers; empty for databases. */
  readonly headers: Headers;
  /** Header names in lower case and values in turn, as sent, where the client knows them. */
  readonly rawHeaders?: readonly string[];
  /** Raw body, already content-decoded; `null` when nothing arrived. */
  readonly content: Uint8Array | null;
  /** Decoded data where the client decodes it itself (databases, RPC); absent: decode `content` by its type. */
  readonly data?: unknown;
  /** The body, still arriving, where the caller asked for a stream; `content` is `null` then. */
  readonly body?: ReadableStream<Uint8Array>;
  /** Why it failed; set whenever `status` is not 3. */
  readonly error?: Error;
  /** Member that answered or failed. */
  readonly node?: string;
  /** HTTP version of the answer. */
  readonly version?: string;
  /** Final URL, and the responses on the way there. */
  readonly url?: string;
  /** Earlier responses of a redirect chain, oldest first. */
  readonly history?: readonly Outcome[];
  /** It failed before the backend can have acted on it: another member may be asked. */
  readonly undelivered?: boolean;
}

/**
 * Sends one request. Starts at once, never rejects, and gives up its connection when the signal aborts.
 * What needs no waiting is there at once.
 */
export type Send<O extends Promise<Outcome> | Outcome = Promise<Outcome>> = (
  signal: StopSignal,
) => O;

/** Counts of one client, for the status page and the open-connections field of the request log. */
export interface ClientStats {
  /** Connections open now. */
  readonly open: number;
  /** Connections carrying a request now. */
  readonly busy: number;
}

/** A backend client of a worker: one instance per kind, shared by all requests. */
export interface Client extends AsyncDisposable {
  /** Current counts. */
  stats(): ClientStats;
  /** Closes what has been idle for too long; called about every ten seconds. */
  maintain(): void;
}
