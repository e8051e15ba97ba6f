/**
 * `node:os`, loaded when it is first needed, which in most services is never: each built-in module of
 * Node takes time and memory from the start of a service.
 *
 * @module
 */

import type * as NodeOs from "node:os";

/** The module, loaded by the first call. */
export function nodeOs(): typeof NodeOs {
  return process().getBuiltinModule("node:os");
}

/** Naming it as a global here keeps `node:process` out of the static imports, too. */
function process(): { getBuiltinModule(name: "node:os"): typeof NodeOs } {
  return (globalThis as unknown as { process: ReturnType<typeof process> }).process;
}
