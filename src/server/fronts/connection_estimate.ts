/**
 * How many connections are open on a port, for the front that is not told of them.
 *
 * @module
 */

import { hexPort, readTcpTables, tableAddress, withoutPrefix } from "../tcp_tables.ts";

const ESTABLISHED = "01";
/** A count that took long is not repeated until a hundred times that has passed, or five seconds. */
const SHARE_OF_TIME = 100;
const REFRESH_MS = 1000;
const MAX_AGE_MS = 5000;
/** Who listens on one of these listens on every address. */
const UNSPECIFIED: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/**
 * On Linux the established connections of an address and port, counted by the system, at most once a
 * second and only while somebody asks. All workers that share the port are counted together. Elsewhere,
 * and until the first count is there, the fallback.
 */
export class ConnectionEstimate {
  readonly #address: string;
  readonly #port: number;
  readonly #fallback: () => number;
  #count: number | undefined;
  #nextAt = 0;
  #counting: Promise<void> | undefined;
  #isAvailable = Deno.build.os === "linux";

  /** Counts for an IP address, which may be that of all addresses, and a port. */
  constructor(address: string, port: number, fallback: () => number) {
    this.#address = address;
    this.#port = port;
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
      const tables = await readTcpTables();
      this.#count = tables.reduce(
        (sum, table) => sum + countEstablished(table, this.#address, this.#port),
        0,
      );
    } catch (error) {
      // No /proc, or no permission to read it: the fallback is all there is. Anything else may pass.
      const { NotFound, NotCapable, PermissionDenied } = Deno.errors;
      this.#isAvailable = ![NotFound, NotCapable, PermissionDenied].some((no) =>
        error instanceof no
      );
    }
    const now = performance.now();
    if (this.#nextAt !== Number.POSITIVE_INFINITY) {
      const pause = Math.max(REFRESH_MS, (now - begun) * SHARE_OF_TIME);
      this.#nextAt = now + Math.min(pause, MAX_AGE_MS);
    }
    this.#counting = undefined;
  }
}

/** Counts the connections of a table that are established on an IP address, or on all, and a port. */
export function countEstablished(table: string, address: string, port: number): number {
  const local = UNSPECIFIED.has(address) ? undefined : tableAddress(address, port);
  const suffix = `:${hexPort(port)} `;
  const seen = new Set<string>();
  // "   0: 0100007F:1388 0200007F:C350 01 …": local address, remote address, state.
  for (let at = table.indexOf(suffix); at !== -1; at = table.indexOf(suffix, at + 1)) {
    const remoteAt = at + suffix.length;
    const stateAt = table.indexOf(" ", remoteAt) + 1;
    if (!table.startsWith(ESTABLISHED, stateAt)) continue;
    const localAt = table.lastIndexOf(" ", at) + 1;
    // A remote address is no local one.
    if (table[localAt - 2] !== ":") continue;
    const row = table.slice(localAt, stateAt);
    if (local !== undefined && !withoutPrefix(row).startsWith(local)) continue;
    // The table is read piece by piece and may have moved on in between: a row can come twice.
    seen.add(row);
  }
  return seen.size;
}
