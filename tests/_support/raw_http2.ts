/**
 * An HTTP/2 client that sends any frame at all, for what no real client would do.
 *
 * @module
 */

const ENCODER = new TextEncoder();
const PREFACE = ENCODER.encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** Frame types. */
export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

/** Flags of frames. */
export const FLAG = { END_STREAM: 1, ACK: 1, END_HEADERS: 4 } as const;

/** A frame that came. */
export interface Frame {
  /** Type. */
  readonly type: number;
  /** Flags. */
  readonly flags: number;
  /** Stream. */
  readonly stream: number;
  /** What is in it. */
  readonly payload: Uint8Array;
}

/** One connection. */
export class RawHttp2 implements Disposable {
  /** Everything that came, in order. */
  readonly frames: Frame[] = [];
  /** The server has closed it. */
  isEnded = false;
  /** Resolves with the end. */
  readonly ended: Promise<void>;
  readonly #conn: Deno.Conn;
  #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  private constructor(conn: Deno.Conn, reads: boolean) {
    this.#conn = conn;
    this.ended = reads ? this.#read() : new Promise(() => {});
  }

  /** Connects over TLS and sends preface and settings. A client that does not read lets answers pile up. */
  static async connect(
    port: number,
    caCert: string,
    { reads = true, settings = [] }: { reads?: boolean; settings?: [number, number][] } = {},
  ): Promise<RawHttp2> {
    const conn = await Deno.connectTls({
      hostname: "localhost",
      port,
      caCerts: [caCert],
      alpnProtocols: ["h2"],
    });
    const { alpnProtocol } = await conn.handshake();
    if (alpnProtocol !== "h2") throw new Error(`No HTTP/2 but ${alpnProtocol}`);
    const client = new RawHttp2(conn, reads);
    await client.send(PREFACE, frame(FRAME.SETTINGS, 0, 0, settingsPayload(settings)));
    return client;
  }

  /** Sends bytes. False when the server has ended the connection. */
  async send(...parts: Uint8Array[]): Promise<boolean> {
    const bytes = concat(parts);
    try {
      for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
      return true;
    } catch {
      // However it says so: what was closed takes nothing.
      this.isEnded = true;
      return false;
    }
  }

  /** Waits for a frame; fails after half a minute or at the end. */
  async until(isIt: (frame: Frame) => boolean, what: string): Promise<Frame> {
    const latest = performance.now() + 30_000;
    for (;;) {
      const found = this.frames.find(isIt);
      if (found !== undefined) return found;
      if (this.isEnded || performance.now() > latest) {
        const seen = this.frames.map(({ type, stream }) => `${type}/${stream}`).slice(-20);
        throw new Error(`Never came: ${what}; last frames ${seen.join(" ")}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    try {
      this.#conn.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(65536);
    try {
      for (;;) {
        const count = await this.#conn.read(buffer);
        if (count === null) break;
        this.#buffer = concat([this.#buffer, buffer.subarray(0, count)]);
        this.#parse();
      }
    } catch {
      // A reset is an end too.
    }
    this.isEnded = true;
  }

  #parse(): void {
    const buffer = this.#buffer;
    let at = 0;
    while (buffer.length - at >= 9) {
      const length = (buffer[at]! << 16) | (buffer[at + 1]! << 8) | buffer[at + 2]!;
      if (buffer.length - at < 9 + length) break;
      const view = new DataView(buffer.buffer, buffer.byteOffset + at);
      this.frames.push({
        type: buffer[at + 3]!,
        flags: buffer[at + 4]!,
        stream: view.getUint32(5) & 0x7fffffff,
        payload: buffer.slice(at + 9, at + 9 + length),
      });
      at += 9 + length;
    }
    this.#buffer = buffer.slice(at);
  }
}

/** One frame. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = new Uint8Array(0),
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(9 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, (payload.length << 8) | type);
  bytes[4] = flags;
  view.setUint32(5, stream);
  bytes.set(payload, 9);
  return bytes;
}

/** A header block without compression: every field a literal that is not indexed. */
export function headerBlock(fields: Iterable<readonly [string, string]>): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  for (const [name, value] of fields) {
    parts.push(Uint8Array.of(0), literal(name), literal(value));
  }
  return concat(parts);
}

/** The header block of a plain request. */
export function requestBlock(
  method: string,
  path: string,
  fields: Iterable<readonly [string, string]> = [],
): Uint8Array<ArrayBuffer> {
  return headerBlock([
    [":method", method],
    [":scheme", "https"],
    [":authority", "localhost"],
    [":path", path],
    ...fields,
  ]);
}

/** A 32-bit number in the order of the network. */
export function uint32(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** Joins bytes. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function settingsPayload(settings: readonly [number, number][]): Uint8Array {
  const bytes = new Uint8Array(settings.length * 6);
  const view = new DataView(bytes.buffer);
  settings.forEach(([id, value], index) => {
    view.setUint16(index * 6, id);
    view.setUint32(index * 6 + 2, value);
  });
  return bytes;
}

function literal(text: string): Uint8Array {
  const bytes = ENCODER.encode(text);
  return concat([integer(bytes.length, 7), bytes]);
}

/** An integer in the prefix coding of HPACK, without flags. */
function integer(value: number, prefixBits: number): Uint8Array {
  const most = (1 << prefixBits) - 1;
  if (value < most) return Uint8Array.of(value);
  const bytes = [most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
