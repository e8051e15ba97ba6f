/**
 * The version of the product, as it appears in the `Server` header and in `skitai --version`.
 *
 * @module
 */

import manifest from "../../deno.json" with { type: "json" };

/** Full version, `major.minor.patch`. */
export const VERSION: string = manifest.version;

/** What the `Server` header and error pages call this software: `Skitai/<major>.<minor>`. */
export const SOFTWARE: string = `Skitai/${VERSION.split(".").slice(0, 2).join(".")}`;
