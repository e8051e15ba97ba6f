/**
 * Functions for the tests of auxiliary threads.
 *
 * @module
 */

/** Adds. */
export function add(a: number, b: number): number {
  return a + b;
}

/** Says in which isolate it runs. */
export function where(): string {
  return (globalThis as { __isolate?: string }).__isolate ??= crypto.randomUUID();
}

/** Waits until the shared cell is not 0, blocking its thread; gives the isolate. */
export function block(cell: Int32Array): string {
  Atomics.add(cell, 1, 1);
  Atomics.notify(cell, 1);
  Atomics.wait(cell, 0, 0, 20_000);
  return where();
}

/** Throws an error with fields and a cause. */
export function fail(message: string): never {
  const error = new RangeError(message, { cause: new TypeError("the reason") });
  throw Object.assign(error, { code: "E_TEST", tries: 3 });
}

/** Throws an error that stands for others, and has fields of many kinds. */
export function failAll(): never {
  const error = new AggregateError([new TypeError("one"), "two"], "all");
  throw Object.assign(error, { issues: [{ path: ["a"] }], close: () => {}, socket: { end() {} } });
}

/** Throws where nobody can catch it and never returns. */
export function crash(): Promise<never> {
  queueMicrotask(() => {
    throw new Error("out of the blue");
  });
  return new Promise(() => {});
}

/** Rejects where nobody waits and never returns. */
export function crashLater(): Promise<never> {
  setTimeout(() => void Promise.reject(new Error("late rejection")), 0);
  return new Promise(() => {});
}

/** Never returns. */
export function never(): Promise<never> {
  return new Promise(() => {});
}

/** Ends its thread. */
export function exit(): never {
  Deno.exit(3);
}

/** Returns; then its thread stands still until the shared cell is not 0, and ends itself. */
export function exitLater(cell: Int32Array): void {
  setTimeout(() => {
    block(cell);
    Deno.exit(3);
  }, 0);
}

/** Returns what cannot be cloned. */
export function closure(): unknown {
  return () => 1;
}

/** The length of some bytes, given back as bytes. */
export default function bytes(data: Uint8Array): Uint8Array {
  return data.map((byte) => byte ^ 1);
}

/** Not a function. */
export const constant = 7;
