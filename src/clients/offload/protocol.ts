/**
 * The messages between a pool and its threads, and how errors cross with their fields.
 *
 * @module
 */

import { asError } from "../../core/errors.ts";
import type { Job } from "./jobs.ts";

/**
 * From the pool to a thread: a job with the number its answer carries, or the wish that it ends.
 */
export type PoolMessage = { readonly id: number; readonly job: Job } | { readonly end: true };

/** How a job ended. */
export type Answer =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly error: ErrorFields };

/** From a thread to the pool. */
export type ThreadMessage = Answer | { readonly crashed: ErrorFields } | { readonly ended: true };

/**
 * An error in parts. Structured cloning would drop its class and every field but the standard ones.
 */
export interface ErrorFields {
  /** Name of the class. */
  readonly name: string;
  /** Its message. */
  readonly message: string;
  /** Its stack, as of the thread. */
  readonly stack: string | undefined;
  /** Own fields that can be cloned, such as `code`. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Its cause, when that is an error. */
  readonly cause: ErrorFields | undefined;
  /** What an `AggregateError` stands for. */
  readonly errors: readonly ErrorFields[] | undefined;
}

/** Takes an error apart. `depth` bounds the chain of causes. */
export function errorToFields(thrown: unknown, depth = 4): ErrorFields {
  const error = asError(thrown);
  const fields: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(error)) {
    if (isCloneable(value)) fields[key] = value;
  }
  const { cause } = error;
  return {
    name: error.name,
    message: error.message,
    stack: error.stack,
    fields,
    cause: cause instanceof Error && depth > 0 ? errorToFields(cause, depth - 1) : undefined,
    errors: error instanceof AggregateError && depth > 0
      ? error.errors.map((one) => errorToFields(one, depth - 1))
      : undefined,
  };
}

function isCloneable(value: unknown): boolean {
  if (typeof value !== "object") return typeof value !== "function" && typeof value !== "symbol";
  try {
    structuredClone(value);
    return true;
  } catch {
    // a message with it could not be sent at all
    return false;
  }
}

/** Standard classes that are rebuilt as themselves; others come back as `Error` with their name. */
const STANDARD: Readonly<Record<string, ErrorConstructor>> = {
  TypeError,
  RangeError,
  SyntaxError,
  ReferenceError,
  URIError,
  EvalError,
};

/** Puts an error together again. */
export function errorFromFields(parts: ErrorFields): Error {
  const options = parts.cause === undefined ? undefined : { cause: errorFromFields(parts.cause) };
  const error = parts.errors === undefined
    ? new (STANDARD[parts.name] ?? Error)(parts.message, options)
    : new AggregateError(parts.errors.map(errorFromFields), parts.message, options);
  for (const key of ["name", "stack"] as const) {
    if (parts[key] === undefined || parts[key] === error[key]) continue;
    Object.defineProperty(error, key, {
      value: parts[key],
      configurable: true,
      writable: true,
      enumerable: false,
    });
  }
  for (const [key, value] of Object.entries(parts.fields)) {
    Object.defineProperty(error, key, {
      value,
      configurable: true,
      writable: true,
      enumerable: true,
    });
  }
  return error;
}
