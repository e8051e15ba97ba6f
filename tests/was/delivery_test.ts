import assert from "node:assert/strict";
import { closeQuietly } from "../../src/net/connect.ts";
import { alias, aliases } from "../../src/was/aliases.ts";
import { wac } from "../../src/was/wac.ts";
import { Was } from "../../src/was/was.ts";
import { recordLogs } from "../_support/log_recorder.ts";

const DECODER = new TextDecoder();
const ENCODER = new TextEncoder();
const ANSWER = ENCODER.encode("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfresh");
const WARM = ENCODER.encode("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwarm");

/** When a connection of the upstream dies. */
interface Death {
  /** After so many bytes of the request have been read; -1 for never. */
  request: number;
  /** After so many bytes of the answer have been written. */
  answer: number;
  /** Whether the connection is to die that has carried a request before. */
  reused: boolean;
}

/**
 * An upstream that dies once, at the byte it is told to, and counts whole requests. It takes a request
 * for delivered as soon as it has all its bytes, whether or not it lives to answer.
 */
function mortal() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  let death: Death | undefined;
  const delivered: string[] = [];
  const serve = async (conn: Deno.Conn) => {
    open.add(conn);
    const buffer = new Uint8Array(4096);
    try {
      for (let served = 0;; served++) {
        let text = "";
        for (;;) {
          const dying = death !== undefined && death.request >= 0 && death.reused === served > 0;
          if (dying && text.length >= death!.request) {
            death = undefined;
            return;
          }
          // it is told when to die while it waits for the first byte
          const most = text === ""
            ? 1
            : dying
            ? Math.min(buffer.length, death!.request - text.length)
            : buffer.length;
          const count = await conn.read(buffer.subarray(0, most));
          if (count === null) return;
          text += DECODER.decode(buffer.subarray(0, count));
          const head = text.indexOf("\r\n\r\n");
          const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
          if (head !== -1 && text.length >= head + 4 + length) break;
        }
        if (text.includes("/warm")) {
          await conn.write(WARM);
          continue;
        }
        delivered.push(text.slice(0, text.indexOf(" ")));
        const dying = death !== undefined && death.request === -1 && death.reused === served > 0;
        if (dying) {
          const { answer } = death!;
          death = undefined;
          await conn.write(ANSWER.subarray(0, answer));
          return;
        }
        await conn.write(ANSWER);
      }
    } catch (error) {
      const gone = error instanceof Deno.errors.BadResource ||
        error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe ||
        error instanceof Deno.errors.Interrupted;
      if (!gone) throw error;
    } finally {
      open.delete(conn);
      closeQuietly(conn);
    }
  };
  const serving = (async () => {
    const all: Promise<void>[] = [];
    try {
      for await (const conn of listener) all.push(serve(conn));
    } finally {
      await Promise.all(all);
    }
  })();
  return {
    node: `127.0.0.1:${(listener.addr as Deno.NetAddr).port}`,
    delivered,
    die: (when: Death) => void (death = when),
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const conn of open) conn.close();
      await serving;
    },
  };
}

/** Length of the request a client sends to a port of five digits, found by letting it through once. */
async function lengthOf(method: "get" | "post" | "put"): Promise<number> {
  let text = "";
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = (listener.addr as Deno.NetAddr).port;
  const tapping = (async () => {
    const conn = await listener.accept();
    const buffer = new Uint8Array(4096);
    while (!text.endsWith(method === "get" ? "\r\n\r\n" : '{"n":1}')) {
      const got = await conn.read(buffer);
      if (got === null) break;
      text += DECODER.decode(buffer.subarray(0, got));
    }
    await conn.write(ANSWER);
    conn.close();
  })();
  await new Was()[method](`http://127.0.0.1:${port}/x`, method === "get" ? undefined : { n: 1 });
  await tapping;
  listener.close();
  await wac.backends[Symbol.asyncDispose]();
  // the Host header has the port
  return text.length - String(port).length + 5;
}

for (const method of ["post", "put", "get"] as const) {
  Deno.test(
    `OPS-04 WAS-20 an upstream that dies at every byte: a ${method.toUpperCase()} ${
      method === "post" ? "arrives once or not at all" : "succeeds by being repeated"
    }`,
    async () => {
      using _logs = recordLogs();
      const length = await lengthOf(method);
      const positions: Omit<Death, "reused">[] = [];
      for (let request = 0; request < length; request++) positions.push({ request, answer: 0 });
      for (let answer = 0; answer < ANSWER.length; answer++) {
        positions.push({ request: -1, answer });
      }
      for (const reused of [false, true]) {
        await using one = mortal();
        await using two = mortal();
        alias("@mortal", "http", [one.node, two.node], {
          eject: false,
          retry: { minPerSecond: 1_000_000, attempts: 3, backoffMs: 0 },
        });
        try {
          for (const position of positions) {
            const was = new Was();
            // leaves an idle connection to each, which is the one that is to die
            if (reused) await was.get.map("@mortal/warm");
            for (const upstream of [one, two]) {
              upstream.delivered.length = 0;
              upstream.die({ ...position, reused });
            }
            const where = `${method} ${JSON.stringify(position)} reused: ${reused}`;
            const result = await was[method]<string>(
              "@mortal/x",
              method === "get" ? undefined : { n: 1 },
              { timeout: 10 },
            );
            const count = one.delivered.length + two.delivered.length;
            if (method === "post") {
              assert.ok(count <= 1, `${count} deliveries: ${where}`);
              if (result.status === 3) assert.equal(count, 1, where);
            } else {
              assert.deepEqual([result.status, result.text], [3, "fresh"], where);
            }
          }
        } finally {
          aliases.delete("@mortal");
          await wac.backends[Symbol.asyncDispose]();
        }
      }
    },
  );
}
