/**
 * Which front a service gets.
 *
 * @module
 */

import { isIPv4 } from "../core/ip_address.ts";
import type { FrontKind } from "./front.ts";

/** What the choice depends on. */
export interface FrontChoiceOptions {
  /** What `run` was told. */
  readonly front: FrontKind;
  /** Address to listen on. */
  readonly address: string;
  /** Networks of proxies that stand in front. */
  readonly trustProxies: readonly string[];
  /** Features in use that only `edge` has, by name. */
  readonly needsEdge: readonly string[];
}

/** The front to start, and why. */
export interface FrontChoice {
  /** Front to start. */
  readonly kind: "fast" | "edge";
  /** One line for the log: what was chosen, why, and how to choose otherwise. */
  readonly reason: string;
}

/**
 * Chooses a front. `auto` is `fast` where every client can be trusted not to be slow on purpose: on
 * loopback, and behind the proxies that `trustProxies` names; everywhere else it is `edge`.
 *
 * A feature that only `edge` has decides against `fast`, whatever was asked for.
 */
export function chooseFront(options: FrontChoiceOptions): FrontChoice {
  const { front, address, trustProxies, needsEdge } = options;
  const how = 'choose with run({ front: "fast" | "edge" })';
  if (needsEdge.length > 0 && front !== "edge") {
    return { kind: "edge", reason: `front edge: ${needsEdge.join(", ")} needs it` };
  }
  if (front !== "auto") return { kind: front, reason: `front ${front}: as run was told` };
  if (isLoopback(address)) {
    return { kind: "fast", reason: `front fast: ${address} is loopback; ${how}` };
  }
  if (trustProxies.length > 0) {
    return {
      kind: "fast",
      reason: `front fast: behind ${trustProxies.join(", ")}, as trustProxies says; ${how}`,
    };
  }
  return { kind: "edge", reason: `front edge: ${address} is open to strangers; ${how}` };
}

/** True for 127.0.0.0/8, `::1` and `localhost`. */
export function isLoopback(address: string): boolean {
  const plain = address.replace(/^::ffff:/i, "");
  return plain === "localhost" || plain === "::1" || (isIPv4(plain) && plain.startsWith("127."));
}
