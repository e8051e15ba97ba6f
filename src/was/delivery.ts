/**
 * What all kinds of backends need around the delivery of a request: failures that name the alias, and
 * health checks from the first request on.
 *
 * @module
 */

import { BackendError } from "../core/errors.ts";
import { type Alias, type AliasRegistry, appAliases } from "./aliases.ts";
import { backends } from "./backend_clients.ts";

/** Makes the error of a failed request name its alias. */
export function nameFailure(error: Error, alias: Alias, attempts: number): void {
  if (!(error instanceof BackendError) || error.alias !== undefined) return;
  const tries = attempts > 1 ? `, after ${attempts} attempts` : "";
  Object.assign(error, {
    alias: alias.name,
    attempts,
    message: `${alias.name}: ${error.message}${tries}`,
  });
}

/** The error of a request that no member of the alias may be asked for. */
export function unavailable(alias: Alias, error: BackendError): BackendError {
  return new BackendError(`${alias.name}: ${error.message}`, error.statusCode, {
    alias: alias.name,
    code: error.code,
    attempts: 0,
  });
}

const watched = new WeakSet<Alias>();

/** Starts the health checks of an alias, if it has some, in this worker. */
export function watchHealth(alias: Alias): void {
  if (alias.health === undefined || watched.has(alias)) return;
  watched.add(alias);
  void backends.get(`health of ${alias.scope}`, async () => {
    const { watch } = await import("./health_checks.ts");
    return watch(alias, () => watched.delete(alias));
  });
}

/** Starts the health checks of all aliases that have some, those of apps included. */
export function watchAll(registry: AliasRegistry): void {
  const all = [registry, ...appAliases].flatMap((one) => one.all());
  for (const alias of all) watchHealth(alias);
}
