/**
 * How many connections a process can have open, as far as the system has a say in it.
 *
 * @module
 */

/** Share of the files that is for connections of clients; backends and files of the disk need the rest. */
const SHARE = 0.5;

/**
 * Most connections each of so many workers of this process can take with the files it may open
 * (`ulimit -n`), or infinity where that is not known.
 */
export function mostConnections(workers: number, limits: string = readLimits()): number {
  const soft = /^Max open files +(\d+)/m.exec(limits)?.[1];
  if (soft === undefined) return Number.POSITIVE_INFINITY;
  return Math.max(1, Math.floor(Number(soft) * SHARE / workers));
}

function readLimits(): string {
  if (Deno.build.os !== "linux") return "";
  try {
    return Deno.readTextFileSync("/proc/self/limits");
  } catch (error) {
    // A sandbox without /proc, or a run that may not read it.
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) return "";
    throw error;
  }
}
