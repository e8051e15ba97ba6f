/**
 * HTTP status codes, their reason phrases, and status strings of the form `"404 Not Found"`.
 *
 * @module
 */

import { STATUS_CODES } from "node:http";

/** A status in the form accepted everywhere: a number, or a string that starts with one. */
export type StatusLike = number | string;

/** A status code with its reason phrase. */
export interface Status {
  /** Three-digit code. */
  readonly code: number;
  /** Reason phrase; the registered one unless the caller gave another. */
  readonly reason: string;
}

/** Reason phrase of a code; `"Unknown"` when it is not registered. */
export function reasonOf(code: number): string {
  return STATUS_CODES[code] ?? "Unknown";
}

/**
 * Reads a status.
 *
 * @throws {TypeError} for anything that is not a code from 200 to 599, alone or followed by a reason.
 */
export function parseStatus(status: StatusLike): Status {
  if (typeof status === "number") {
    if (Number.isInteger(status) && status >= 200 && status <= 599) {
      return { code: status, reason: reasonOf(status) };
    }
  } else {
    const match = /^([2-5]\d\d)(?: +([^\r\n]+))?$/.exec(status);
    if (match) {
      const code = Number(match[1]);
      return { code, reason: match[2] ?? reasonOf(code) };
    }
  }
  throw new TypeError(
    `Cannot use ${
      JSON.stringify(status)
    } as a status: expected a code from 200 to 599 or a string such as "404 Not Found"`,
  );
}

/** True for statuses whose responses have no body by definition. */
export function isBodyless(code: number): boolean {
  return code === 204 || code === 205 || code === 304 || (code >= 100 && code < 200);
}
