/**
 * Paths of files, as `node:path` and `node:url` have them.
 *
 * These two modules of Node take as long to load as a fifth of a whole start, and every service works
 * out a few paths. So the common functions are here; Windows, whose paths have more rules, and what is
 * wrong is left to Node.
 *
 * @module
 */

import { nodePath, nodeUrl } from "./node_builtins.ts";

const IS_WINDOWS = Deno.build.os === "windows";

/** Joins parts with `/` and takes `.`, `..` and doubled slashes out. `.` for nothing. */
export function join(...parts: string[]): string {
  if (IS_WINDOWS) return nodePath().join(...parts);
  return normalize(parts.filter((part) => part !== "").join("/"));
}

/** The path without `.`, `..` and doubled slashes. `.` for nothing. */
export function normalize(path: string): string {
  if (IS_WINDOWS) return nodePath().normalize(path);
  const root = path.startsWith("/") ? "/" : "";
  const body = reduce(path, root !== "");
  if (body === "") return root || (path.endsWith("/") ? "./" : ".");
  return root + body + (path.endsWith("/") ? "/" : "");
}

/** The absolute path that parts lead to, one after the other, from the current directory. */
export function resolve(...parts: string[]): string {
  if (IS_WINDOWS) return nodePath().resolve(...parts);
  let path = "";
  for (let i = parts.length - 1; i >= 0 && !path.startsWith("/"); i--) {
    if (parts[i] !== "") path = path === "" ? parts[i]! : `${parts[i]}/${path}`;
  }
  if (!path.startsWith("/")) path = `${Deno.cwd()}/${path}`;
  return `/${reduce(path, true)}`;
}

/** Whether a path says where it starts. */
export function isAbsolute(path: string): boolean {
  return IS_WINDOWS ? nodePath().isAbsolute(path) : path.startsWith("/");
}

/** The directory something is in, as its path has it: `.` where it has none. */
export function dirname(path: string): string {
  if (IS_WINDOWS) return nodePath().dirname(path);
  const slash = path.lastIndexOf("/", endOfName(path) - 1);
  if (slash <= 0) return path.startsWith("/") ? "/" : ".";
  return slash === 1 && path.startsWith("/") ? "//" : path.slice(0, slash);
}

/** The last part of a path, without the extension where {@link extname} of the path is given. */
export function basename(path: string, extension = ""): string {
  if (IS_WINDOWS) return nodePath().basename(path, extension);
  const end = endOfName(path);
  const name = path.slice(path.lastIndexOf("/", end - 1) + 1, end);
  return extension !== "" && name.endsWith(extension) ? name.slice(0, -extension.length) : name;
}

/** What a name has from its last dot on, with the dot; nothing for names that only begin with one. */
export function extname(path: string): string {
  if (IS_WINDOWS) return nodePath().extname(path);
  const name = basename(path);
  const dot = name.lastIndexOf(".");
  return dot <= 0 || name === ".." ? "" : name.slice(dot);
}

/**
 * The path of a `file:` URL.
 *
 * @throws {TypeError} for other URLs, and for those that no path can be made of.
 */
export function fileURLToPath(url: string | URL): string {
  const { protocol, host, pathname } = typeof url === "string" ? new URL(url) : url;
  if (IS_WINDOWS || protocol !== "file:" || host !== "" || /%2f/i.test(pathname)) {
    return nodeUrl().fileURLToPath(url);
  }
  return decodeURIComponent(pathname);
}

/** The `file:` URL of a path. */
export function pathToFileURL(path: string): URL {
  if (IS_WINDOWS) return nodeUrl().pathToFileURL(path);
  const url = new URL("file://");
  const full = resolve(path) + (path.length > 1 && path.endsWith("/") ? "/" : "");
  // The setter encodes the others itself.
  url.pathname = full.replace(/[%\\\n\r\t?#^|[\]~]/g, percentEncoded);
  return url;
}

/** The parts of a path without those that say nothing. */
function reduce(path: string, isRooted: boolean): string {
  const kept: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== "..") kept.pop();
    else if (!isRooted) kept.push("..");
  }
  return kept.join("/");
}

/** An ASCII character as it stands in a URL. */
function percentEncoded(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}

/** Where a path ends without the slashes after it. */
function endOfName(path: string): number {
  let end = path.length;
  while (end > 0 && path[end - 1] === "/") end--;
  return end;
}
