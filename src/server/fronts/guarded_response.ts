/**
 * Response streams on the `fast` front, which has no timeouts of its own: they are passed on through a
 * stream that notices when nothing moves.
 *
 * @module
 */

import { asError } from "../../core/errors.ts";
import { EmptyChunks, isEmpty } from "../../core/empty_chunks.ts";
import type { StallWatch, Transfer } from "./stall_watch.ts";

/** What becomes of a guarded stream. */
export interface StreamFate {
  /** Nothing moved for too long, and the stream was broken off. */
  stalled(): void;
  /** The producer failed; the client has part of the response. */
  failed(error: unknown): void;
  /** The client went away before the end. */
  cancelled(): void;
  /** The producer gave all it had. */
  ended(): void;
}

/**
 * Passes a stream on. It ends in an error, which closes the connection, when for the timeout of the
 * watch neither the producer gave anything nor the client took anything.
 */
export function guardStream(
  source: ReadableStream<Uint8Array>,
  watch: StallWatch,
  fate: StreamFate,
): ReadableStream<Uint8Array> {
  return new ReadableStream(new GuardedSource(source.getReader(), watch, fate), NOTHING_AHEAD);
}

/** Ends a response on purpose; it has been told of where the purpose arose. */
export class CutError extends Error {
  override readonly name = "CutError";
}

/** Nothing is read ahead of the client. */
const NOTHING_AHEAD: QueuingStrategy = { highWaterMark: 0 };

class GuardedSource implements UnderlyingDefaultSource<Uint8Array>, Transfer {
  place = -1;
  movedAt = performance.now();
  #reader: ReadableStreamDefaultReader<Uint8Array>;
  #watch: StallWatch;
  #fate: StreamFate;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  readonly #empties = new EmptyChunks();

  constructor(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    watch: StallWatch,
    fate: StreamFate,
  ) {
    this.#reader = reader;
    this.#watch = watch;
    this.#fate = fate;
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
    this.#watch.add(this);
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.movedAt = performance.now();
    try {
      const { done, value } = await this.#reader.read();
      this.movedAt = performance.now();
      if (this.#controller === undefined) return;
      if (done) {
        this.#end();
        controller.close();
        this.#fate.ended();
      } else {
        if (isEmpty(value)) await this.#empties.next();
        if (this.#controller !== undefined) controller.enqueue(value);
      }
    } catch (error) {
      if (this.#controller === undefined) return;
      this.#end();
      // The runtime reads members of it; where they throw, the response would never end.
      const thrown = asError(error);
      this.#fate.failed(thrown);
      controller.error(thrown);
    }
  }

  async cancel(reason: unknown): Promise<void> {
    this.#end();
    this.#fate.cancelled();
    await this.#reader.cancel(reason);
  }

  stalled(): void {
    const controller = this.#controller;
    this.#end();
    this.#fate.stalled();
    const error = new CutError("The response made no progress");
    controller?.error(error);
    // It is cut already; how its producer takes that changes nothing.
    this.#reader.cancel(error).catch(() => {});
  }

  #end(): void {
    this.#controller = undefined;
    this.#watch.remove(this);
  }
}
