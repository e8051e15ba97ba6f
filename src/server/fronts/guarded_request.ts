/**
 * Request bodies on the `fast` front, which has no timeouts of its own: reading one fails when the
 * client stops sending. What the runtime says of a client that has left is nobody's fault here.
 *
 * @module
 */

import { concatBytes } from "../../core/concat_bytes.ts";
import { HttpError } from "../../core/errors.ts";
import type { StallWatch, Transfer } from "./stall_watch.ts";

/** What a guarded request needs of its front. */
export interface RequestGuard {
  /** Notices stalled reads. */
  readonly watch: StallWatch;
  /** Called when the body stalled. */
  stalled(): void;
  /** Called when reading has ended, at the end of the body or before. May be called more than once. */
  over(): void;
  /** The body, where it is given as a stream. */
  body: LeavableBody | undefined;
}

/** A body that may be left before its end. */
export interface LeavableBody {
  /** False when it has been read to an end, good or bad. */
  readonly isOpen: boolean;
  /**
   * Ends it unless somebody waits for it. For when the response is out: the runtime would keep the
   * connection, also after its client has left, until the collector finds the stream.
   */
  leave(): void;
}

type Bytes = Uint8Array<ArrayBuffer>;

const guards = new WeakMap<Request, RequestGuard>();
const streams = new WeakMap<Request, ReadableStream<Bytes>>();

/** Bodies up to this length arrive in a few packets: they are read whole, under one deadline. */
const READ_WHOLE_BYTES = 16 * 1024;

/**
 * Makes the reading of a request's body fail with 408 when the client stops sending. The request stays
 * the object that the runtime made: a new one around it would create the abort signal of the first,
 * which halves the throughput.
 */
export function guardRequest(req: Request, guard: RequestGuard): void {
  guards.set(req, guard);
  Object.setPrototypeOf(req, GuardedRequest.prototype);
}

/** Never constructed: the prototype of requests whose body is guarded. */
class GuardedRequest extends Request {
  override get body(): ReadableStream<Bytes> | null {
    const known = streams.get(this);
    if (known !== undefined) return known;
    const source = super.body;
    const guard = guards.get(this);
    if (source === null || guard === undefined || source.locked) return source;
    const stream = new ReadableStream(guard.body = new GuardedBody(source, guard), NOTHING_AHEAD);
    streams.set(this, stream);
    return stream;
  }

  override clone(): Request {
    const copy = super.clone();
    // What stood behind the stream has become one half of a pair.
    streams.delete(this);
    return copy;
  }

  override text(): Promise<string> {
    return arrivesWhole(this) ? deadline(this, super.text()) : viaStream(this, (res) => res.text());
  }

  // deno-lint-ignore no-explicit-any -- as in the platform
  override json(): Promise<any> {
    return arrivesWhole(this) ? deadline(this, super.json()) : viaStream(this, (res) => res.json());
  }

  override bytes(): Promise<Bytes> {
    return arrivesWhole(this)
      ? deadline(this, super.bytes())
      : viaStream(this, (res) => res.bytes());
  }

  override arrayBuffer(): Promise<ArrayBuffer> {
    return arrivesWhole(this)
      ? deadline(this, super.arrayBuffer())
      : viaStream(this, (res) => res.arrayBuffer());
  }

  override blob(): Promise<Blob> {
    return arrivesWhole(this) ? deadline(this, super.blob()) : viaStream(this, (res) => res.blob());
  }

  override formData(): Promise<FormData> {
    return arrivesWhole(this)
      ? deadline(this, super.formData())
      : viaStream(this, (res) => res.formData());
  }
}

/** Nothing is read ahead of the handler. */
const NOTHING_AHEAD: QueuingStrategy = { highWaterMark: 0 };

function arrivesWhole(req: Request): boolean {
  const length = req.headers.get("content-length");
  return length !== null && Number(length) <= READ_WHOLE_BYTES && !streams.has(req);
}

function stalledError(): HttpError {
  return new HttpError(408, "The body of the request stopped coming", {
    headers: { connection: "close" },
  });
}

/**
 * The error of a failed read. The runtime tells of a client that has gone by one of the system's errors,
 * which would be a fault of the server; all else, such as a body that is no JSON, is the app's to judge.
 */
function blame(error: unknown): unknown {
  if (!(error instanceof Error) || !Object.hasOwn(Deno.errors, error.name)) return error;
  return new HttpError(400, "The body of the request ended early", { cause: error });
}

/** Reads the guarded stream to its end in one of the platform's ways. */
async function viaStream<T>(req: Request, read: (res: Response) => Promise<T>): Promise<T> {
  const type = req.headers.get("content-type");
  return await read(
    new Response(req.body, type === null ? {} : { headers: { "content-type": type } }),
  );
}

