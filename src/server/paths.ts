/**
 * Where the service lives: its script, its name, and the directories derived from them.
 *
 * @module
 */

import {
  basename,
  dirname,
  extname,
  fileURLToPath,
  isAbsolute,
  join,
  normalize,
  resolve,
} from "../core/file_path.ts";

/** Environment variable that replaces the base of all runtime directories, for tests and containers. */
export const VAR_ENV = "SKITAI_VAR";

let serviceName: string | undefined;

/** Remembers the name given to `run`. */
export function setServiceName(name: string | undefined): void {
  serviceName = name;
}

/** URL of the start script, in the main thread and in workers alike. */
export function scriptUrl(): string {
  // A worker has no `Deno.mainModule`; its location is the same script.
  return Deno.mainModule ?? globalThis.location?.href ?? "";
}

/** Path of the start script, or `""` when it is not a local file. */
export function scriptPath(): string {
  const url = scriptUrl();
  return url.startsWith("file:") ? fileURLToPath(url) : "";
}

/** Where the process was when it started, before it changed to the directory of the script. */
export const launchDirectory: string = currentDirectory();

function currentDirectory(): string {
  try {
    return Deno.cwd();
  } catch (error) {
    // Deleted under our feet. Nothing relative can be resolved then, but absolute paths still work.
    if (error instanceof Deno.errors.NotFound) return "/";
    throw error;
  }
}

/**
 * The absolute directory of the start script, valid before `run`. For a compiled program it is the
 * directory of the executable, for a script from the network the directory it was started in.
 */
export function getswd(): string {
  if (Deno.build.standalone) return dirname(Deno.execPath());
  const path = scriptPath();
  return path === "" ? launchDirectory : dirname(path);
}

/**
 * Joins parts onto the directory of the start script and normalises; an absolute part starts over.
 *
 * @example
 * ```ts ignore
 * abspath("resources", "site.sqlite3"); // "/srv/shop/resources/site.sqlite3"
 * abspath("a", "/etc/motd"); // "/etc/motd"
 * ```
 */
export function abspath(...parts: string[]): string {
  const path = resolve(getswd(), ...parts);
  return isAbsolute(path) ? path : normalize(path);
}

/** The same as {@link abspath}. */
export function joinpath(...parts: string[]): string {
  return abspath(...parts);
}

/**
 * Name of the service: the one given to `run`, or else the directory of the start script, followed by
 * `-<script>` unless the script is called `app`. It keys the pid, var and log directories.
 */
export function getServiceName(): string {
  if (serviceName !== undefined) return serviceName;
  const path = Deno.build.standalone ? Deno.execPath() : scriptPath();
  if (path === "") return "app";
  const script = basename(path, extname(path));
  // A script in the root directory has no directory name to be called after.
  const directory = basename(dirname(path)) || "root";
  return script === "app" ? directory : `${directory}-${script}`;
}

/** Title of the service in process lists, without the role: `skitai/<name>`. */
export function getProcTitle(): string {
  return `skitai/${getServiceName()}`;
}

/** Directory that holds the runtime directories of all services. */
export function getVarBase(): string {
  const override = Deno.env.get(VAR_ENV);
  if (override) return resolve(launchDirectory, override);
  if (Deno.build.os !== "windows") return "/var/tmp/skitai";
  return join(Deno.env.get("TEMP") ?? Deno.env.get("TMP") ?? "C:\\Windows\\Temp", "skitai");
}

/**
 * Runtime directory of a service: `/var/tmp/skitai/<name>`, in the temporary directory on Windows.
 * Colons, blanks and slashes in the name become `-`. The directory is not created by asking for it.
 */
export function getVarPath(name: string = getServiceName()): string {
  return join(getVarBase(), name.replaceAll(/[:\s/\\]/g, "-"));
}
