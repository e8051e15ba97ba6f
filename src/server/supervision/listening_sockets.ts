/**
 * Which sockets listen on a port, and which of them are this process's own, as Linux tells it.
 *
 * @module
 */

import { hexPort, TCP_TABLES } from "../tcp_tables.ts";

/** A listening socket. */
export interface ListeningSocket {
  /** Address and port as the system writes them; sockets of one place divide its connections. */
  readonly place: string;
  /** Number of the socket, unique in the system while it exists. */
  readonly inode: string;
}

const LISTEN = "0A";
const CHUNK_BYTES = 16 * 1024;

/**
 * Sockets that listen on one of the ports.
 *
 * @throws {Deno.errors.NotFound} and {Deno.errors.NotCapable} where the system's tables cannot be read.
 */
export function listeningSockets(ports: readonly number[]): ListeningSocket[] {
  const wanted = ports.map(hexPort);
  return TCP_TABLES.flatMap((path) => {
    let table: string;
    try {
      table = readListening(path);
    } catch (error) {
      // There is no second table on a system without IPv6.
      if (path === TCP_TABLES[1] && error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
    return parseListening(table, wanted).map(({ place, inode }) => ({
      place: `${path} ${place}`,
      inode,
    }));
  });
}

/** Whether others listen in the places where this process does. False where the system does not tell. */
export function isPortShared(port: number): boolean {
  try {
    const sockets = listeningSockets([port]);
    const own = ownDescriptors(sockets);
    const places = new Set(
      sockets.filter(({ inode }) => own.has(inode)).map(({ place }) => place),
    );
    return sockets.some(({ inode, place }) => places.has(place) && !own.has(inode));
  } catch (error) {
    // Another system, or a run without permission to ask this one.
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) {
      return false;
    }
    throw error;
  }
}

/** The table up to its last listening socket: these come first, and the others may be very many. */
function readListening(path: string): string {
  using file = Deno.openSync(path);
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(CHUNK_BYTES);
  let text = "";
  for (;;) {
    const size = file.readSync(chunk);
    if (size === null) return text;
    text += decoder.decode(chunk.subarray(0, size), { stream: true });
    const end = text.lastIndexOf("\n");
    const start = text.lastIndexOf("\n", end - 1) + 1;
    // The first line is the heading.
    if (start > 0 && end > start && columns(text.slice(start, end))[3] !== LISTEN) return text;
  }
}

/** Rows of such a table that listen on one of the ports (four hex digits each). */
export function parseListening(table: string, ports: readonly string[]): ListeningSocket[] {
  const found: ListeningSocket[] = [];
  for (const row of table.split("\n").slice(1)) {
    // sl, local address, remote address, state, queues, timer, retransmits, uid, timeout, inode
    const [, place = "", , state, , , , , , inode = ""] = columns(row);
    if (state === LISTEN && ports.includes(place.slice(place.lastIndexOf(":") + 1))) {
      found.push({ place, inode });
    }
  }
  return found;
}

function columns(row: string): string[] {
  return row.trim().split(/\s+/);
}

/**
 * Descriptors of this process by the number of their socket, for those of the given sockets it has.
 *
 * @throws {Deno.errors.NotCapable} without permission to read them.
 */
export function ownDescriptors(sockets: readonly ListeningSocket[]): Map<string, number> {
  const inodes = new Set(sockets.map(({ inode }) => inode));
  const own = new Map<string, number>();
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    let target: string;
    try {
      target = Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch (error) {
      // Closed in the meantime, as the one is by which the directory is read.
      if (error instanceof Deno.errors.NotFound) continue;
      throw error;
    }
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined && inodes.has(inode)) own.set(inode, Number(name));
  }
  return own;
}
