/**
 * A backend made of bare sockets, for what no real server does on purpose, and small helpers around
 * waiting and certificates.
 *
 * @module
 */

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/** One accepted connection. */
export class RawConnection {
  /** Number of the connection, from 1. */
  readonly number: number;
  readonly #conn: Deno.Conn;
  #rest = new Uint8Array(0);

  /** Wraps an accepted connection. */
  constructor(conn: Deno.Conn, number: number) {
    this.#conn = conn;
    this.number = number;
  }

  /** Sends text or bytes. */
  async write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? ENCODER.encode(data) : data;
    for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
  }

  /** Reads exactly so many bytes; fewer only when the peer closes before. */
  async read(count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count);
    let at = 0;
    while (at < count) {
      if (this.#rest.length > 0) {
        const take = Math.min(count - at, this.#rest.length);
        bytes.set(this.#rest.subarray(0, take), at);
        this.#rest = this.#rest.slice(take);
        at += take;
        continue;
      }
      const got = await this.#conn.read(bytes.subarray(at));
      if (got === null) break;
      at += got;
    }
    return bytes.subarray(0, at);
  }

  /** Reads a request with a Content-Length or chunked body; `undefined` when the peer closes before. */
  async request(): Promise<RawRequest | undefined> {
    const head = await this.#until("\r\n\r\n");
    if (head === undefined) return undefined;
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
      let body = "";
      for (;;) {
        const line = await this.#until("\r\n");
        if (line === undefined) return undefined;
        const size = Number.parseInt(line, 16);
        const chunk = await this.read(size + 2);
        if (size === 0) return { head, body };
        body += DECODER.decode(chunk.subarray(0, size));
      }
    }
    const bytes = await this.read(Number(length ?? 0));
    if (bytes.length < Number(length ?? 0)) return undefined;
    return { head, body: DECODER.decode(bytes) };
  }

  /** Ends the sending direction only. */
  closeWrite(): Promise<void> {
    return this.#conn.closeWrite();
  }

  /** Waits until the peer has closed; what it sends is dropped. */
  async drained(): Promise<void> {
    const buffer = new Uint8Array(65536);
    try {
      while (await this.#conn.read(buffer) !== null);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  /** Closes the connection. */
  close(): void {
    try {
      this.#conn.close();
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  async #until(end: string): Promise<string | undefined> {
    let text = DECODER.decode(this.#rest);
    let bytes = this.#rest;
    const buffer = new Uint8Array(65536);
    while (!text.includes(end)) {
      const count = await this.#conn.read(buffer);
      if (count === null) return undefined;
      const more = new Uint8Array(bytes.length + count);
      more.set(bytes);
      more.set(buffer.subarray(0, count), bytes.length);
      bytes = more;
      text = DECODER.decode(bytes);
    }
    const stop = text.indexOf(end) + end.length;
    this.#rest = bytes.slice(stop);
    return text.slice(0, stop);
  }
}

/** A request as it came in. */
export interface RawRequest {
  /** Request line and headers with the empty line. */
  readonly head: string;
  /** Body as text. */
  readonly body: string;
}

/** A running raw backend. */
export interface RawBackend extends AsyncDisposable {
  /** Its port on 127.0.0.1. */
  readonly port: number;
  /** Its address with scheme, without a final slash. */
  readonly origin: string;
  /** Connections accepted so far. */
  readonly accepted: number;
}

/** Starts a backend; each connection is closed when its script ends. */
export function rawBackend(
  script: (conn: RawConnection) => Promise<void>,
  tls?: { cert: string; key: string },
): RawBackend {
  const hostname = "127.0.0.1";
  const listener = tls === undefined
    ? Deno.listen({ hostname, port: 0 })
    : Deno.listenTls({ hostname, port: 0, ...tls });
  const open = new Set<RawConnection>();
  const errors: unknown[] = [];
  let accepted = 0;
  const accepting = (async () => {
    const running: Promise<void>[] = [];
    for (;;) {
      let conn: Deno.Conn;
      try {
        conn = await listener.accept();
      } catch (error) {
        if (isGone(error)) break;
        if (error instanceof Deno.errors.InvalidData) continue;
        throw error;
      }
      const raw = new RawConnection(conn, ++accepted);
      open.add(raw);
      running.push(
        script(raw).catch((error) => {
          if (!isGone(error)) errors.push(error);
        }).finally(() => {
          raw.close();
          open.delete(raw);
        }),
      );
    }
    await Promise.all(running);
  })();
  const { port } = listener.addr as Deno.NetAddr;
  return {
    port,
    origin: `http${tls ? "s" : ""}://127.0.0.1:${port}`,
    get accepted() {
      return accepted;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const conn of open) conn.close();
      await accepting;
      if (errors.length > 0) throw new AggregateError(errors, "a script of a raw backend failed");
    },
  };
}

function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted ||
    error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.ConnectionAborted || error instanceof Deno.errors.UnexpectedEof ||
    error instanceof Deno.errors.NotConnected ||
    (error as { name?: string } | null)?.name === "InvalidData";
}

/** Waits until what was asked before has gone as far as it can without an answer from outside. */
export async function sent(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

/** Keeps the event loop busy for so many milliseconds. */
export function block(ms: number): void {
  for (const until = performance.now() + ms; performance.now() < until;);
}

/** Waits until the condition holds, at most half a minute. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + 30_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`Waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A certificate authority and a server certificate for localhost and 127.0.0.1. */
export interface TestCertificates {
  /** Certificate of the authority, PEM. */
  readonly ca: string;
  /** Certificate of the server, PEM. */
  readonly cert: string;
  /** Key of the server, PEM. */
  readonly key: string;
}

/** Makes certificates with openssl. */
export async function makeCertificates(): Promise<TestCertificates> {
  const dir = await Deno.makeTempDir();
  const openssl = async (...args: string[]) => {
    const { success, stderr } = await new Deno.Command("openssl", {
      args,
      cwd: dir,
      stdout: "null",
      stderr: "piped",
    }).output();
    if (!success) throw new Error(`openssl ${args[0]}: ${DECODER.decode(stderr)}`);
  };
  try {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    await openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca");
    await openssl("req", ...key, "-keyout", "a.key", "-out", "a.csr", "-subj", "/CN=localhost");
    const names = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
    await Deno.writeTextFile(`${dir}/ext`, names);
    await openssl(
      ...["x509", "-req", "-in", "a.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"],
      ...["-out", "a.pem", "-days", "2", "-extfile", "ext"],
    );
    const [ca, cert, serverKey] = await Promise.all(
      ["ca.pem", "a.pem", "a.key"].map((name) => Deno.readTextFile(`${dir}/${name}`)),
    );
    return { ca: ca!, cert: cert!, key: serverKey! };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
