/**
 * The version of the product, as `skitai --version` and error pages show it.
 *
 * @module
 */

import manifest from "../../deno.json" with { type: "json" };

/** Full version, `major.minor.patch`. */
export const VERSION: string = manifest.version;

/** What backends, error pages and, if asked for, the `Server` header get to see: `Skitai/<major>.<minor>`. */
export const SOFTWARE: string = `Skitai/${VERSION.split(".").slice(0, 2).join(".")}`;
