/**
 * The outcome of an HTTP request, its headers only made into an object when somebody asks.
 *
 * @module
 */

import { asError, BackendError, reasonOfAny } from "../../core/errors.ts";
import { type Http1ResponseHead, rawHeader, toHeaders } from "../../wire/http1_response_parser.ts";
import type { Outcome, RequestStatus } from "../contract.ts";

const NO_HEADERS: readonly string[] = [];

/** What an {@link HttpOutcome} is made of. */
export interface HttpOutcomeInit {
  /** See `RequestStatus`. */
  readonly status: RequestStatus;
  /** HTTP or network code. */
  readonly statusCode: number;
  /** Reason phrase. */
  readonly reason: string;
  /** URL that answered or failed. */
  readonly url: string;
  /** Peer. */
  readonly node: string;
  /** Header names in lower case and values in turn. */
  readonly rawHeaders?: readonly string[];
  /** Decoded body. */
  readonly content?: Uint8Array | null;
  /** Body still arriving. */
  readonly body?: ReadableStream<Uint8Array>;
  /** HTTP version. */
  readonly version?: string;
  /** Why it failed. */
  readonly error?: Error;
  /** The peer cannot have received it. */
  readonly undelivered?: boolean;
}

/** See `Outcome`. */
export class HttpOutcome implements Outcome {
  readonly status: RequestStatus;
  readonly statusCode: number;
  readonly reason: string;
  readonly url: string;
  readonly node: string;
  readonly rawHeaders: readonly string[];
  readonly content: Uint8Array | null;
  readonly body: ReadableStream<Uint8Array> | undefined;
  readonly version: string | undefined;
  readonly error: Error | undefined;
  readonly undelivered: boolean;
  history: readonly Outcome[] = [];
  #headers: Headers | undefined;

  /** Takes the members as they are. */
  constructor(init: HttpOutcomeInit) {
    this.status = init.status;
    this.statusCode = init.statusCode;
    this.reason = init.reason;
    this.url = init.url;
    this.node = init.node;
    this.rawHeaders = init.rawHeaders ?? NO_HEADERS;
    this.content = init.content ?? null;
    this.body = init.body;
    this.version = init.version;
    this.error = init.error;
    this.undelivered = init.undelivered ?? false;
  }

  /** Response headers. */
  get headers(): Headers {
    return this.#headers ??= toHeaders(this.rawHeaders);
  }

  /** Value of one header by its lower-case name. */
  header(name: string): string | undefined {
    return rawHeader(this.rawHeaders, name);
  }
}

/** Outcome of an exchange that ended normally, whatever its HTTP status. */
export function finished(
  head: Pick<Http1ResponseHead, "statusCode" | "reason" | "rawHeaders"> & { version: string },
  url: string,
  node: string,
  content: Uint8Array | null,
  body?: ReadableStream<Uint8Array>,
): HttpOutcome {
  const { statusCode, reason, rawHeaders, version } = head;
  return new HttpOutcome({
    status: 3,
    statusCode,
    reason: reason || reasonOfAny(statusCode),
    url,
    node,
    rawHeaders,
    content,
    body,
    version,
  });
}

/** Outcome of a request that failed. */
export function failed(
  thrown: unknown,
  status: RequestStatus,
  url: string,
  node: string,
  undelivered = false,
): HttpOutcome {
  const error = asError(thrown);
  const statusCode = error instanceof BackendError ? error.statusCode : 701;
  return new HttpOutcome({
    status,
    statusCode,
    reason: reasonOfAny(statusCode),
    url,
    node,
    error,
    undelivered,
  });
}
