/**
 * What the system still has to send to each client. Node tells that a piece of a response is out, not how
 * it gets along; a slow client may take a long time for what the system has buffered.
 *
 * @module
 */

import { hexPort, readTcpTables, withoutPrefix } from "../tcp_tables.ts";

/** Unsent bytes by the peer's `tableAddress()`; `undefined` where the system has no such table. */
export async function readSendQueues(
  localPort: number,
): Promise<ReadonlyMap<string, number> | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  try {
    const queues = new Map<string, number>();
    for (const table of await readTcpTables()) parseSendQueues(table, localPort, queues);
    return queues;
  } catch {
    // No /proc, or no permission to read it.
    return undefined;
  }
}

/** Adds the rows of a `/proc/net/tcp` table that belong to a local port. */
export function parseSendQueues(
  table: string,
  localPort: number,
  queues: Map<string, number>,
): void {
  const suffix = `:${hexPort(localPort)}`;
  // "  0: 0100007F:1388 0200007F:C350 01 000000A0:00000000 …": local, remote, state, unsent:unread.
  for (const line of table.split("\n")) {
    const [, local, remote, , amounts] = line.trim().split(/ +/, 5);
    if (local === undefined || amounts === undefined || !local.endsWith(suffix)) continue;
    queues.set(withoutPrefix(remote!), Number.parseInt(amounts, 16));
  }
}
