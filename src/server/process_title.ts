/**
 * The title of a process in `ps`.
 *
 * @module
 */

import { getProcTitle } from "./paths.ts";

/** Names this process `skitai/<name>: <role>`. */
export async function setProcessTitle(role: string): Promise<void> {
  // Loading `node:process` takes milliseconds that belong to the start of the service.
  const { default: process } = await import("node:process");
  process.title = `${getProcTitle()}: ${role}`;
}