/** Fails when a whole body takes longer than the timeout. */
function deadline<T>(req: Request, reading: Promise<T>): Promise<T> {
  const guard = guards.get(req);
  if (guard === undefined) return reading;
  return new Promise<T>((resolve, reject) => {
    const transfer: Transfer = {
      place: -1,
      movedAt: performance.now(),
      stalled() {
        guard.stalled();
        reject(stalledError());
      },
    };
    guard.watch.add(transfer);
    reading.then(resolve, (error) => reject(blame(error))).finally(() => {
      guard.watch.remove(transfer);
      guard.over();
    });
  });
}

/** Chunks below this many bytes are gathered, as far as they come at once. */
const SMALL_BYTES = 1024;
/** Most of them that are read in one turn of the event loop, which takes some milliseconds. */
const MAX_GATHERED = 128;

/**
 * The same bytes without much room beside them. The runtime reads each chunk into 64 KiB, and a client may
 * send a body of millions of chunks, each a single byte: who keeps them all must not keep that as well.
 */
function fitted(chunk: Bytes): Bytes {
  return chunk.byteLength * 2 < chunk.buffer.byteLength ? chunk.slice() : chunk;
}

function ignore(): void {}

/** Gives the chunks of a body as they are asked for, and fails when one takes too long. */
class GuardedBody implements UnderlyingDefaultSource<Bytes>, Transfer, LeavableBody {
  place = -1;
  movedAt = 0;
  readonly #source: ReadableStream<Bytes>;
  readonly #guard: RequestGuard;
  #reader: ReadableStreamDefaultReader<Bytes> | undefined;
  #reading: Promise<ReadableStreamReadResult<Bytes>> | undefined;
  #controller: ReadableStreamDefaultController<Bytes> | undefined;

  constructor(source: ReadableStream<Bytes>, guard: RequestGuard) {
    this.#source = source;
    this.#guard = guard;
  }

  start(controller: ReadableStreamDefaultController<Bytes>): void {
    this.#controller = controller;
  }

  async pull(controller: ReadableStreamDefaultController<Bytes>): Promise<void> {
    // The source is locked with the first read only: until then the request may be cloned.
    this.#reader ??= this.#source.getReader();
    this.movedAt = performance.now();
    this.#guard.watch.add(this);
    try {
      const { done, value } = await this.#read();
      if (done) this.#guard.over();
      if (this.#controller === undefined) return;
      if (done) {
        this.#controller = undefined;
        controller.close();
      } else {
        const chunk = value.byteLength < SMALL_BYTES ? await this.#gather(value) : fitted(value);
        // It may have been given up meanwhile.
        if (this.isOpen) controller.enqueue(chunk);
      }
    } catch (error) {
      this.#guard.over();
      if (this.#controller !== undefined) controller.error(blame(error));
      this.#controller = undefined;
    } finally {
      this.#guard.watch.remove(this);
    }
  }

  /** The read that is waiting, or a new one. */
  async #read(): Promise<ReadableStreamReadResult<Bytes>> {
    try {
      return await (this.#reading ??= this.#reader!.read());
    } finally {
      this.#reading = undefined;
    }
  }

  /**
   * A small chunk with those that follow at once. What is there already is read without a turn for anybody
   * else: a body of single bytes would keep the whole worker busy until it ends.
   */
  async #gather(first: Bytes): Promise<Bytes> {
    const pieces = [fitted(first)];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const turn = new Promise<void>((resolve) => timer = setTimeout(resolve, 0));
    try {
      while (pieces.length < MAX_GATHERED) {
        const reading = this.#reading ??= this.#reader!.read();
        // Its failure, as its end, is for the next pull.
        const next = await Promise.race([reading.catch(ignore), turn]);
        if (next === undefined || next.done) return concatBytes(pieces);
        this.#reading = undefined;
        this.movedAt = performance.now();
        pieces.push(fitted(next.value));
        if (next.value.byteLength >= SMALL_BYTES) return concatBytes(pieces);
      }
      await turn;
      return concatBytes(pieces);
    } finally {
      clearTimeout(timer);
    }
  }

  async cancel(reason: unknown): Promise<void> {
    this.#controller = undefined;
    this.#guard.watch.remove(this);
    this.#guard.over();
    await (this.#reader ?? this.#source).cancel(reason);
  }

  stalled(): void {
    this.#guard.stalled();
    this.#breakOff(stalledError());
  }

  get isOpen(): boolean {
    return this.#controller !== undefined;
  }

  leave(): void {
    if (this.place === -1) this.#breakOff(new HttpError(400, "The request has been answered"));
  }

  #breakOff(error: HttpError): void {
    const controller = this.#controller;
    if (controller === undefined) return;
    this.#controller = undefined;
    controller.error(error);
    this.#guard.over();
    // The connection ends with the response; there is nobody left to tell of a failure.
    (this.#reader ?? this.#source).cancel(error).catch(() => {});
  }
}
