/**
 * Errors as data, for clients that are programs.
 *
 * @module
 */

import { tracebackOf } from "../core/error_page.ts";
import type { Status } from "../core/status.ts";

/** What a fault may tell besides its message. */
export interface FaultOptions {
  /** Code for programs. Default: the status × 100, plus 90 when a stack comes with it. */
  code?: number;
  /** How to find out more. Default with a stack: `see traceback`. */
  debug?: string;
  /** Anything else, as `more_info`. */
  moreInfo?: unknown;
  /** What was caught. Its stack is sent with `traceback`, or when the app shows its errors. */
  error?: unknown;
  /**
   * Send the stack of `error`, or of this place where there is none, to the client: true although the
   * app does not show its errors, false although it does.
   */
  traceback?: boolean;
}

const KNOWN = ["code", "debug", "moreInfo", "error", "traceback"];

/**
 * Members of a fault.
 *
 * @param isDebug The app shows its errors.
 * @throws {TypeError} for unknown options and a code that is no number.
 */
export function faultMembers(
  status: Status,
  message: string | undefined,
  options: FaultOptions,
  isDebug: boolean,
): Record<string, unknown> {
  for (const name of Object.keys(options)) {
    if (KNOWN.includes(name)) continue;
    throw new TypeError(`Fault: unknown option "${name}"; known are ${KNOWN.join(", ")}`);
  }
  const { error, moreInfo } = options;
  const isTraced = options.traceback ?? (error !== undefined && isDebug);
  const code = options.code ?? status.code * 100 + (isTraced ? 90 : 0);
  if (!Number.isInteger(code)) {
    throw new TypeError(`Fault: the code is a whole number, not ${String(code)}`);
  }
  const text = message ?? status.reason;
  const members: Record<string, unknown> = { code, message: text };
  const debug = options.debug ?? (isTraced ? "see traceback" : undefined);
  if (debug !== undefined) members.debug = debug;
  if (moreInfo !== undefined) members.more_info = moreInfo;
  if (isTraced) {
    members.traceback = tracebackOf(error ?? new Error(text)).split("\n").map((line) =>
      line.trim()
    );
  }
  return members;
}
