import { equal, ok } from "node:assert/strict";
import { HttpClient } from "../../../src/clients/http/client.ts";
import type { Outcome } from "../../../src/clients/contract.ts";
import { rawBackend, type RawConnection, until } from "../../_support/raw_backend.ts";

const BODY = new TextEncoder().encode('{"order":1}');
const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const WARM = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

function send(client: HttpClient, method: string, url: string): Promise<Outcome> {
  const body = method === "POST" ? BODY : null;
  return client.send({ method, url, headers: [], body }, AbortSignal.timeout(20_000));
}

/** Bytes a request of this method has on the wire, learned from a backend that counts them. */
async function requestSize(method: string): Promise<number> {
  let size = 0;
  await using backend = rawBackend(async (conn) => {
    const request = await conn.request();
    size = request!.head.length + request!.body.length;
    await conn.write(ANSWER);
  });
  await using client = new HttpClient();
  equal((await send(client, method, `${backend.origin}/x`)).statusCode, 200);
  return size;
}

/**
 * Sends one request to a backend that dies as the script says, over a new connection or over one that
 * has been used before, and tells how many times any of its bytes arrived.
 */
async function attempt(
  method: string,
  reused: boolean,
  die: (conn: RawConnection) => Promise<void>,
): Promise<{ outcome: Outcome; seen: number }> {
  let seen = 0;
  await using backend = rawBackend(async (conn) => {
    if (reused && conn.number === 1) {
      await conn.request();
      await conn.write(WARM);
    }
    const first = await conn.read(1);
    if (first.length === 0) return;
    seen++;
    if (seen === 1) await die(conn);
    else {
      await conn.request();
      await conn.write(ANSWER);
    }
  });
  await using client = new HttpClient();
  if (reused) equal((await send(client, "HEAD", `${backend.origin}/`)).statusCode, 200);
  const outcome = await send(client, method, `${backend.origin}/x`);
  return { outcome, seen };
}

for (const reused of [false, true]) {
  const where = reused ? "a reused connection" : "a new connection";

  Deno.test(`WAS-22 a POST over ${where} that dies in the request is not sent again`, async () => {
    const size = await requestSize("POST");
    for (let at = 1; at < size; at++) {
      const { outcome, seen } = await attempt("POST", reused, async (conn) => {
        await conn.read(at - 1);
      });
      equal(seen, 1, `sent ${seen} times when cut after ${at} bytes`);
      equal(outcome.status, 2, `after ${at} bytes`);
    }
  });

  Deno.test(`WAS-22 a POST over ${where} that dies in the response is not sent again`, async () => {
    for (let at = 0; at < ANSWER.length; at++) {
      const { outcome, seen } = await attempt("POST", reused, async (conn) => {
        await conn.request();
        await conn.write(ANSWER.slice(0, at));
      });
      equal(seen, 1, `sent ${seen} times when cut after ${at} bytes`);
      equal(outcome.status, 2, `after ${at} bytes`);
      equal(outcome.statusCode, at === 0 ? 708 : at < ANSWER.length - 5 ? 715 : 700);
    }
  });
}

Deno.test("WAS-22 a GET is sent again once when a reused connection dies unanswered", async () => {
  for (const at of [1, 10, 60]) {
    const { outcome, seen } = await attempt("GET", true, async (conn) => {
      await conn.read(at - 1);
    });
    equal(seen, 2);
    equal(outcome.statusCode, 200);
  }
  const answered = await attempt("GET", true, async (conn) => {
    await conn.request();
    await conn.write(ANSWER.slice(0, 10));
  });
  equal(answered.seen, 1);
  equal(answered.outcome.statusCode, 715);
});

Deno.test("WAS-22 a GET over a new connection is not sent again", async () => {
  const { outcome, seen } = await attempt("GET", false, async (conn) => {
    await conn.request();
  });
  equal(seen, 1);
  equal(outcome.statusCode, 708);
});

Deno.test("WAS-21 a POST never meets a connection whose end was noticed", async () => {
  let posts = 0;
  await using backend = rawBackend(async (conn) => {
    const request = await conn.request();
    if (request === undefined) return;
    if (request.head.startsWith("POST")) posts++;
    await conn.write(ANSWER);
  });
  await using client = new HttpClient();
  for (let i = 1; i <= 20; i++) {
    const outcome = await send(client, "POST", `${backend.origin}/x`);
    equal(outcome.statusCode, 200);
    equal(posts, i);
    await until("the idle connection is gone", () => client.stats().open === 0);
  }
});

Deno.test("WAS-22 a large POST that is answered before it was taken is not sent again", async () => {
  let seen = 0;
  await using backend = rawBackend(async (conn) => {
    await conn.read(100);
    seen++;
    await conn.write("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
    await conn.closeWrite();
    await conn.drained();
  });
  await using client = new HttpClient();
  const body = new Uint8Array(20 * 1024 * 1024);
  const url = `${backend.origin}/x`;
  const outcome = await client.send(
    { method: "POST", url, headers: [], body },
    AbortSignal.timeout(20_000),
  );
  equal(outcome.statusCode, 413);
  equal(new TextDecoder().decode(outcome.content!), "big");
  equal(seen, 1);
  equal(client.stats().open, 0);
});

Deno.test("RES-17 a request that is given up closes its connection and is not sent again", async () => {
  let seen = 0;
  let gone!: () => void;
  const closed = new Promise<void>((resolve) => gone = resolve);
  await using backend = rawBackend(async (conn) => {
    await conn.request();
    seen++;
    await conn.drained();
    gone();
  });
  await using client = new HttpClient();
  const abort = new AbortController();
  const url = `${backend.origin}/x`;
  const pending = client.send({ method: "POST", url, headers: [], body: BODY }, abort.signal);
  await until("the request is taken", () => seen === 1);
  abort.abort();
  const outcome = await pending;
  equal(outcome.status, 1);
  equal(outcome.statusCode, 730);
  await closed;
  equal(client.stats().open, 0);
  ok(seen === 1);
});
