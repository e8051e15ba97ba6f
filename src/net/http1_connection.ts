/**
 * One HTTP/1.1 connection to a backend: writes a request, reads its response, and knows afterwards
 * whether it can be used again and whether the request can have reached the peer.
 *
 * @module
 */

import { concatBytes, joinBytes } from "../core/concat_bytes.ts";
import { asError, BackendError, ProtocolError } from "../core/errors.ts";
import { type Http1ResponseHead, Http1ResponseParser } from "../wire/http1_response_parser.ts";
import { closeQuietly } from "./connect.ts";
import type { Poolable } from "./pool.ts";

/** A request body: bytes at hand, or a source of them. */
export type RequestBody = Uint8Array | AsyncIterable<Uint8Array>;

const NOTHING = new Uint8Array(0);
const ENCODER = new TextEncoder();
const READ_BYTES = 16 * 1024;
/** Bodies up to this size travel in the same write as the header. */
const JOIN_BYTES = 64 * 1024;

/**
 * A connection that carries one exchange at a time: {@link send}, {@link readHead}, then
 * {@link readBody} or {@link bodyStream}.
 *
 * A read is always outstanding, also while the connection is idle: a peer that closes is noticed at
 * once and not only by the next request.
 */
export class Http1Connection implements Poolable {
  readonly #conn: Deno.Conn;
  readonly #buffer = new Uint8Array(READ_BYTES);
  readonly #parser: Http1ResponseParser;
  #pending: Promise<number | null> | undefined;
  #from = 0;
  #to = 0;
  #closed = false;
  #reusable = true;
  #onDead: (() => void) | undefined;
  #sent = 0;
  #writing = false;
  #writeError: Error | undefined;
  /** Why the body of the request could not be produced: nothing the peer could help. */
  #bodyError: Error | undefined;

  /** `performance.now()` after which the peer is expected to close it. */
  expiresAt: number = Number.POSITIVE_INFINITY;

  /** Takes over an open connection. */
  constructor(conn: Deno.Conn, maxHeaderBytes?: number) {
    this.#conn = conn;
    this.#parser = new Http1ResponseParser({ maxHeaderBytes });
  }

  /** False once it can carry no further exchange. */
  get usable(): boolean {
    return this.#reusable && !this.#closed;
  }

  /** Bytes of the request the system has accepted; 0 means that the peer cannot have seen it. */
  get sentBytes(): number {
    return this.#sent;
  }

  /** True when any byte of a response has arrived. */
  get answered(): boolean {
    return this.#parser.started;
  }

  /** Watches the idle connection without keeping the process alive. */
  park(onDead: () => void): void {
    this.#onDead = onDead;
    this.#conn.unref();
    const pending = this.#pending ??= this.#conn.read(this.#buffer);
    const dead = () => {
      if (this.#onDead === undefined) return;
      this.#reusable = false;
      this.#onDead();
    };
    // whatever arrives while nothing was asked, bytes included, makes the connection useless
    pending.then(dead, dead);
  }

  /** Ends the watch of {@link park}. */
  unpark(): void {
    this.#onDead = undefined;
    if (!this.#closed) this.#conn.ref();
  }

  /** Closes it; what is being read or written fails. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeQuietly(this.#conn);
  }

  /**
   * Starts to send a request. Returns at once; what goes wrong shows in {@link readHead}, unless the
   * peer has answered before it closed.
   */
  send(method: string, head: string, body: RequestBody): void {
    this.#sent = 0;
    this.#writeError = this.#bodyError = undefined;
    this.#writing = true;
    // only a whole and well-ended exchange makes the connection reusable again
    this.#reusable = false;
    this.#parser.start(method);
    if (!(body instanceof Uint8Array) || body.length > JOIN_BYTES) {
      this.#write(head, body).then(this.#written, this.#writeFailed);
      return;
    }
    // one write is nearly always enough
    const bytes = join(head, body);
    this.#conn.write(bytes).then((count) => {
      this.#sent += count;
      if (count === bytes.length) this.#writing = false;
      else this.#writeAll(bytes.subarray(count)).then(this.#written, this.#writeFailed);
    }, this.#writeFailed);
  }

  readonly #written = (): void => {
    this.#writing = false;
  };

