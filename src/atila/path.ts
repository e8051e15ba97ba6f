/**
 * The few path functions an app needs.
 *
 * @module
 */

import { dirname, fileURLToPath, resolve } from "../core/file_path.ts";

export { dirname, resolve };

/** Path of a `file:` URL, without query and fragment. */
export function fromFileUrl(url: string): string {
  const clean = new URL(url);
  clean.search = "";
  clean.hash = "";
  return fileURLToPath(clean);
}
