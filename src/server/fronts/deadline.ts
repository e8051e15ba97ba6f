/**
 * Two timers that leave nothing behind.
 *
 * @module
 */

/** A moment in the future that may be called off. */
export interface Deadline {
  /** Resolves at the moment, and when it is called off. */
  readonly passed: Promise<void>;
  /** Calls it off. */
  cancel(): void;
}

/** The moment `ms` milliseconds from now. */
export function deadline(ms: number): Deadline {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  return {
    passed: promise,
    cancel() {
      clearTimeout(timer);
      resolve();
    },
  };
}

/** Resolves after `ms` milliseconds. */
export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
