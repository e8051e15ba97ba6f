/**
 * From the target of a mount to what answers: a directory, or an app that is imported or given.
 *
 * @module
 */

import { basename, extname, fileURLToPath, pathToFileURL, resolve } from "../core/file_path.ts";
import { isMountedApp, type MountedApp } from "../core/app.ts";
import { ConfigError } from "../core/errors.ts";
import { ForeignApp, isFetchApp } from "../mounts/fetch_app.ts";
import { scriptUrl } from "./paths.ts";
import { projectRoots, SCRIPT_EXTENSIONS as EXTENSIONS } from "./project.ts";
import type { MountSpec } from "./service.ts";
import { importStartScript } from "./start_script.ts";

/** What a target turns out to be. */
export type Target =
  /** A directory to serve files from. */
  | { readonly kind: "directory"; readonly directory: string }
  /** A script to import, by file URL or package specifier. */
  | { readonly kind: "module"; readonly specifier: string; readonly file: string | undefined }
  /** An app that is here already. */
  | { readonly kind: "object"; readonly app: unknown };

/** An app that can be attached and mounted. */
export interface LoadedTarget {
  /** The app. */
  readonly app: MountedApp;
  /** Its file name without extension; `""` for an object whose file is not known. */
  readonly name: string;
}

const PACKAGE = /^(?:npm|jsr|https?|data):/;

/** How a mount is named in errors. */
export function whereOf(spec: Pick<MountSpec, "point">): string {
  return `mount(${JSON.stringify(spec.point)})`;
}

/**
 * Finds out what a target is, without importing anything.
 *
 * @param directory Where relative paths start: the directory of the start script.
 * @throws {ConfigError} for a path where nothing is, and for kinds of targets this version does not
 * know.
 */
export function resolveTarget(spec: MountSpec, directory: string): Target {
  const where = whereOf(spec);
  const target = spec.target instanceof URL ? spec.target.href : spec.target;
  if (typeof target !== "string") {
    if (Array.isArray(target)) {
      throw new ConfigError(where, "mounts of installed modules are not supported by this version");
    }
    return { kind: "object", app: target };
  }
  if (target.startsWith("@")) {
    throw new ConfigError(
      where,
      `reverse-proxy mounts such as ${target} are not supported by this version`,
    );
  }
  if (target.startsWith("file:")) return resolvePath(where, [fileURLToPath(target)]);
  if (PACKAGE.test(target)) return { kind: "module", specifier: target, file: undefined };
  const roots = [...projectRoots(where, spec.path ?? [], directory), directory];
  return resolvePath(where, [...new Set(roots.map((root) => resolve(root, target)))]);
}

/** The first of several paths where something is. */
function resolvePath(where: string, paths: readonly string[]): Target {
  for (const path of paths) {
    const found = targetAt(where, path);
    if (found !== undefined) return found;
  }
  throw new ConfigError(where, `there is no directory and no script ${paths.join(" or ")}`);
}

function targetAt(where: string, path: string): Target | undefined {
  const info = inspect(path);
  if (info?.isDirectory) return { kind: "directory", directory: path };
  if (info?.isFile) {
    if (EXTENSIONS.includes(extname(path))) return moduleOf(path);
    throw new ConfigError(where, `${path} is neither a directory nor a script`);
  }
  for (const extension of EXTENSIONS) {
    if (inspect(path + extension)?.isFile) return moduleOf(path + extension);
  }
  return undefined;
}

function inspect(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return undefined;
    }
    throw error;
  }
}

function moduleOf(file: string): Target {
  return { kind: "module", specifier: pathToFileURL(file).href, file };
}

/**
 * Imports a module target, or takes the object, and finds the app in it.
 *
 * @throws whatever the module throws, and {@link ConfigError} when the app is not in it.
 */
export async function loadTarget(
  spec: MountSpec,
  target: Exclude<Target, { kind: "directory" }>,
): Promise<LoadedTarget> {
  const where = whereOf(spec);
  if (target.kind === "object") {
    const object = isNamespace(target.app)
      ? exportOf(where, "the module", target.app, spec.export)
      : target.app;
    const app = appOf(where, "the target", object, spec, undefined);
    return { app, name: nameOf(app) };
  }
  const { specifier, file } = target;
  const module = specifier === scriptUrl()
    ? await importStartScript(specifier)
    : await import(specifier) as Record<string, unknown>;
  const what = file ?? specifier;
  const object = exportOf(where, what, module, spec.export);
  const app = appOf(where, `export "${spec.export}" of ${what}`, object, spec, file);
  const path = file ?? specifier;
  return { app, name: basename(path, extname(path)) };
}

function isNamespace(value: unknown): value is Record<string, unknown> {
  return Object.prototype.toString.call(value) === "[object Module]" && !isFetchApp(value);
}

function exportOf(
  where: string,
  what: string,
  module: Record<string, unknown>,
  name: string,
): unknown {
  const found = module[name] ?? (name === "app" ? module.default : undefined);
  if (found !== undefined) return found;
  if (isFetchApp(module)) return module;
  const names = Object.keys(module);
  throw new ConfigError(
    where,
    `${what} has no export "${name}"; it has ${names.length === 0 ? "none" : names.join(", ")}`,
  );
}

function appOf(
  where: string,
  what: string,
  object: unknown,
  spec: MountSpec,
  file: string | undefined,
): MountedApp {
  if (isMountedApp(object)) return object;
  if (isFetchApp(object)) return new ForeignApp(object, { stripPrefix: spec.stripPrefix, file });
  throw new ConfigError(
    where,
    `${what} is no app: neither an Atila app, nor an object with fetch(), nor a function`,
  );
}

/** Name of an app that was given as an object, from the file it says it comes from. */
function nameOf(app: MountedApp): string {
  const file = app.watched.find((path) => EXTENSIONS.includes(extname(path)));
  return file === undefined ? "" : basename(file, extname(file));
}
