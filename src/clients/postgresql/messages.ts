/**
 * The messages of a PostgreSQL server, followed as they come, without reading what is in them.
 *
 * @module
 */

/** Longest message; no value is longer than 1 GiB. */
const MAX_MESSAGE = 2 ** 30;
/** Longest description of rows: 1664 columns with names of 63 bytes take less. */
const MAX_DESCRIPTION = 1024 * 1024;
const HEADER_BYTES = 5;

const ANSWERS = typesOf("123ACDEINSTZnt");
const GREETINGS = typesOf("RKv");
/** With these COPY begins. */
const COPIES = typesOf("GHW");
const ROW_DESCRIPTION = "T".charCodeAt(0);
const READY = "Z".charCodeAt(0);
const IDLE = "I".charCodeAt(0);

/**
 * Follows where messages begin and end.
 *
 * The driver believes what it is sent: it looks for the end of a name beyond the end of a message, for ever,
 * or fails where nobody hears. What is no answer to what this client asks must not reach it.
 */
export class ServerMessages {
  readonly #header = new Uint8Array(HEADER_BYTES);
  /** How much of a header has come. */
  #filled = 0;
  #type = 0;
  /** Bytes of the message that are to come. */
  #left = 0;
  #description: Uint8Array | undefined;
  #isGreeting = true;
  /** Of the last message, when that says that the server is ready. */
  #status: number | undefined;

  /** True when COPY was to begin, which turns the connection into a stream that nobody would read. */
  isCopy = false;

  /** Takes what came. Tells what is wrong with it. */
  push(data: Uint8Array): string | undefined {
    for (let at = 0; at < data.length;) {
      if (this.#left > 0) {
        const end = Math.min(data.length, at + this.#left);
        if (this.#description !== undefined) {
          this.#description.set(data.subarray(at, end), this.#description.length - this.#left);
        }
        this.#left -= end - at;
        at = end;
      } else {
        if (this.#filled === 0 && data.length - at >= HEADER_BYTES) {
          const problem = this.#begin(data, at);
          if (problem !== undefined) return problem;
          at += HEADER_BYTES;
        } else {
          this.#header[this.#filled++] = data[at++]!;
          if (this.#filled < HEADER_BYTES) continue;
          this.#filled = 0;
          const problem = this.#begin(this.#header, 0);
          if (problem !== undefined) return problem;
        }
      }
      if (this.#left > 0) continue;
      const problem = this.#end(data[at - 1]!);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  /** Whether a transaction is open, also one that has failed; `undefined` when that is not known. */
  get inTransaction(): boolean | undefined {
    return this.#status === undefined || this.#filled > 0 ? undefined : this.#status !== IDLE;
  }

  #begin(header: Uint8Array, at: number): string | undefined {
    const type = header[at]!;
    const length = header[at + 1]! * 0x1000000 + (header[at + 2]! << 16) +
      (header[at + 3]! << 8) + header[at + 4]!;
    this.isCopy = COPIES[type]!;
    if (!ANSWERS[type] && !(this.#isGreeting && GREETINGS[type])) {
      return `it has a message of type ${JSON.stringify(String.fromCharCode(type))}`;
    }
    if (length < 4 || length > MAX_MESSAGE) return `it has a message of ${length} bytes`;
    this.#type = type;
    this.#left = length - 4;
    this.#status = undefined;
    if (type === READY && length !== 5) return `it is ready in ${length} bytes`;
    if (type !== ROW_DESCRIPTION) return undefined;
    if (length > MAX_DESCRIPTION) return `it describes its rows in ${length} bytes`;
    this.#description = new Uint8Array(this.#left);
    return undefined;
  }

  /** A message is complete. */
  #end(last: number): string | undefined {
    if (this.#type === READY) {
      this.#status = last;
      this.#isGreeting = false;
    }
    const description = this.#description;
    if (description === undefined) return undefined;
    this.#description = undefined;
    return isDescription(description) ? undefined : "it describes its rows wrongly";
  }
}

/** Whether these are as many columns as it says, each a name that ends and 18 bytes. */
function isDescription(bytes: Uint8Array): boolean {
  if (bytes.length < 2) return false;
  let at = 2;
  for (let columns = bytes[0]! * 256 + bytes[1]!; columns > 0; columns--) {
    const end = bytes.indexOf(0, at);
    if (end === -1) return false;
    at = end + 19;
  }
  return at === bytes.length;
}

/** A table of the types that these letters stand for. */
function typesOf(letters: string): readonly boolean[] {
  const table = new Array<boolean>(256).fill(false);
  for (const letter of letters) table[letter.charCodeAt(0)] = true;
  return table;
}
