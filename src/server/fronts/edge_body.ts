/**
 * Request bodies on the `edge` front: read from a Node stream whole or as a web stream, as fast as the
 * handler takes them and no faster.
 *
 * @module
 */

import { concatBytes } from "../../core/concat_bytes.ts";
import type { Readable } from "node:stream";
import { HttpError } from "../../core/errors.ts";

/** What a body tells its exchange. */
export interface BodyProgress {
  /** Somebody waits for bytes, or nobody does any more. */
  bodyWanted(isWanted: boolean): void;
  /** Bytes arrived. */
  bodyMoved(bytes: number): void;
}

type Bytes = Uint8Array<ArrayBuffer>;

/** Bytes that may wait in a web stream for their reader. */
const READ_AHEAD_BYTES = 64 * 1024;

/** The body of one request. It can be read once. */
export class EdgeBody {
  readonly #source: Readable;
  readonly #progress: BodyProgress;
  #fail: ((error: Error) => void) | undefined;
  #failure: Error | undefined;
  #isTaken = false;

  /** Nothing is read before somebody asks. */
  constructor(source: Readable, progress: BodyProgress) {
    this.#source = source;
    this.#progress = progress;
  }

  /** True when somebody has begun to read. */
  get isTaken(): boolean {
    return this.#isTaken;
  }

  /** The whole body. */
  bytes(): Promise<Bytes> {
    this.#isTaken = true;
    return new Promise((resolve, reject) => {
      const chunks: Uint8Array[] = [];
      let size = 0;
      this.#take({
        data: (chunk) => {
          chunks.push(chunk);
          size += chunk.byteLength;
        },
        end: () => resolve(join(chunks, size)),
        fail: reject,
      });
      if (this.#fail === undefined) return;
      this.#progress.bodyWanted(true);
      this.#source.resume();
    });
  }

  /** The body as a stream, read a little ahead of its reader once that has started. */
  stream(): ReadableStream<Bytes> {
    this.#isTaken = true;
    const source = this.#source;
    const progress = this.#progress;
    let isStarted = false;
    return new ReadableStream<Bytes>({
      pull: (controller) => {
        if (!isStarted) {
          isStarted = true;
          this.#take({
            data(chunk) {
              controller.enqueue(plain(chunk));
              if ((controller.desiredSize ?? 0) > 0) return;
              source.pause();
              progress.bodyWanted(false);
            },
            end: () => controller.close(),
            fail: (error) => controller.error(error),
          });
        }
        if (this.#fail === undefined) return;
        progress.bodyWanted(true);
        source.resume();
      },
      cancel: () => this.discard(),
    }, {
      // Zero until the first read, so that a body nobody reads is not asked for: 100 Continue.
      highWaterMark: 0,
      size: (chunk) => chunk === undefined ? 1 : chunk.byteLength / READ_AHEAD_BYTES,
    });
  }

  /** Reads what is left to nowhere. */
  discard(): void {
    this.#fail = undefined;
    this.#isTaken = true;
    this.#progress.bodyWanted(false);
    this.#source.removeAllListeners("data");
    this.#source.resume();
  }

  /** Makes a reader fail, one that waits or one that comes later. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#fail?.(error);
  }

  #take(reader: {
    data(chunk: Uint8Array): void;
    end(): void;
    fail(error: Error): void;
  }): void {
    const source = this.#source;
    const fail = (error: Error): void => {
      if (this.#fail === undefined) return;
      this.#fail = undefined;
      this.#progress.bodyWanted(false);
      source.removeListener("data", onData);
      reader.fail(error);
    };
    const onData = (chunk: Uint8Array): void => {
      this.#progress.bodyMoved(chunk.byteLength);
      reader.data(chunk);
    };
    this.#fail = fail;
    source.on("data", onData);
    source.on("end", () => {
      if (this.#fail === undefined) return;
      this.#fail = undefined;
      this.#progress.bodyWanted(false);
      reader.end();
    });
    source.on("error", () => fail(endedEarly()));
    source.on("close", () => fail(endedEarly()));
    if (this.#failure !== undefined) fail(this.#failure);
    else if (source.destroyed && !source.readableEnded) fail(endedEarly());
  }
}

/** What a reader gets when the client leaves before the end. */
export function endedEarly(): HttpError {
  return new HttpError(400, "The body of the request ended early");
}

function join(chunks: readonly Uint8Array[], size: number): Bytes {
  return chunks.length === 1 ? plain(chunks[0]!) : concatBytes(chunks, size);
}

/** The same bytes without the methods of a Node buffer, as web code expects them. */
function plain(chunk: Uint8Array): Bytes {
  return new Uint8Array(chunk.buffer as ArrayBuffer, chunk.byteOffset, chunk.byteLength);
}
