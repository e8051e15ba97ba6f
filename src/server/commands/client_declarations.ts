/**
 * `skitai client`: loads a script without serving it, and writes declarations of its routes.
 *
 * @module
 */

import { pathToFileURL, resolve } from "../../core/file_path.ts";
import { Atila } from "../../atila/atila.ts";
import { clientDeclarations, type DeclaredApp } from "../../atila/openapi/declarations.ts";
import { ConfigError } from "../../core/errors.ts";
import { loadTarget, resolveTarget } from "../app_loader.ts";
import { service } from "../service.ts";
import { importWithoutRunning } from "../start_script.ts";

/** Options of {@link declareClient}. */
export interface DeclareOptions {
  /** Name of the export that is the app. Default `app`, then the default export. */
  readonly export?: string;
  /** Prefix of the mount, where the script does not mount the app itself. Default `/`. */
  readonly point?: string;
}

/**
 * Declarations of the app a script exports, or of the Atila apps it mounts. Its `run` does nothing.
 *
 * @param report Told of what cannot be described.
 * @throws {ConfigError} when there is no Atila app in it, or for a prefix that is none; whatever the script throws.
 */
export async function declareClient(
  script: string,
  options: DeclareOptions,
  report: (problem: string) => void,
): Promise<string> {
  if (options.point !== undefined && !options.point.startsWith("/")) {
    throw new ConfigError("--point", `${JSON.stringify(options.point)} has no slash at its start`);
  }
  const file = resolve(script);
  const module = await importWithoutRunning(pathToFileURL(file).href);
  const name = options.export;
  const exported = module?.[name ?? "app"] ?? (name === undefined ? module?.default : undefined);
  const apps: DeclaredApp[] = exported instanceof Atila
    ? [{ app: exported, point: options.point ?? pointOf(exported) }]
    : name === undefined
    ? await mountedApps(resolve(file, ".."))
    : [];
  if (apps.length === 0) {
    throw new ConfigError(
      script,
      name === undefined
        ? 'it neither exports an Atila app as "app" nor mounts one'
        : `its export "${name}" is no Atila app`,
    );
  }
  for (const { app } of apps) await app.ready();
  return await clientDeclarations(apps, report);
}

/** Prefix at which the script mounts the app. */
function pointOf(app: Atila): string {
  return service.mounts.find(({ target }) => target === app)?.point ?? "/";
}

/** The Atila apps that were mounted, scripts included. */
async function mountedApps(directory: string): Promise<DeclaredApp[]> {
  const apps: DeclaredApp[] = [];
  for (const spec of service.mounts) {
    const target = resolveTarget(spec, directory);
    if (target.kind === "directory") continue;
    const { app } = await loadTarget(spec, target);
    if (app instanceof Atila) apps.push({ app, point: spec.point });
  }
  return apps;
}
