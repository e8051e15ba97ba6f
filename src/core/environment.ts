/**
 * What the environment says about this run: development or production.
 *
 * @module
 */

/** The command line argument that switches to production, the same as `SKITAI_ENV=PRODUCTION`. */
export const PRODUCTION_FLAG = "---production";

/**
 * False in production, where `debug` and `useReloader` are off for every app, whatever code or
 * preferences say: the environment has `SKITAI_ENV=PRODUCTION`, or the command line has
 * `---production` anywhere.
 */
export function isDevel(): boolean {
  return Deno.env.get("SKITAI_ENV")?.toUpperCase() !== "PRODUCTION" &&
    !Deno.args.includes(PRODUCTION_FLAG);
}
