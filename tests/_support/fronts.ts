/**
 * Fronts on free ports, and raw clients that see every byte.
 *
 * @module
 */

import type { Handler } from "../../src/core/handler.ts";
import {
  DEFAULT_FRONT_LIMITS,
  type Front,
  type FrontLimits,
  type StartFront,
  type TlsMaterial,
} from "../../src/server/front.ts";
import { startEdge } from "../../src/server/fronts/edge.ts";
import { startFast } from "../../src/server/fronts/fast.ts";
import { type ListLog, listLog } from "./list_log.ts";

/** Both fronts. */
export const FRONTS: Readonly<Record<"fast" | "edge", StartFront>> = {
  fast: startFast,
  edge: startEdge,
};

/** A front that is being tested. */
export interface TestFront extends AsyncDisposable {
  /** The front. */
  readonly front: Front;
  /** Its port. */
  readonly port: number;
  /** Address with scheme, without a final slash. */
  readonly url: string;
  /** What it logged. */
  readonly log: ListLog;
  /** Connections it counted as killed. */
  readonly zombies: () => number;
}

/** What may differ from test to test. */
export interface TestFrontOptions {
  /** Address to bind. Default 127.0.0.1. */
  readonly hostname?: string;
  /** Port. Default: a free one. */
  readonly port?: number;
  /** Limits other than the defaults. */
  readonly limits?: Partial<FrontLimits>;
  /** Speak TLS. */
  readonly tls?: TlsMaterial;
  /** Share the port. */
  readonly reusePort?: boolean;
  /** Value of `Server` in answers of the front itself. */
  readonly server?: string;
}

/** Starts a front; disposing ends it at once. */
export async function startTestFront(
  kind: "fast" | "edge",
  handler: Handler,
  options: TestFrontOptions = {},
): Promise<TestFront> {
  const { hostname = "127.0.0.1", port = 0, limits, tls, reusePort = false, server } = options;
  const log = listLog();
  let connections = 0;
  let requests = 0;
  let zombies = 0;
  const front = await FRONTS[kind]({
    hostname,
    port,
    handler,
    tls,
    reusePort,
    limits: { ...DEFAULT_FRONT_LIMITS, ...limits },
    counters: {
      nextConnection: () => ++connections,
      nextRequest: () => ++requests,
      zombie: () => void zombies++,
    },
    server,
    log,
    workerId: "W7",
  });
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    front,
    log,
    port: front.address.port,
    url: `${tls === undefined ? "http" : "https"}://${host}:${front.address.port}`,
    zombies: () => zombies,
    [Symbol.asyncDispose]: () => front.shutdown(0),
  };
}

const ENCODER = new TextEncoder();

/** A connection that sends and receives bytes as they are, as Latin-1 text. */
export class RawClient implements Disposable {
  /** Everything received so far. */
  received = "";
  /** How the other side ended it: not yet, in order, or with an error such as a reset. */
  ended: "no" | "closed" | "reset" = "no";
  readonly #conn: Deno.Conn;
  readonly #done: Promise<void>;
  #changed = Promise.withResolvers<void>();
  #isClosed = false;

  private constructor(conn: Deno.Conn, reads: boolean) {
    this.#conn = conn;
    this.#done = reads ? this.#read() : Promise.resolve();
  }

  /** Connects, to 127.0.0.1 unless told otherwise. A client that does not read is a slow one. */
  static async connect(
    port: number,
    { hostname = "127.0.0.1", reads = true }: { hostname?: string; reads?: boolean } = {},
  ): Promise<RawClient> {
    return new RawClient(await Deno.connect({ hostname, port }), reads);
  }

  /** Sends text or bytes. Fails like the socket when the other side is gone. */
  async send(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? ENCODER.encode(data) : data;
    for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
  }

  /** Ends the sending direction only. */
  async closeWrite(): Promise<void> {
    await (this.#conn as Deno.TcpConn).closeWrite();
  }

  /** Waits until what was received matches. Fails after half a minute, or when nothing can come any more. */
  async until(pattern: RegExp): Promise<string> {
    await this.#wait(() => pattern.test(this.received), `${pattern}`);
    return this.received;
  }

  /** Waits until the other side has ended the connection; gives everything received. */
  async end(): Promise<string> {
    await this.#wait(() => this.ended !== "no", "the end");
    return this.received;
  }

  /** Reads one piece by hand, for a client made with `reads: false`; undefined at the end. */
  async take(buffer: Uint8Array): Promise<number | undefined> {
    try {
      return await this.#conn.read(buffer) ?? undefined;
    } catch (error) {
      if (isReset(error)) return undefined;
      throw error;
    }
  }

  /** Closes it. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #wait(isMet: () => boolean, what: string): Promise<void> {
    const timeout = Promise.withResolvers<void>();
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      timeout.resolve();
    }, 30_000);
    while (!isMet()) {
      if (isLate || this.ended !== "no") {
        clearTimeout(timer);
        throw new Error(`Waited for ${what}, got ${JSON.stringify(this.received.slice(-2000))}`);
      }
      await Promise.race([this.#changed.promise, timeout.promise]);
    }
    clearTimeout(timer);
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder("latin1");
    const buffer = new Uint8Array(65536);
    try {
      for (;;) {
        const count = await this.#conn.read(buffer);
        if (count === null) break;
        this.received += decoder.decode(buffer.subarray(0, count));
        this.#notify();
      }
      this.ended = "closed";
    } catch (error) {
      if (!isReset(error) && !this.#isClosed) throw error;
      this.ended = "reset";
    }
    this.#notify();
  }

  #notify(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }
}

function isReset(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionAborted || error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted;
}

/** Sends a request on a connection of its own and gives everything until the server closes it. */
export async function ask(port: number, request: string): Promise<string> {
  using client = await RawClient.connect(port);
  await client.send(request);
  return await client.end();
}

/** Waits until something holds, looking every few milliseconds; fails after half a minute. */
export async function eventually(isTrue: () => boolean, what: string): Promise<void> {
  const latest = performance.now() + 30_000;
  while (!isTrue()) {
    if (performance.now() > latest) throw new Error(`Never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Runs a program and gives what it printed; the exit code is part of it when it is not 0. */
export async function run(program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args }).output();
  const text = new TextDecoder().decode(stdout);
  return code === 0 ? text : `${text}[exit ${code}] ${new TextDecoder().decode(stderr)}`;
}

/** curl with an end to its patience, without a progress bar, and trusting any certificate. */
export function curl(...args: string[]): Promise<string> {
  return run("curl", "-sS", "-k", "-m", "20", ...args);
}

let material: TlsMaterial | undefined;

/** A self-signed certificate for `localhost` and 127.0.0.1, made once. */
export async function testTls(): Promise<TlsMaterial> {
  if (material !== undefined) return material;
  const directory = await Deno.makeTempDir();
  try {
    const key = `${directory}/key.pem`;
    const cert = `${directory}/cert.pem`;
    await run(
      "openssl",
      ...`req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost`
        .split(" "),
      ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
      // Without it the certificate is one of an authority, which Deno does not take for a server's.
      ...["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", cert],
    );
    material = { cert: await Deno.readTextFile(cert), key: await Deno.readTextFile(key) };
    return material;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
