/**
 * Programs of the system that tests need: servers, foreign clients, a browser.
 *
 * @module
 */

import { delimiter, join } from "node:path";

/** Path of a program, or `undefined` where it is not installed. */
export function findProgram(name: string): string | undefined {
  for (const directory of (Deno.env.get("PATH") ?? "").split(delimiter)) {
    const path = join(directory, name);
    try {
      if (Deno.statSync(path).isFile) return path;
    } catch (error) {
      if (
        error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory ||
        error instanceof Deno.errors.PermissionDenied
      ) continue;
      throw error;
    }
  }
  return undefined;
}

/**
 * For the `ignore` of a test: true when one of the programs is missing. Where
 * `SKITAI_REQUIRE_SERVICES=1` says that everything has to run, that is an error instead.
 */
export function isMissing(...names: string[]): boolean {
  const missing = names.filter((name) => findProgram(name) === undefined);
  if (missing.length === 0) return false;
  if (Deno.env.get("SKITAI_REQUIRE_SERVICES") === "1") {
    throw new Error(`Tests need ${missing.join(" and ")}; see scripts/install_services.sh`);
  }
  return true;
}
