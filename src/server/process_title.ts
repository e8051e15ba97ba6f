/**
 * The title of a process in `ps`.
 *
 * @module
 */

import { getProcTitle } from "./paths.ts";

/** Names this process `skitai/<name>: <role>`. */
export function setProcessTitle(role: string): void {
  // Importing `node:process` would load more of Node than the global does: memory every service pays.
  (globalThis as unknown as { process: { title: string } }).process.title =
    `${getProcTitle()}: ${role}`;
}
