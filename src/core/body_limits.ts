/**
 * Which limits on request bodies hold for an app.
 *
 * @module
 */

import { type BodyLimits, DEFAULT_BODY_LIMITS, type Preferences } from "./app.ts";
import { ConfigError } from "./errors.ts";

/** Names of the single limits. */
const NAMES = Object.keys(DEFAULT_BODY_LIMITS) as (keyof BodyLimits)[];

/**
 * The limits of an app: the defaults, then its `maxClientBodySize` (which stands for the post,
 * multipart and upload limits together), then its `config`, then the same two of the preferences.
 *
 * @param where Names the app in errors.
 * @throws {ConfigError} for a limit that is not a whole number of bytes from 0.
 */
export function bodyLimitsOf(
  where: string,
  own: { readonly maxClientBodySize?: unknown; readonly config?: unknown },
  pref?: Preferences,
): BodyLimits {
  const limits: Record<keyof BodyLimits, number> = { ...DEFAULT_BODY_LIMITS };
  for (const source of [own, pref]) {
    if (source === undefined) continue;
    if (source.maxClientBodySize !== undefined) {
      const all = checked(where, "maxClientBodySize", source.maxClientBodySize);
      limits.maxPostBodySize = limits.maxMultipartBodySize = limits.maxUploadFileSize = all;
    }
    const config = (source.config ?? {}) as Record<string, unknown>;
    for (const name of NAMES) {
      const value = config[name];
      if (value !== undefined) limits[name] = checked(where, `config.${name}`, value);
    }
  }
  return limits;
}

function checked(where: string, name: string, value: unknown): number {
  if (typeof value === "number" && value >= 0 && (Number.isInteger(value) || value === Infinity)) {
    return value;
  }
  throw new ConfigError(where, `${name} is a number of bytes, not ${String(value)}`);
}