  readonly #writeFailed = (error: unknown): void => {
    this.#writing = false;
    this.#writeError = asError(error);
  };

  /**
   * Reads the head of the response. Rejects with a `BackendError` 700, 708 or 715, or with a plain
   * error when the body of the request could not be produced.
   */
  readHead(): Promise<Http1ResponseHead> {
    return this.#from === this.#to
      ? this.#fill().then(this.#takeHead)
      : Promise.resolve().then(this.#takeHead);
  }

  readonly #takeHead = (): Http1ResponseHead | Promise<Http1ResponseHead> => {
    this.#take(ignore);
    const head = this.#parser.head;
    if (head === undefined) return this.readHead();
    if (head.keepAliveTimeout >= 0) this.#expireIn(head.keepAliveTimeout);
    if (this.#parser.done) this.#finish(head);
    return head;
  };

  /**
   * The whole body, at once when all of it has arrived.
   *
   * @throws {ProtocolError} 719 when it is larger than allowed.
   */
  readBody(maxBytes: number): Promise<Uint8Array> | Uint8Array {
    const head = this.#parser.head!;
    if (this.#parser.done) return NOTHING;
    const { contentLength } = head;
    if (contentLength > maxBytes) throw tooLarge(maxBytes);
    if (contentLength <= 0 || this.#to - this.#from < contentLength) {
      return this.#readParts(head, maxBytes);
    }
    let body = NOTHING;
    this.#take((bytes) => body = bytes.slice());
    this.#finish(head);
    return body;
  }

  async #readParts(head: Http1ResponseHead, maxBytes: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    // a copy of each would take a hundred times the memory of a body in chunks of a byte
    let views: Uint8Array[] = [];
    let size = 0;
    const keep = (bytes: Uint8Array) => {
      size += bytes.length;
      if (size > maxBytes) throw tooLarge(maxBytes);
      views.push(bytes);
    };
    while (!this.#parser.done) {
      if (this.#from === this.#to && !await this.#fill()) break;
      this.#take(keep);
      if (views.length === 0) continue;
      parts.push(concatBytes(views));
      views = [];
    }
    this.#finish(head);
    return joinBytes(parts, size);
  }

  /**
   * The body as a stream that reads only as fast as it is read. `done` is called exactly once, when
   * it has ended, broken or been given up; the connection must not be used before. Reading fails with
   * 719 beyond `maxBytes`.
   *
   * @throws {ProtocolError} 719 when it is known beforehand to be larger than allowed.
   */
  bodyStream(
    done: (error?: Error) => void,
    maxBytes = Infinity,
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    const head = this.#parser.head!;
    if (head.contentLength > maxBytes) throw tooLarge(maxBytes);
    let over = false;
    let size = 0;
    const finish = (error?: Error) => {
      if (!over) done(error);
      over = true;
    };
    let views: Uint8Array[] = [];
    const keep = (bytes: Uint8Array) => {
      size += bytes.length;
      if (size > maxBytes) throw tooLarge(maxBytes);
      views.push(bytes);
    };
    return new ReadableStream({
      type: "bytes",
      pull: async (controller) => {
        try {
          while (views.length === 0 && !this.#parser.done) {
            if (this.#from === this.#to && !await this.#fill()) break;
            this.#take(keep);
          }
        } catch (error) {
          this.close();
          finish(asError(error));
          throw error;
        }
        if (views.length > 0) controller.enqueue(concatBytes(views));
        views = [];
        if (this.#parser.done) {
          this.#finish(head);
          controller.close();
          controller.byobRequest?.respond(0);
          finish();
        }
      },
      cancel: () => {
        this.close();
        finish();
      },
    });
  }

  /** Feeds the parser with what has been read. */
  #take(sink: (bytes: Uint8Array) => void): void {
    this.#from += this.#parser.push(this.#buffer.subarray(this.#from, this.#to), sink);
  }

  /** Reads more bytes; false when the peer has closed and the response allows that. */
  #fill(): Promise<boolean> {
    const reading = this.#pending ?? this.#conn.read(this.#buffer);
    this.#pending = undefined;
    return reading.then(this.#filled, this.#broken);
  }

  readonly #broken = (error: unknown): never => {
    if (this.#bodyError !== undefined) throw unsendable(this.#bodyError);
    const cause = this.#writeError ?? asError(error);
    throw new BackendError(`The connection to the backend broke: ${cause.message}`, 700, { cause });
  };

  readonly #filled = (count: number | null): boolean => {
    if (count === null) {
      if (this.#bodyError !== undefined) throw unsendable(this.#bodyError);
      if (this.#writeError !== undefined && !this.#parser.started) {
        const cause = this.#writeError;
        throw cause instanceof BackendError ? cause : new BackendError(
          `The backend did not take the request: ${cause.message}`,
          700,
          { cause },
        );
      }
      this.#parser.end();
      return false;
    }
    this.#from = 0;
    this.#to = count;
    return true;
  };

  async #write(head: string, body: RequestBody): Promise<void> {
    if (!(body instanceof Uint8Array)) {
      await this.#writeAll(encodeLatin1(head));
      let isTaken = true;
      try {
        for await (const part of body) {
          isTaken = false;
          await this.#writeAll(part);
          isTaken = true;
        }
      } catch (error) {
        // the peer waits for the rest; without closing, nobody would ever learn that there is none
        this.#writeError = asError(error);
        if (isTaken) this.#bodyError = this.#writeError;
        this.close();
        throw error;
      }
      return;
    }
    await this.#writeAll(encodeLatin1(head));
    await this.#writeAll(body);
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const count = await this.#conn.write(at === 0 ? bytes : bytes.subarray(at));
      at += count;
      this.#sent += count;
    }
  }

  /** Decides at the end of an exchange whether another one may follow. */
  #finish(head: Http1ResponseHead): void {
    // surplus bytes would be taken for the next answer; an unfinished request for the next request
    this.#reusable = head.keepAlive && this.#from === this.#to && !this.#writing &&
      this.#writeError === undefined;
  }

  #expireIn(seconds: number): void {
    // a second less than announced, so that a request does not cross the peer's goodbye
    const ms = seconds >= 2 ? (seconds - 1) * 1000 : seconds * 500;
    this.expiresAt = performance.now() + ms;
  }
}

function ignore(): void {}

function unsendable(cause: Error): Error {
  return new Error(`The body of the request broke off: ${cause.message}`, { cause });
}

function tooLarge(maxBytes: number): ProtocolError {
  return new ProtocolError(`The backend's answer is larger than ${maxBytes} bytes`, 719);
}

/** Bytes of a header block, which holds characters up to U+00FF only. */
function encodeLatin1(text: string): Uint8Array {
  const bytes = ENCODER.encode(text);
  if (bytes.length === text.length) return bytes;
  const narrow = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) narrow[i] = text.charCodeAt(i);
  return narrow;
}

function join(head: string, body: Uint8Array): Uint8Array {
  const bytes = encodeLatin1(head);
  return body.length === 0 ? bytes : concatBytes([bytes, body]);
}
