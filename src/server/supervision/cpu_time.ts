/**
 * Processor time of single threads, where the system tells it.
 *
 * @module
 */

/** Ticks a second in `/proc`; Linux fixes it to 100 for everything user programs see. */
const TICKS_PER_SECOND = 100;

/** Number of the thread this runs in; 0 where the system does not tell. */
export function currentThread(): number {
  if (Deno.build.os !== "linux") return 0;
  try {
    // The link is resolved on the calling thread: "<pid>/task/<tid>".
    return Number(Deno.readLinkSync("/proc/thread-self").split("/").at(-1)) || 0;
  } catch (error) {
    if (isDenied(error)) return 0;
    throw error;
  }
}

/** Processor seconds a thread of this process has used; `undefined` where the system does not tell. */
export function threadSeconds(tid: number): number | undefined {
  if (Deno.build.os !== "linux" || tid === 0) return undefined;
  try {
    return parseStat(Deno.readTextFileSync(`/proc/self/task/${tid}/stat`));
  } catch (error) {
    // A thread that has ended meanwhile reads as not found.
    if (isDenied(error)) return undefined;
    throw error;
  }
}

/** User and system seconds in the text of a `stat` file. The name in brackets may contain blanks. */
export function parseStat(text: string): number {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function isDenied(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable ||
    error instanceof Deno.errors.PermissionDenied || (error as { code?: unknown }).code === "ESRCH";
}
