/**
 * `node:crypto`, loaded when it is first needed: importing it takes as long as starting a whole small
 * service does, and most requests of most services never need it.
 *
 * @module
 */

import type * as NodeCrypto from "node:crypto";

let loaded: typeof NodeCrypto | undefined;

/** The module. The first call takes some 15 ms. */
export function nodeCrypto(): typeof NodeCrypto {
  return loaded ??= process().getBuiltinModule("node:crypto");
}

/** Naming it as a global here keeps `node:process` out of the static imports, too. */
function process(): { getBuiltinModule(name: "node:crypto"): typeof NodeCrypto } {
  return (globalThis as unknown as { process: ReturnType<typeof process> }).process;
}
