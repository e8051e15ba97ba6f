/**
 * The error classes of the project. Each sets `name`, has a stable `code` and keeps its `cause`.
 *
 * Wrong arguments stay `TypeError` and `RangeError`, thrown at construction.
 *
 * @module
 */

import { parseStatus, reasonOf, type StatusLike } from "./status.ts";

/** Options of every error of this module. */
export interface SkitaiErrorOptions extends ErrorOptions {
  /** Stable code for programs; the class gives a default. */
  readonly code?: string;
}

/** Base of the classes below. */
export abstract class SkitaiError extends Error {
  /** Stable, upper-case code for programs. */
  readonly code: string;

  /** Makes the error; `code` is required of the subclass. */
  constructor(message: string, code: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** Options of {@link HttpError}. */
export interface HttpErrorOptions extends SkitaiErrorOptions {
  /** Headers the response must carry, such as `Allow`. */
  readonly headers?: HeadersInit;
  /** Show the cause with its stack to the client although debug is off. */
  readonly expose?: boolean;
}

/**
 * What a client should see. Throwing one ends the request with its status; the message is safe to show.
 *
 * @example
 * ```ts
 * import { HttpError } from "./errors.ts";
 * const error = new HttpError(405, "POST is not allowed here", { headers: { allow: "GET" } });
 * console.assert(error.status === 405);
 * ```
 */
export class HttpError extends SkitaiError {
  /** Status code, 400 to 599 as a rule. */
  readonly status: number;
  /** Reason phrase. */
  readonly reason: string;
  /** Headers for the response. */
  readonly headers: HeadersInit | undefined;
  /** Whether the cause may be shown. */
  readonly expose: boolean;

  /** Makes the error from a status and what the client may read. */
  constructor(status: StatusLike, detail = "", options: HttpErrorOptions = {}) {
    const { code, reason } = parseStatus(status);
    super(detail || reason, options.code ?? `HTTP_${code}`, options);
    this.status = code;
    this.reason = reason;
    this.headers = options.headers;
    this.expose = options.expose ?? false;
  }

  /** Explanation besides the reason phrase, or `""`. */
  get detail(): string {
    return this.message === this.reason ? "" : this.message;
  }
}

/** Options of {@link BackendError}. */
export interface BackendErrorOptions extends SkitaiErrorOptions {
  /** Name of the alias, with `@`, if the request went to one. */
  readonly alias?: string;
  /** Member (host and port, file …) that was asked. */
  readonly member?: string;
  /** How often it was tried. */
  readonly attempts?: number;
}

/**
 * A backend that could not be asked or did not answer properly. `statusCode` is the network code
 * (700 and above) that goes to results and logs, never to a client.
 */
export class BackendError extends SkitaiError {
  /** Network code, see `docs/errors.md`. */
  readonly statusCode: number;
  /** Alias that was asked. */
  readonly alias: string | undefined;
  /** Member that was asked. */
  readonly member: string | undefined;
  /** How often it was tried. */
  readonly attempts: number;

  /** Makes the error with its network code. */
  constructor(message: string, statusCode: number, options: BackendErrorOptions = {}) {
    super(message, options.code ?? NETWORK_CODES[statusCode]?.code ?? "BACKEND", options);
    this.statusCode = statusCode;
    this.alias = options.alias;
    this.member = options.member;
    this.attempts = options.attempts ?? 1;
  }
}

/** A backend that cannot be reached: refused, no such name, no route, TLS failure. */
export class ConnectError extends BackendError {}

/** A backend that did not answer in time. */
export class BackendTimeoutError extends BackendError {}

/** A pool whose members stayed busy for as long as the request could wait. */
export class PoolExhaustedError extends BackendError {}

/** A backend that answered something that is not the protocol. */
export class ProtocolError extends BackendError {}

/** Configuration that cannot be used: what is wrong, and where it stands. */
export class ConfigError extends SkitaiError {
  /** Where: a file, an option path such as `run({ port })`, a mount point. */
  readonly where: string;

  /** Makes the error; `where` leads the message. */
  constructor(where: string, problem: string, options: SkitaiErrorOptions = {}) {
    super(`${where}: ${problem}`, options.code ?? "CONFIG", options);
    this.where = where;
  }
}

/** Network codes of results: what each number means and the error code that goes with it. */
export const NETWORK_CODES: Readonly<Record<number, { code: string; reason: string }>> = {
  700: { code: "SOCKET", reason: "Socket Error" },
  701: { code: "EXCEPTION", reason: "Exception" },
  702: { code: "SOCKET_TIMEOUT", reason: "Socket Timeout" },
  704: { code: "NAME_NOT_FOUND", reason: "Name Not Found" },
  708: { code: "NO_DATA", reason: "No Data" },
  713: { code: "TLS_HANDSHAKE", reason: "TLS Handshake Failed" },
  714: { code: "CONNECT", reason: "Connect Failed" },
  715: { code: "BAD_HEADER", reason: "Bad Response Header" },
  718: { code: "NOT_ACCEPTABLE", reason: "Content Type Not Accepted" },
  719: { code: "TOO_LARGE", reason: "Content Too Large" },
  720: { code: "H2_CLOSED", reason: "HTTP/2 Connection Closed" },
  721: { code: "H2_RESET", reason: "HTTP/2 Stream Reset" },
  730: { code: "TIMEOUT", reason: "Request Timeout" },
};

/** Reason phrase of an HTTP or network code. */
export function reasonOfAny(code: number): string {
  return NETWORK_CODES[code]?.reason ?? reasonOf(code);
}

/** Makes an `Error` of whatever was thrown, keeping it as it is where it already is one. */
export function asError(thrown: unknown): Error {
  try {
    if (thrown instanceof Error) return thrown;
    return new Error(`A value that is not an error was thrown: ${textOf(thrown)}`, {
      cause: thrown,
    });
  } catch {
    // An object without a prototype, a proxy: not even a text can be had of it.
    return new Error(`A value that is not an error was thrown: ${typeof thrown} without a text`);
  }
}

/** A plain object would be `[object Object]`, which helps nobody to find it. */
function textOf(thrown: unknown): string {
  const text = String(thrown);
  if (text !== "[object Object]") return text;
  const options = { breakLength: Infinity, depth: 2, iterableLimit: 10, strAbbreviateSize: 200 };
  return Deno.inspect(thrown, options);
}
