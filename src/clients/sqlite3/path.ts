/**
 * Names of SQLite databases.
 *
 * @module
 */

import { isAbsolute, resolve } from "node:path";

/**
 * Absolute path of a database file, so that every thread means the same one; `file:` URLs and
 * `:memory:` stay as they are.
 *
 * @throws {TypeError} for a path that is empty or no text.
 */
export function databasePath(file: string): string {
  if (typeof file !== "string" || file.trim() === "") {
    throw new TypeError("Cannot open a database without the path of its file");
  }
  if (file === ":memory:" || file.startsWith("file:") || isAbsolute(file)) return file;
  return resolve(file);
}

/** True for a database that lives only as long as its connection. */
export function isMemory(file: string): boolean {
  return file === ":memory:" || file.startsWith("file:") && /:memory:|[?&]mode=memory\b/.test(file);
}
