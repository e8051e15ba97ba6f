/**
 * What the `edge` front knows of each connection.
 *
 * @module
 */

import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { EdgeContext } from "./edge_context.ts";
import { plainAddress } from "./request_rules.ts";
import { ResetBudget } from "./reset_budget.ts";

/** One accepted connection, from the first packet to the last. */
export class EdgeConnection {
  /** The socket that was accepted; under TLS the one with the encrypted bytes. */
  readonly raw: Socket;
  /** The socket that requests come from: `raw` without TLS, and until the handshake is done. */
  socket: Socket;
  /** The HTTP/2 session, where the client chose that. */
  session: ServerHttp2Session | undefined;
  /** Peer address. */
  readonly address: string;
  /** Peer port. */
  readonly port: number;
  /** `performance.now()` when it was accepted. */
  readonly openedAt: number = performance.now();
  /** Requests that are not over, in the order they came. */
  readonly exchanges: EdgeContext[] = [];
  /** Takes requests that have come after those, in order (HTTP/1). */
  readonly waiting: (() => void)[] = [];
  /** A request has come. */
  hasServed = false;
  /** `performance.now()` when the last request was over. */
  idleSince: number;
  /** Bytes received when the last request was over. */
  bytesWhenIdle = 0;
  /** `performance.now()` when bytes of a further request were noticed; 0 while there are none. */
  headerSince = 0;
  /** `performance.now()` when the client ended its direction; 0 while it has not. */
  endedAt = 0;
  /** `performance.now()` when the last response was on its way and only rest is read; 0 before. */
  lingeringSince = 0;
  /** The last response is out (HTTP/1). */
  hasEnded = false;
  /** The last request, where its response was out before all of its body had come (HTTP/1). */
  unread: EdgeContext | undefined;
  /** Streams that the client may still reset (HTTP/2). */
  resets: ResetBudget | undefined;
  /** Bytes that the system had to send when that was looked at; 0 while nobody looks. */
  unsent = 0;
  /** What comes cannot be understood any more (HTTP/1). */
  isBroken = false;
  /** It was closed for what its client does. */
  isCut = false;
  /** Handlers that have not answered yet, also those whose stream is gone (HTTP/2). */
  working = 0;
  #number = 0;
  readonly #next: () => number;

  /** `next` gives numbers, for those whose number is asked for. */
  constructor(raw: Socket, next: () => number) {
    this.raw = raw;
    this.socket = raw;
    this.address = plainAddress(raw.remoteAddress ?? "");
    this.port = raw.remotePort ?? 0;
    this.idleSince = this.openedAt;
    this.#next = next;
  }

  /** Number of the connection. */
  get number(): number {
    return this.#number ||= this.#next();
  }

  /** A request has begun. */
  begin(exchange: EdgeContext): void {
    this.exchanges.push(exchange);
    this.unread = undefined;
    this.hasServed = true;
    this.headerSince = 0;
  }

  /** A request is over. */
  end(exchange: EdgeContext): void {
    const { exchanges } = this;
    if (exchanges[0] === exchange) exchanges.shift();
    else {
      const at = exchanges.indexOf(exchange);
      if (at !== -1) exchanges.splice(at, 1);
    }
    if (exchanges.length > 0) return;
    this.idleSince = performance.now();
    this.bytesWhenIdle = this.socket.bytesRead;
    this.unsent = 0;
    // Node gives the socket to the next response in a moment.
    if (this.waiting.length > 0) queueMicrotask(() => this.#takeNext());
  }

  #takeNext(): void {
    if (this.exchanges.length === 0) this.waiting.shift()?.();
  }

  /** The client has reset a stream. False when it does nothing else. */
  takeReset(): boolean {
    return (this.resets ??= new ResetBudget()).take();
  }

  /** False after the last response: whatever was sent behind its request is lost (RFC 9112, 9.6). */
  get takesRequests(): boolean {
    return !this.hasEnded && this.lingeringSince === 0;
  }

  /** Bytes of a request are there that has not begun: half a header. */
  get hasHalfHeader(): boolean {
    return this.socket.bytesRead > this.bytesWhenIdle;
  }

  /**
   * Ends our direction and reads what still comes to nowhere, for a while. Closing with unread bytes would
   * reset the connection, and take the response from the client before it has read it.
   */
  linger(): void {
    if (this.lingeringSince !== 0) return;
    this.lingeringSince = performance.now();
    this.socket.end();
    this.socket.resume();
  }

  /** Closes it now. */
  destroy(): void {
    this.socket.destroy();
    this.raw.destroy();
  }
}
