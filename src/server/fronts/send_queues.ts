/**
 * What the system still has to send to each client. Node tells that a piece of a response is out, not how
 * it gets along; a slow client may take a long time for what the system has buffered.
 *
 * @module
 */

const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"] as const;

/** Unsent bytes by {@link peerKey}; `undefined` where the system has no such table. */
export async function readSendQueues(
  localPort: number,
): Promise<ReadonlyMap<string, number> | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  try {
    const tables = await Promise.all(TABLES.map((path) => Deno.readTextFile(path)));
    const queues = new Map<string, number>();
    for (const table of tables) parseSendQueues(table, localPort, queues);
    return queues;
  } catch {
    // No /proc, or no permission to read it.
    return undefined;
  }
}

/** How {@link readSendQueues} names a peer: address and port in the hexadecimal form of the table. */
export function peerKey(address: string, port: number): string {
  return `${hexAddress(address)}:${hex(port, 4)}`;
}

/** Adds the rows of a `/proc/net/tcp` table that belong to a local port. */
export function parseSendQueues(
  table: string,
  localPort: number,
  queues: Map<string, number>,
): void {
  const suffix = `:${hex(localPort, 4)}`;
  // "  0: 0100007F:1388 0200007F:C350 01 000000A0:00000000 …": local, remote, state, unsent:unread.
  for (const line of table.split("\n")) {
    const [, local, remote, , amounts] = line.trim().split(/ +/, 5);
    if (local === undefined || amounts === undefined || !local.endsWith(suffix)) continue;
    queues.set(withoutPrefix(remote!), Number.parseInt(amounts, 16));
  }
}

/** An IPv4 peer on a socket of both families has a prefix. */
const MAPPED = "0000000000000000FFFF0000";

function withoutPrefix(remote: string): string {
  return remote.startsWith(MAPPED) ? remote.slice(MAPPED.length) : remote;
}

/** The table has addresses as words in the order of the machine, which is little-endian where Deno runs. */
function hexAddress(address: string): string {
  if (!address.includes(":")) {
    return address.split(".").reverse().map((part) => hex(Number(part), 2)).join("");
  }
  const [head, tail] = address.split("%", 1)[0]!.split("::", 2) as [string, string?];
  const groups = (text: string | undefined) => text ? text.split(":") : [];
  const before = groups(head);
  const after = groups(tail);
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  const bytes = [...before, ...zeros, ...after].map((group) => group.padStart(4, "0")).join("");
  return bytes.replace(/(..)(..)(..)(..)/g, "$4$3$2$1").toUpperCase();
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}
