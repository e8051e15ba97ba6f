/**
 * A handler on a real socket, without the rest of the server.
 *
 * @module
 */

import { createContext } from "../../src/core/context.ts";
import type { Handler } from "../../src/core/handler.ts";

/** A handler that listens. */
export interface ServedHandler extends AsyncDisposable {
  /** Where, without a final slash. */
  readonly url: string;
  /** Its port on 127.0.0.1. */
  readonly port: number;
}

/** Serves a handler on a free loopback port, with contexts as a front makes them. */
export function serveHandler(handler: Handler): ServedHandler {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (req, info) =>
      handler(
        req,
        createContext({ url: req.url, remoteAddr: info.remoteAddr.hostname, remotePort: 1 }),
      ),
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    port: server.addr.port,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/**
 * Sends raw bytes to a port and gives what came back, until the peer closes or the answer matches.
 * Gives up after ten seconds with what there is.
 */
export async function exchange(port: number, request: string, until?: RegExp): Promise<string> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const timer = setTimeout(() => conn.close(), 10_000);
  let text = "";
  try {
    await conn.write(new TextEncoder().encode(request));
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(65536);
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
      text += decoder.decode(buffer.subarray(0, n), { stream: true });
      if (until?.test(text)) break;
    }
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource)) {
      throw error;
    }
    text += "\n(no end within ten seconds)";
  } finally {
    clearTimeout(timer);
  }
  return text;
}

/** Runs curl and gives what it printed. */
export async function curl(...args: string[]): Promise<string> {
  const output = await new Deno.Command("curl", { args: ["-s", "-m", "20", ...args] }).output();
  return new TextDecoder().decode(output.stdout);
}
