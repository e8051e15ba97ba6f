/**
 * What a start script says about the limits of its front.
 *
 * @module
 */

import { ConfigError } from "../core/errors.ts";
import { checkOptions, service } from "./service.ts";

/** Options of {@link setFrontLimits}. The `edge` front enforces them; `fast` has no means to. */
export interface FrontLimitOptions {
  /** Seconds from the first byte of a connection or request until its header is complete. Default 10. */
  headerTimeoutSeconds: number;
  /** Largest request header in bytes, names and values. Default 32 768. Larger ones are answered 431. */
  maxHeaderBytes: number;
  /** Slowest body a client may send, bytes a second, measured over five seconds. Default 150; 0 for any. */
  minBodyBytesPerSecond: number;
  /** Most open connections of a worker. Default 10 000. */
  maxConnections: number;
  /** Most open connections of a worker from one address. Default: no limit. */
  maxConnectionsPerAddress: number;
}

/** Least and most that a limit may be, and whether it is a whole number. */
const RANGES: Readonly<Record<keyof FrontLimitOptions, readonly [number, number, boolean]>> = {
  headerTimeoutSeconds: [0.1, 3600, false],
  maxHeaderBytes: [1024, 1024 * 1024, true],
  minBodyBytesPerSecond: [0, 1024 * 1024 * 1024, false],
  maxConnections: [1, Number.POSITIVE_INFINITY, true],
  maxConnectionsPerAddress: [1, Number.POSITIVE_INFINITY, true],
};

/**
 * Sets limits for clients of the `edge` front; what is not named stays as it is. The keep-alive and
 * request timeouts have functions of their own, `setKeepAlive` and `setRequestTimeout`.
 *
 * @throws {ConfigError} for an unknown name. @throws {TypeError} for what is not a number.
 * @throws {RangeError} for a number out of range.
 *
 * @example
 * ```ts
 * import * as skitai from "@skitai/skitai";
 *
 * skitai.setFrontLimits({ headerTimeoutSeconds: 5, maxConnectionsPerAddress: 100 });
 * ```
 */
export function setFrontLimits(limits: Partial<FrontLimitOptions>): void {
  if (typeof limits !== "object" || limits === null) {
    throw new ConfigError("setFrontLimits", "limits are one object, such as { maxHeaderBytes }");
  }
  checkOptions("setFrontLimits", limits, Object.keys(RANGES));
  for (const [name, value] of Object.entries(limits)) {
    const [least, most, isWhole] = RANGES[name as keyof FrontLimitOptions];
    const where = `setFrontLimits({ ${name} })`;
    if (typeof value !== "number") {
      throw new TypeError(`${where}: expected a number, got ${String(value)}`);
    }
    const isUnlimited = value === Number.POSITIVE_INFINITY && most === value;
    if (!(value >= least && value <= most) || (isWhole && !isUnlimited && value % 1 !== 0)) {
      throw new RangeError(
        `${where}: expected ${isWhole ? "a whole number" : "a number"} from ${least}` +
          `${most === Number.POSITIVE_INFINITY ? "" : ` to ${most}`}, got ${value}`,
      );
    }
  }
  service.frontLimits = { ...service.frontLimits, ...limits };
}
