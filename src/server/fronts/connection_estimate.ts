/**
 * How many connections are open on a port, for the front that is not told of them.
 *
 * @module
 */

const ESTABLISHED = "01";
const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"] as const;
/** A count that took long is not repeated until a hundred times that has passed, or five seconds. */
const SHARE_OF_TIME = 100;
const REFRESH_MS = 1000;
const MAX_AGE_MS = 5000;

/**
 * On Linux the established connections of a port, counted by the system, at most once a second and only
 * while somebody asks. All workers that share the port are counted together. Elsewhere, and until the
 * first count is there, the fallback.
 */
export class ConnectionEstimate {
  readonly #port: string;
  readonly #fallback: () => number;
  #count: number | undefined;
  #nextAt = 0;
  #counting: Promise<void> | undefined;
  #isAvailable = Deno.build.os === "linux";

  /** Counts for a port. */
  constructor(port: number, fallback: () => number) {
    this.#port = port.toString(16).toUpperCase().padStart(4, "0");
    this.#fallback = fallback;
  }

  /** The last count; starts a new one when it is old at `now`, a `performance.now()`. */
  at(now: number): number {
    if (now >= this.#nextAt && this.#isAvailable && this.#counting === undefined) {
      this.#counting = this.#refresh();
    }
    return Math.max(this.#count ?? 0, this.#fallback());
  }

  /** Resolves when no count is under way. */
  async settled(): Promise<void> {
    this.#nextAt = Number.POSITIVE_INFINITY;
    await this.#counting;
  }

  async #refresh(): Promise<void> {
    const begun = performance.now();
    try {
      const tables = await Promise.all(TABLES.map((path) => Deno.readTextFile(path)));
      this.#count = tables.reduce((sum, table) => sum + countEstablished(table, this.#port), 0);
    } catch {
      // No /proc, or no permission to read it: the fallback is all there is.
      this.#isAvailable = false;
    }
    const now = performance.now();
    if (this.#nextAt !== Number.POSITIVE_INFINITY) {
      const pause = Math.max(REFRESH_MS, (now - begun) * SHARE_OF_TIME);
      this.#nextAt = now + Math.min(pause, MAX_AGE_MS);
    }
    this.#counting = undefined;
  }
}

/** Counts the rows of a `/proc/net/tcp` table that are established on a local port (four hex digits). */
export function countEstablished(table: string, port: string): number {
  let count = 0;
  // "   0: 0100007F:1388 0200007F:C350 01 …": local address, remote address, state.
  for (let at = table.indexOf("\n"); at !== -1; at = table.indexOf("\n", at + 1)) {
    const colon = table.indexOf(": ", at);
    if (colon === -1) break;
    const portAt = table.indexOf(":", colon + 2) + 1;
    if (!table.startsWith(port, portAt) || table[portAt + 4] !== " ") continue;
    const state = table.indexOf(" ", portAt + 5) + 1;
    if (table.startsWith(ESTABLISHED, state)) count++;
  }
  return count;
}
