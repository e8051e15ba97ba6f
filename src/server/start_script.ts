/**
 * The start script as a module that can be imported like any other.
 *
 * @module
 */

/**
 * How long the start script may take to finish after `run`, in milliseconds, unless it waits for
 * it.
 */
const FINISH_MS = 50;

let importing = false;

/**
 * True while the start script is evaluated once more because it is mounted by its own address. What
 * it says about the service then was said before, so `run` has nothing to do.
 */
export function isImportingStartScript(): boolean {
  return importing;
}

/**
 * Imports the script this process was started with. When that script waits for `run`, its module is
 * not complete before the server is, and importing it would wait for ever; so it is evaluated once
 * more under another address.
 */
export async function importStartScript(specifier: string): Promise<Record<string, unknown>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const module = await Promise.race([
    import(specifier) as Promise<Record<string, unknown>>,
    new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), FINISH_MS);
    }),
  ]);
  clearTimeout(timer);
  if (module !== undefined) return module;
  importing = true;
  try {
    return await import(`${specifier}?mounted`);
  } finally {
    importing = false;
  }
}
