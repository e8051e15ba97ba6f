/**
 * Preloaded into the processes of a service, it lets the local day end at `MIDNIGHT_AT`, in milliseconds
 * since 1970: both ways to ask for the time are put forward, in all of them by the same.
 *
 * @module
 */

const at = Number(Deno.env.get("MIDNIGHT_AT"));
const RealDate = Date;
const day = new RealDate(at);
const midnight = new RealDate(day.getFullYear(), day.getMonth(), day.getDate() + 1);
const shift = midnight.getTime() - at;

globalThis.Date = class extends RealDate {
  constructor(...args: [] | ConstructorParameters<typeof RealDate>) {
    super(...(args.length === 0 ? [RealDate.now() + shift] : args) as [number]);
  }

  static override now(): number {
    return RealDate.now() + shift;
  }
} as DateConstructor;
