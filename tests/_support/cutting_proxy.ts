/**
 * A TCP proxy that cuts its connections after so many bytes of the request or of the answer.
 *
 * @module
 */

/** When to cut, counted from the moment it is said. */
export interface Cut {
  /** Bytes of the client that still go through. */
  readonly request?: number;
  /** Bytes of the server that still go through. */
  readonly answer?: number;
}

/** A proxy in front of a server on 127.0.0.1. */
export class CuttingProxy implements AsyncDisposable {
  readonly #listener: Deno.TcpListener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #upstream: number;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #running: Promise<unknown>[] = [];
  readonly #accepting: Promise<void>;
  #request = Infinity;
  #answer = Infinity;
  #cuts = 0;
  readonly #swallow: Uint8Array | undefined;

  /**
   * Starts a proxy for a port.
   *
   * @param swallow A request with this text in it is kept, and nothing more goes to the server on
   * its connection.
   */
  constructor(upstream: number, swallow?: string) {
    this.#upstream = upstream;
    this.#swallow = swallow === undefined ? undefined : new TextEncoder().encode(swallow);
    this.#accepting = this.#accept();
  }

  /** Its port. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** Sockets open now, of clients and to the server. */
  get open(): number {
    return this.#open.size;
  }

  /** How often it has cut. */
  get cuts(): number {
    return this.#cuts;
  }

  /** Says when to cut, once, all connections together; never when left out. */
  arm({ request = Infinity, answer = Infinity }: Cut = {}): void {
    this.#request = request;
    this.#answer = answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#open) close(conn);
    await this.#accepting;
    await Promise.all(this.#running);
  }

  async #accept(): Promise<void> {
    for (;;) {
      let client: Deno.TcpConn;
      try {
        client = await this.#listener.accept();
      } catch (error) {
        if (isGone(error)) return;
        throw error;
      }
      this.#open.add(client);
      this.#running.push(this.#serve(client));
    }
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    let server: Deno.TcpConn;
    try {
      server = await Deno.connect({ hostname: "127.0.0.1", port: this.#upstream });
    } catch {
      // the server is down, which the client is to see
      close(client);
      this.#open.delete(client);
      return;
    }
    this.#open.add(server);
    const both = () => {
      close(client);
      close(server);
    };
    const to = this.#pump(client, server, (size) => {
      const pass = Math.min(size, this.#request);
      this.#request -= pass;
      return pass;
    }, () => this.#request <= 0);
    const from = this.#pump(server, client, (size) => {
      const pass = Math.min(size, this.#answer);
      this.#answer -= pass;
      return pass;
    }, () => this.#answer <= 0);
    await Promise.all([to.finally(both), from.finally(both)]);
    this.#open.delete(client);
    this.#open.delete(server);
  }

  #isSwallowed(data: Uint8Array): boolean {
    return this.#swallow !== undefined && contains(data, this.#swallow);
  }

  async #pump(
    from: Deno.TcpConn,
    to: Deno.TcpConn,
    allow: (size: number) => number,
    over: () => boolean,
  ): Promise<void> {
    const buffer = new Uint8Array(65536);
    let kept = false;
    try {
      for (;;) {
        const count = await from.read(buffer);
        if (count === null) return;
        if (kept || this.#isSwallowed(buffer.subarray(0, count))) {
          kept = true;
          continue;
        }
        const pass = allow(count);
        for (let at = 0; at < pass;) at += await to.write(buffer.subarray(at, pass));
        if (pass < count || over()) {
          this.#cuts++;
          this.arm();
          return;
        }
      }
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
}

function contains(data: Uint8Array, wanted: Uint8Array): boolean {
  for (let at = data.indexOf(wanted[0]!); at !== -1; at = data.indexOf(wanted[0]!, at + 1)) {
    if (wanted.every((byte, i) => data[at + i] === byte)) return true;
  }
  return false;
}

function close(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted ||
    error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.ConnectionAborted || error instanceof Deno.errors.NotConnected;
}
