/**
 * Why a service could not start, in one line.
 *
 * @module
 */

import { asError, SkitaiError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";

/** A failed start; plain data, so that it can be sent from process to process. */
export interface StartFailure {
  /** One line for people. */
  readonly text: string;
  /** Stack of an error nobody foresaw; `""` where the line says it all. */
  readonly stack: string;
}

/** An engine or worker that failed to start, with what it said. */
export class StartError extends Error {
  /** What it said. */
  readonly failure: StartFailure;

  /** Wraps a failure that was reported by another process or thread. */
  constructor(failure: StartFailure) {
    super(failure.text);
    this.name = "StartError";
    this.failure = failure;
  }
}

/** Describes the error that ended a start. */
export function describeStartFailure(
  thrown: unknown,
  at: { readonly address: string; readonly port: number },
): StartFailure {
  if (thrown instanceof StartError) return thrown.failure;
  const error = asError(thrown);
  const where = at.address.includes(":")
    ? `[${at.address}]:${at.port}`
    : `${at.address}:${at.port}`;
  // Deno names the class, Node a code.
  const code = (error as { code?: unknown }).code;
  if (error instanceof Deno.errors.AddrInUse || code === "EADDRINUSE") {
    return { text: `address already in use, cannot start server: ${where}`, stack: "" };
  }
  if (error instanceof Deno.errors.AddrNotAvailable || code === "EADDRNOTAVAIL") {
    return { text: `address not available, cannot start server: ${where}`, stack: "" };
  }
  if (code === "EACCES" && (error as { syscall?: unknown }).syscall === "listen" || isBind(error)) {
    return { text: `no permission to listen, cannot start server: ${where}`, stack: "" };
  }
  const known = error instanceof SkitaiError;
  const first = error.message.split("\n", 1)[0] || error.name;
  return {
    text: `cannot start server: ${first}`,
    stack: known && !error.message.includes("\n") ? "" : error.stack ?? String(error),
  };
}

/** Binding a privileged port fails with the errno in the text and no path, unlike a file. */
function isBind(error: Error): boolean {
  return error instanceof Deno.errors.PermissionDenied &&
    /^Permission denied \(os error 13\)$/.test(error.message);
}

/** Writes a failed start: one `fatal` line, and the stack of what nobody foresaw. */
export function logStartFailure(log: Log, failure: StartFailure): void {
  log.log(failure.text, "fatal");
  if (failure.stack !== "") log.log(failure.stack, "expt");
}
