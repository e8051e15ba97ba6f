/**
 * Modules of Node that are loaded when they are first needed: importing `node:crypto` takes as long as
 * starting a whole small service does, and most requests of most services need none of them.
 *
 * @module
 */

import type * as NodeAsyncHooks from "node:async_hooks";
import type * as NodeCrypto from "node:crypto";
import type * as NodeModule from "node:module";
import type * as NodeOs from "node:os";
import type * as NodePath from "node:path";
import type * as NodeUrl from "node:url";
import type { Buffer } from "node:buffer";

interface Builtins {
  readonly "node:async_hooks": typeof NodeAsyncHooks;
  readonly "node:crypto": typeof NodeCrypto;
  readonly "node:module": typeof NodeModule;
  readonly "node:os": typeof NodeOs;
  readonly "node:path": typeof NodePath;
  readonly "node:url": typeof NodeUrl;
}

interface NodeProcess {
  getBuiltinModule<N extends keyof Builtins>(name: N): Builtins[N];
}

let crypto: typeof NodeCrypto | undefined;
let buffer: typeof Buffer | undefined;

/** `node:crypto`. The first call takes some 15 ms. */
export function nodeCrypto(): typeof NodeCrypto {
  return crypto ??= process().getBuiltinModule("node:crypto");
}

/** `node:async_hooks`. */
export function nodeAsyncHooks(): typeof NodeAsyncHooks {
  return process().getBuiltinModule("node:async_hooks");
}

/** `node:module`. */
export function nodeModule(): typeof NodeModule {
  return process().getBuiltinModule("node:module");
}

/** `node:os`. */
export function nodeOs(): typeof NodeOs {
  return process().getBuiltinModule("node:os");
}

/** `node:path`. */
export function nodePath(): typeof NodePath {
  return process().getBuiltinModule("node:path");
}

/** `node:url`. */
export function nodeUrl(): typeof NodeUrl {
  return process().getBuiltinModule("node:url");
}

/** The class `Buffer`, whose global brings less of Node along than a module would. */
export function nodeBuffer(): typeof Buffer {
  return buffer ??= (globalThis as unknown as { Buffer: typeof Buffer }).Buffer;
}

/** Naming it as a global here keeps `node:process` out of the static imports, too. */
function process(): NodeProcess {
  return (globalThis as unknown as { process: NodeProcess }).process;
}
