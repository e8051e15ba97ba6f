/**
 * Notes the closing of WebSockets that apps open through the runtime.
 *
 * @module
 */

import { nodeBuffer } from "../../core/node_builtins.ts";
import { runningContext } from "../../core/context.ts";
import type { Log } from "../../core/log.ts";
import { journalConnection } from "../connection_journal.ts";

let journal: Log | undefined;

/**
 * Makes `Deno.upgradeWebSocket` of this isolate write a line to the log for each of its sockets when
 * that closes. A further call changes the log only. Requests without upgrade do not notice.
 */
export function journalWebSockets(log: Log): void {
  const isInstalled = journal !== undefined;
  journal = log;
  if (isInstalled) return;
  const native = Deno.upgradeWebSocket;
  Deno.upgradeWebSocket = (...args: Parameters<typeof native>) => {
    // With the upgrade the runtime forgets the peer; asked for before, the context remembers.
    const address = runningContext()?.remoteAddr ?? "unknown";
    const upgrade = native(...args);
    watch(upgrade.socket, address);
    return upgrade;
  };
}

function watch(socket: WebSocket, address: string): void {
  let openedAt = 0;
  let bytesIn = 0;
  let bytesOut = 0;
  const send = socket.send;
  socket.send = function (this: WebSocket, data) {
    send.call(this, data);
    bytesOut += sizeOf(data);
  };
  socket.addEventListener("open", () => openedAt = performance.now());
  socket.addEventListener("message", ({ data }) => bytesIn += sizeOf(data));
  socket.addEventListener("close", () => {
    // What never opened was refused, and is in the request log.
    if (openedAt === 0 || journal === undefined) return;
    journalConnection(journal, { kind: "websocket", address, bytesIn, bytesOut, openedAt });
  });
}

function sizeOf(data: string | Blob | ArrayBufferView | ArrayBufferLike): number {
  if (typeof data === "string") return nodeBuffer().byteLength(data);
  return data instanceof Blob ? data.size : data.byteLength;
}
