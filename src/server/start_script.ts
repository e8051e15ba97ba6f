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
let ranMeanwhile: (() => void) | undefined;

/**
 * True while the start script is evaluated once more because it is mounted by its own address. What
 * it says about the service then was said before, so `run` has nothing to do.
 */
export function isImportingStartScript(): boolean {
  if (importing) ranMeanwhile?.();
  return importing;
}

/**
 * Imports a start script for what it says about its service; its `run` does nothing. Resolves to its
 * exports, or to nothing when it waits for `run`, in which case its module is never complete.
 */
export async function importWithoutRunning(
  specifier: string,
): Promise<Record<string, unknown> | undefined> {
  importing = true;
  const ran = new Promise<void>((resolve) => {
    ranMeanwhile = resolve;
  });
  const module = import(specifier) as Promise<Record<string, unknown>>;
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    return await Promise.race([
      module,
      ran.then(() =>
        new Promise<undefined>((resolve) => {
          timer = setTimeout(() => resolve(undefined), FINISH_MS);
        })
      ),
    ]);
  } finally {
    clearTimeout(timer);
    importing = false;
    ranMeanwhile = undefined;
  }
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
