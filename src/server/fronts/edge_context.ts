/**
 * The context of a request on the `edge` front, which is also the record of its exchange: what is being
 * received and sent, and what has to end when it ends.
 *
 * @module
 */

import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { type Completion, hostnameOf, type HttpVersion } from "../../core/context.ts";
import { type BodyProgress, EdgeBody } from "./edge_body.ts";
import type { EdgeConnection } from "./edge_connection.ts";
import type { RequestSource } from "./edge_request.ts";
import { FrontContext, type FrontShare } from "./front_context.ts";

/** A request as Node gives it. */
export type Incoming = IncomingMessage | Http2ServerRequest;

/** One request and its response. */
export class EdgeContext extends FrontContext implements RequestSource, BodyProgress {
  /** Where it came from. */
  readonly connection: EdgeConnection;
  /** What came. */
  readonly incoming: Incoming;
  /** Host and port as the client named them; `""` when HTTP/1.0 named none. */
  override readonly authority: string;
  /** Body, where there is one. */
  readonly body: EdgeBody | undefined;
  /** `performance.now()` of the last byte that moved, while bytes have to move. */
  movedAt = 0;
  /** The response has begun to be sent. */
  isSending = false;
  /** All of the response has been handed to Node. */
  isGiven = false;
  /** It was sent, or never will be. */
  isOver = false;
  /** The client waits for `100 Continue`. Called once when its body is asked for. */
  sendContinue: (() => void) | undefined;
  /** The source of the response body, for when the client goes away. */
  source: ReadableStreamDefaultReader<Uint8Array> | undefined;
  /** Fields to send after the body. */
  trailers: [name: string, value: string][] | undefined = undefined;
  /** Wakes whoever waits until more can be sent. */
  wake: (() => void) | undefined;
  #isBodyWanted = false;
  #windowStart = 0;
  #windowBytes = 0;
  #abort: AbortController | undefined;
  #completion: PromiseWithResolvers<Completion> | undefined;
  #isDelivered = false;

  protected override readonly address: string;
  protected override readonly targetStart: number;

  /** Made once the request is known to be well formed; `target` is the text its path is cut from. */
  constructor(
    share: FrontShare,
    connection: EdgeConnection,
    incoming: Incoming,
    authority: string,
    target: string,
    targetStart: number,
    hasBody: boolean,
  ) {
    super(share);
    this.connection = connection;
    this.incoming = incoming;
    this.authority = authority;
    this.address = target;
    this.targetStart = targetStart;
    this.body = hasBody ? new EdgeBody(incoming, this) : undefined;
  }

  override get remoteAddr(): string {
    return this.connection.address;
  }

  override get remotePort(): number {
    return this.connection.port;
  }

  override get connectionId(): number {
    return this.connection.number;
  }

  override get httpVersion(): HttpVersion {
    const { httpVersionMajor, httpVersionMinor } = this.incoming;
    return httpVersionMajor === 2 ? "2.0" : httpVersionMinor === 0 ? "1.0" : "1.1";
  }

  /** A response of 101 would begin a protocol that nobody speaks here. */
  get canUpgrade(): boolean {
    return false;
  }

  get sendsTrailers(): boolean {
    const { httpVersionMajor, httpVersionMinor, headers } = this.incoming;
    // Over HTTP/1 they would be lost on clients, and proxies between, that do not ask for them.
    return httpVersionMajor === 2 ||
      (httpVersionMinor === 1 && /(?:^|[\s,])trailers(?:$|[\s,;])/i.test(String(headers.te ?? "")));
  }

  override get hostname(): string {
    return hostnameOf(this.authority);
  }

  override get completion(): Promise<Completion> {
    if (this.#completion === undefined) {
      this.#completion = Promise.withResolvers();
      if (this.isOver) this.#completion.resolve({ delivered: this.#isDelivered });
    }
    return this.#completion.promise;
  }

  get url(): string {
    // Without a host (HTTP/1.0) there must still be an absolute URL.
    const host = this.authority === "" ? "localhost" : this.authority;
    return `${this.scheme}://${host}${this.address.slice(this.targetStart)}`;
  }

  get rawHeaders(): readonly string[] {
    return this.incoming.rawHeaders;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.isOver && !this.#isDelivered) this.#abort.abort(gone());
    }
    return this.#abort.signal;
  }

  bodyWanted(isWanted: boolean): void {
    if (isWanted === this.#isBodyWanted) return;
    this.#isBodyWanted = isWanted;
    if (!isWanted) return;
    this.moved();
    if (!this.isSending) this.askForBody();
  }

  /** Somebody waits for bytes of the body. */
  get isBodyWanted(): boolean {
    return this.#isBodyWanted;
  }

  /** Sends `100 Continue` to a client that waits for it. Inside a response it would be a part of that. */
  askForBody(): void {
    this.sendContinue?.();
    this.sendContinue = undefined;
  }

  bodyMoved(bytes: number): void {
    this.#windowBytes += bytes;
    this.moved();
  }

  /** Bytes moved in either direction. */
  moved(): void {
    this.movedAt = performance.now();
  }

  /** Nothing has moved since `latest` although something should have. */
  hasStalled(latest: number): boolean {
    return (this.isSending || this.#isBodyWanted) && this.movedAt <= latest;
  }

  /**
   * The client sends its body slower than allowed. Measured over windows of `windowMs` in which somebody
   * waited for the body; a handler that takes its time is not held against the client.
   */
  isTooSlow(now: number, windowMs: number, bytesPerSecond: number): boolean {
    if (!this.#isBodyWanted) {
      this.#windowStart = 0;
      return false;
    }
    if (this.#windowStart !== 0 && now - this.#windowStart < windowMs) return false;
    const isSlow = this.#windowStart !== 0 &&
      this.#windowBytes * 1000 < bytesPerSecond * (now - this.#windowStart);
    this.#windowStart = now;
    this.#windowBytes = 0;
    return isSlow;
  }

  /** The exchange is over. What belongs to it ends when the client did not get everything. */
  finish(isDelivered: boolean): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#isDelivered = isDelivered;
    this.connection.end(this);
    this.#completion?.resolve({ delivered: isDelivered });
    if (isDelivered) return;
    const reason = gone();
    this.wake?.();
    // The producer's own trouble with ending has nobody left to go to but whoever pumps it.
    this.source?.cancel(reason).catch(() => {});
    this.#abort?.abort(reason);
  }
}

function gone(): DOMException {
  return new DOMException("The client went away", "AbortError");
}
