/**
 * The directories of a project that is mounted: where its parts are found, and what its code is.
 *
 * @module
 */

import { extname, fileURLToPath, join, resolve } from "../core/file_path.ts";
import { ConfigError } from "../core/errors.ts";

/** Endings of scripts, in the order they are tried where a target has none. */
export const SCRIPT_EXTENSIONS: readonly string[] = [".ts", ".tsx", ".mts", ".js", ".mjs", ".jsx"];

/** Most scripts of a project that are watched. */
const MOST_SCRIPTS = 5000;

/**
 * The value of the `path` option as a list of absolute directories.
 *
 * @param directory Where relative ones start: the directory of the start script.
 * @throws {ConfigError} for a directory that does not exist.
 */
export function projectRoots(
  where: string,
  path: readonly (string | URL)[],
  directory: string,
): string[] {
  return path.map((one) => {
    const root = one instanceof URL || one.startsWith("file:")
      ? fileURLToPath(one)
      : resolve(directory, one);
    if (!isDirectory(root)) throw new ConfigError(where, `path: there is no directory ${root}`);
    return root;
  });
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return false;
    }
    throw error;
  }
}

/**
 * The scripts of a project, for the reloader. Data beside them, which the project itself may write, is
 * none of its business.
 */
export function projectScripts(roots: readonly string[]): string[] {
  const found: string[] = [];
  const visit = (directory: string): void => {
    for (const { name, isDirectory, isFile } of Deno.readDirSync(directory)) {
      if (found.length >= MOST_SCRIPTS || name.startsWith(".") || name === "node_modules") continue;
      const path = join(directory, name);
      if (isDirectory) visit(path);
      else if (isFile && SCRIPT_EXTENSIONS.includes(extname(name))) found.push(path);
    }
  };
  for (const root of roots) visit(root);
  return found;
}
