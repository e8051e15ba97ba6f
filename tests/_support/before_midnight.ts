/**
 * Preloaded into a process, it lets the local day end in `MIDNIGHT_IN_MS` milliseconds: both ways to ask
 * for the time are put forward.
 *
 * @module
 */

const wait = Number(Deno.env.get("MIDNIGHT_IN_MS") ?? 0);
const RealDate = Date;
const start = RealDate.now();
const today = new RealDate(start);
const midnight = new RealDate(today.getFullYear(), today.getMonth(), today.getDate() + 1);
const shift = midnight.getTime() - wait - start;

globalThis.Date = class extends RealDate {
  constructor(...args: [] | ConstructorParameters<typeof RealDate>) {
    super(...(args.length === 0 ? [RealDate.now() + shift] : args) as [number]);
  }

  static override now(): number {
    return RealDate.now() + shift;
  }
} as DateConstructor;
