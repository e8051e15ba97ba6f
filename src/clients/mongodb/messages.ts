/**
 * The messages of a MongoDB server, looked at before the driver reads them.
 *
 * @module
 */

import { packageExport } from "../../core/package_export.ts";

/** Longest message; servers say that of themselves. */
const MAX_MESSAGE = 48_000_000;
const LENGTH_BYTES = 4;
/** Length, id, id of the request, kind. */
const HEADER_BYTES = 16;
/** Up to the document: flags and kind of the section, or what a reply of the older form has. */
const MESSAGE_BYTES = HEADER_BYTES + 5;
const REPLY_BYTES = HEADER_BYTES + 20;
const REPLY = 1;
const MESSAGE = 2013;
/** As many of the first bytes as say where everything ends. */
const START_BYTES = REPLY_BYTES + 4;

/**
 * Follows the messages of one connection.
 *
 * The driver believes the lengths it is told: one that is zero or negative makes it read the same bytes
 * for ever. It also takes whatever comes next for the answer to what it asks next.
 */
export class ServerMessages {
  readonly #start = new Uint8Array(START_BYTES);
  readonly #view = new DataView(this.#start.buffer);
  /** How much of the start has come. */
  #filled = 0;
  /** Bytes that are to come after the start. */
  #left = 0;
  /** Id of the request that was answered last. */
  #answered: number | undefined;

  /** Takes what came. Tells what is wrong with it. */
  push(data: Uint8Array): string | undefined {
    for (let at = 0; at < data.length;) {
      if (this.#left > 0) {
        const count = Math.min(this.#left, data.length - at);
        this.#left -= count;
        at += count;
        continue;
      }
      const size = this.#filled < LENGTH_BYTES
        ? LENGTH_BYTES
        : this.#filled < HEADER_BYTES
        ? HEADER_BYTES
        : Math.min(this.#view.getInt32(0, true), START_BYTES);
      const count = Math.min(size - this.#filled, data.length - at);
      this.#start.set(data.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
      if (this.#filled < size) continue;
      const problem = size === LENGTH_BYTES
        ? this.#size()
        : size === HEADER_BYTES
        ? this.#header()
        : this.#content();
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  /** The driver reads the length as soon as it is there. */
  #size(): string | undefined {
    const length = this.#view.getInt32(0, true);
    // the end of a document is within what tells where it ends
    return length < MESSAGE_BYTES + 5 || length > MAX_MESSAGE
      ? `it has a message of ${length} bytes`
      : undefined;
  }

  #header(): string | undefined {
    const length = this.#view.getInt32(0, true);
    const answers = this.#view.getInt32(8, true);
    const kind = this.#view.getInt32(12, true);
    if (kind !== MESSAGE && kind !== REPLY) return `it has a message of kind ${kind}`;
    if (kind === REPLY && length < REPLY_BYTES + 5) return `it has a reply of ${length} bytes`;
    // the ids go up, and begin again at their end
    if (this.#answered !== undefined && ((answers - this.#answered) << 1) <= 0) {
      return "it answers what was answered before";
    }
    this.#answered = answers;
    return undefined;
  }

  #content(): string | undefined {
    const length = this.#view.getInt32(0, true);
    this.#left = length - this.#filled;
    this.#filled = 0;
    let before = MESSAGE_BYTES;
    if (this.#view.getInt32(12, true) === REPLY) {
      before = REPLY_BYTES;
      if (this.#view.getInt32(32, true) !== 1) return "it has a reply of not one document";
    } else if (this.#start[20] !== 0) return "it has a section that is no document";
    return this.#view.getInt32(before, true) === length - before
      ? undefined
      : "it has a document of another length than its message";
  }
}

/** What the driver cuts the bytes of a connection into messages with. */
interface Cutter {
  _transform(
    chunk: Uint8Array,
    encoding: string,
    done: (error?: Error) => void,
  ): void;
}

interface Internals {
  readonly SizedMessageTransform?: { readonly prototype: Cutter };
}

let isGuarded = false;

/** Makes the driver look at what servers send. Its public interface has no place where that can be done. */
export async function guardDriver(): Promise<void> {
  if (isGuarded) return;
  const [driver, connection] = await Promise.all([
    import("mongodb"),
    // a later driver may be made otherwise: it works as well, but is not guarded
    (import("mongodb/lib/cmap/connection.js") as Promise<Internals>).catch((): Internals => ({})),
  ]);
  // two may have waited for it
  if (isGuarded) return;
  isGuarded = true;
  // the driver writes into its errors; it has this one for lengths it does not believe
  const MongoParseError = packageExport(driver, "MongoParseError");
  const prototype = packageExport(connection, "SizedMessageTransform")?.prototype;
  if (typeof prototype?._transform !== "function") return;
  const cut = prototype._transform;
  const all = new WeakMap<Cutter, ServerMessages>();
  prototype._transform = function (this: Cutter, chunk, encoding, done): void {
    let messages = all.get(this);
    if (messages === undefined) all.set(this, messages = new ServerMessages());
    const problem = messages.push(chunk);
    if (problem === undefined) return cut.call(this, chunk, encoding, done);
    done(new MongoParseError(`The answer is not one of MongoDB: ${problem}`));
  };
}
