import assert from "node:assert/strict";
import { installBodyMeter } from "../../src/core/body_size.ts";
import { createContext } from "../../src/core/context.ts";
import { ConfigError, HttpError } from "../../src/core/errors.ts";
import { compose, type Handler } from "../../src/core/handler.ts";
import { errorGuard } from "../../src/middleware/error_guard.ts";
import {
  type ByteCounters,
  compileLogOff,
  requestLog,
  type RequestLogOptions,
} from "../../src/middleware/request_log.ts";
import { transaction } from "../../src/middleware/transaction.ts";
import { parseRequestLine, type RequestFacts } from "../../src/wire/request_line.ts";
import { curl, eventually, RawClient, startTestFront } from "../_support/fronts.ts";
import { listLog } from "../_support/list_log.ts";

installBodyMeter();

interface LoggedFront extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly lines: string[];
  /** Waits until there are that many lines and gives the last one. */
  last(count: number): Promise<RequestFacts>;
}

/** A front with the request log outermost, as the engine builds it. */
async function startLogged(
  kind: "fast" | "edge",
  handler: Handler,
  { hostname, ...options }: Partial<RequestLogOptions> & { hostname?: string } = {},
): Promise<LoggedFront> {
  const lines: string[] = [];
  const front = await startTestFront(
    kind,
    compose([
      requestLog({
        log: { write: (line) => void lines.push(line) },
        connections: () => front.front.connections(),
        ...options,
      }),
      errorGuard({ log: listLog() }),
      transaction,
    ], handler),
    hostname === undefined ? {} : { hostname },
  );
  return {
    url: front.url,
    port: front.port,
    lines,
    async last(count) {
      await eventually(() => lines.length >= count, `${count} lines`);
      assert.equal(lines.length, count, lines.join("\n"));
      return parseRequestLine(lines.at(-1)!);
    },
    [Symbol.asyncDispose]: () => front[Symbol.asyncDispose](),
  };
}

function chunks(count: number, size: number, waitMs = 0): ReadableStream<Uint8Array> {
  let left = count;
  return new ReadableStream({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      if (left-- === 0) controller.close();
      else controller.enqueue(new Uint8Array(size).fill(97));
    },
  });
}

const answer: Handler = async (req, ctx) => {
  switch (ctx.path) {
    case "/slow":
      await new Promise((resolve) => setTimeout(resolve, 60));
      return new Response("slow");
    case "/stream":
      return new Response(chunks(4, 1000, 20));
    case "/endless":
      return new Response(chunks(1e9, 1000, 1));
    case "/big":
      return new Response(new Uint8Array(300_000));
    case "/echo":
      return new Response(`${(await req.bytes()).length}`);
    case "/ignore":
      return new Response("ignored");
    case "/nothing":
      return new Response(null, { status: 204 });
    case "/missing":
      throw new HttpError(404);
    case "/throw":
      throw new Error("boom");
    case "/user":
      ctx.user = { name: 'Jürgen "J" Ö' };
      ctx.token = "...c0ffee";
      return new Response("known");
    default:
      return new Response("hello");
  }
};

for (const kind of ["fast", "edge"] as const) {
  const test = (name: string, run: () => Promise<void>) => Deno.test(`${name} (${kind})`, run);

  test("LOG-07 LOG-08 LOG-09 every field of a request has what it is called", async () => {
    await using server = await startLogged(kind, answer);
    const before = Math.floor(Date.now() / 1000) * 1000;
    await curl(
      ...["-A", "test agent", "-e", "https://from.example/a?b=c", "-H", "Host: shop.example:81"],
      ...["-H", "X-Forwarded-For: 203.0.113.9, 10.0.0.1", `${server.url}/a%20b/c?d=e%20f&g`],
    );
    const facts = await server.last(1);
    assert.ok(facts.time >= before && facts.time <= Date.now());
    const { time: _, handlingMs, sendingMs, gtxnid, ...rest } = facts;
    assert.deepEqual(rest, {
      clientAddress: "127.0.0.1",
      host: "shop.example:81",
      method: "GET",
      uri: "/a%20b/c?d=e%20f&g",
      version: "1.1",
      requestBytes: 0,
      status: 200,
      responseBytes: 5,
      ltxnid: 1000,
      user: "",
      token: "",
      referer: "https://from.example/a?b=c",
      userAgent: "test agent",
      forwardedFor: "203.0.113.9",
      workerId: "W7",
      connections: 1,
    });
    assert.match(gtxnid, /^GTID-C\d+-R\d+$/);
    assert.ok(Number.isInteger(handlingMs) && Number.isInteger(sendingMs));
    assert.match(server.lines[0]!, / W7 1 \d+ \d+$/);
  });

  test("LOG-08 the forwarded address stands there only where it is another one", async () => {
    await using server = await startLogged(kind, answer);
    await curl("-H", "X-Forwarded-For: 127.0.0.1", server.url);
    assert.equal((await server.last(1)).forwardedFor, "");
    await curl("-H", "X-Forwarded-For:  198.51.100.4 ", server.url);
    assert.equal((await server.last(2)).forwardedFor, "198.51.100.4");
  });

  test("LOG-08 user and token are those the app has found", async () => {
    await using server = await startLogged(kind, answer);
    await curl("-u", "eve:secret", `${server.url}/`);
    assert.equal((await server.last(1)).user, "", "whoever says so is nobody yet");
    await curl("-H", "Authorization: Bearer very-secret-token", `${server.url}/user`);
    const { user, token } = await server.last(2);
    assert.deepEqual([user, token], ['Jürgen "J" Ö', "...c0ffee"]);
    assert.doesNotMatch(server.lines.join("\n"), /secret/);
  });

  test("LOG-07 the bytes of bodies are those that were sent", async () => {
    await using server = await startLogged(kind, answer);
    const cases: [args: string[], requestBytes: number, status: number, responseBytes: number][] = [
      [["-d", "12345", "/echo"], 5, 200, 1],
      [["-H", "Transfer-Encoding: chunked", "-d", "1234567", "/echo"], 7, 200, 1],
      [["-X", "PUT", "-d", "", "/echo"], 0, 200, 1],
      [["-I", "/big"], 0, 200, 0],
      [["/big"], 0, 200, 300_000],
      [["/stream"], 0, 200, 4000],
      [["/nothing"], 0, 204, 0],
    ];
    let count = 0;
    for (const [args, requestBytes, status, responseBytes] of cases) {
      const path = args.pop()!;
      await curl(...args, "-o", "/dev/null", server.url + path);
      const facts = await server.last(++count);
      assert.deepEqual(
        [facts.requestBytes, facts.status, facts.responseBytes],
        [requestBytes, status, responseBytes],
        server.lines.at(-1),
      );
    }
  });

  test("LOG-07 failures are logged with the status and the size the client got", async () => {
    await using server = await startLogged(kind, answer);
    for (
      const [index, [path, status]] of ([["/missing", 404], ["/throw", 500]] as const).entries()
    ) {
      const size = await curl("-o", "/dev/null", "-w", "%{size_download}", server.url + path);
      const facts = await server.last(index + 1);
      assert.deepEqual([facts.status, facts.responseBytes], [status, Number(size)]);
    }
  });

  test("LOG-09 handling and sending are timed apart, in whole milliseconds", async () => {
    await using server = await startLogged(kind, answer);
    await curl(`${server.url}/slow`);
    const slow = await server.last(1);
    assert.ok(slow.handlingMs >= 58 && slow.sendingMs < slow.handlingMs, server.lines[0]);
    await curl(`${server.url}/stream`);
    const stream = await server.last(2);
    assert.ok(stream.sendingMs >= 75, server.lines[1]);
  });

  test("LOG-09 the connections are those open at that moment", async () => {
    // An address of its own: what belongs to other tests may have the same port elsewhere.
    const hostname = "127.20.0.1";
    await using server = await startLogged(kind, answer, { hostname });
    const clients: RawClient[] = [];
    for (let count = 1; count <= 3; count++) {
      const client = await RawClient.connect(server.port, { hostname });
      clients.push(client);
      await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await client.until(/hello$/);
      const { connections } = await server.last(count);
      assert.ok(connections >= 1 && connections <= count);
      if (kind === "edge") assert.equal(connections, count);
    }
    // The runtime does not tell the fast front, which has them counted once a second.
    let { connections } = await server.last(3);
    for (let count = 4; connections < 3 && count < 500; count++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await clients[0]!.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      ({ connections } = await server.last(count));
    }
    assert.equal(connections, 3);
    for (const client of clients) client.close();
  });

  test("LOG-07 a client that goes away ends its line", async () => {
    await using server = await startLogged(kind, answer);
    using client = await RawClient.connect(server.port);
    await client.send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until(/a{1000}/);
    client.close();
    const facts = await server.last(1);
    assert.equal(facts.status, 200);
    assert.ok(facts.responseBytes >= 1000);
  });

  test("LOG-07 LOG-10 whatever a client sends, it is one line of 21 fields", async () => {
    await using server = await startLogged(kind, answer);
    const utf8 = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
    const requests: [raw: string, expected: Partial<RequestFacts>][] = [
      ["GET /q?a='%22 HTTP/1.1\r\nHost: a", { uri: "/q?a='%22" }],
      ['GET / HTTP/1.1\r\nHost: a\r\nReferer: a "b" \\ c', { referer: 'a "b" \\ c' }],
      ['GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: x\ty" - W0 0 0 0', {
        userAgent: 'x\ty" - W0 0 0 0',
      }],
      [`GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: ${utf8("Grüße 日本")}`, {
        userAgent: "Grüße 日本",
      }],
      ["GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \x80\x9b31m", { userAgent: "\x80\x9b31m" }],
      ["GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: a b", { forwardedFor: "a b" }],
      [`GET / HTTP/1.1\r\nHost: a\r\nReferer: ${"r ".repeat(8000)}r`, {
        referer: `${"r ".repeat(8000)}r`,
      }],
      [`GET /${"u".repeat(8000)}?${"q".repeat(8000)} HTTP/1.1\r\nHost: a`, {
        uri: `/${"u".repeat(8000)}?${"q".repeat(8000)}`,
      }],
    ];
    for (const [index, [raw, expected]] of requests.entries()) {
      using client = await RawClient.connect(server.port);
      const bytes = Uint8Array.from(`${raw}\r\nConnection: close\r\n\r\n`, (c) => c.charCodeAt(0));
      await client.send(bytes);
      assert.match(await client.end(), /hello$/);
      const facts = await server.last(index + 1);
      assert.deepEqual(
        Object.entries(facts).filter(([key]) => key in expected),
        Object.entries(expected),
      );
      // deno-lint-ignore no-control-regex -- they must not be there
      assert.doesNotMatch(server.lines[index]!, /[\x00-\x1f\x7f-\x9f]/);
    }
  });

  test("LOG-07 an HTTP/1.0 client without a host", async () => {
    await using server = await startLogged(kind, answer);
    using client = await RawClient.connect(server.port);
    // The fast front does not learn the version, and asks everybody for a host.
    await client.send(`GET / HTTP/1.0\r\n${kind === "fast" ? "Host: a\r\n" : ""}\r\n`);
    assert.match(await client.end(), /hello$/);
    const { version, host } = await server.last(1);
    assert.deepEqual([version, host], kind === "fast" ? ["1.1", "a"] : ["1.0", ""]);
  });

  test("LOG-12 what is turned off leaves no line", async () => {
    await using server = await startLogged(kind, answer, { off: ["/static/*", "/p", "*.css"] });
    for (const path of ["/static/a", "/static/", "/pictures", "/a/b.css", "/b.css?v=1"]) {
      assert.equal(await curl(server.url + path), "hello");
    }
    for (const path of ["/", "/?static", "/static", "/a/static/x", "/b.css/c", "/x?y=.css"]) {
      assert.equal(await curl(server.url + path), "hello");
    }
    await server.last(6);
    assert.deepEqual(server.lines.map((line) => parseRequestLine(line).uri), [
      ..."/ /?static /static /a/static/x /b.css/c /x?y=.css".split(" "),
    ]);
  });
}

Deno.test("LOG-12 patterns: beginnings, endings, and / always", () => {
  const none = compileLogOff([]);
  assert.equal(none("/a"), false);
  const all = compileLogOff(["*"]);
  assert.deepEqual(["/a", "/a/b.c", "/"].map(all), [true, true, false]);
  const root = compileLogOff(["/"]);
  assert.deepEqual(["/a", "/"].map(root), [true, false]);
  for (const pattern of ["static", "/a*b", "*a*", "", "a*"]) {
    assert.throws(() => compileLogOff([pattern]), (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, /logOff\(.*expected the beginning of a path/);
      return true;
    });
  }
  assert.throws(() => requestLog({ off: ["x"], connections: () => 0 }), ConfigError);
});

Deno.test("LOG-07 LOG-12 bytes are counted whether a request is logged or not", async () => {
  const sum = { received: 0, sent: 0 };
  const counters: ByteCounters = {
    received: (bytes) => void (sum.received += bytes),
    sent: (bytes) => void (sum.sent += bytes),
  };
  await using server = await startLogged("fast", answer, { off: ["*"], counters });
  await curl("-d", "12345", `${server.url}/echo`);
  await curl("-H", "Transfer-Encoding: chunked", "-d", "1234567", `${server.url}/echo`);
  await curl(`${server.url}/stream`);
  await eventually(() => sum.sent === 4002, "4002 bytes sent");
  assert.deepEqual([sum.received, server.lines.length], [12, 0]);
});

Deno.test("LOG-01 without a log and without counters the layer is not there", () => {
  const handler: Handler = () => new Response();
  assert.equal(requestLog({ connections: () => 0 })(handler), handler);
});

Deno.test("LOG-07 a handler that throws past every guard is logged as 500", async () => {
  const lines: string[] = [];
  const layer = requestLog({ log: { write: (l) => void lines.push(l) }, connections: () => 2 });
  const req = new Request("http://h.example/x", { method: "POST", body: "abc" });
  for (
    const handler of [() => {
      throw new Error("sync");
    }, () => Promise.reject(new Error("async"))]
  ) {
    const ctx = createContext({ url: req.url });
    await assert.rejects(async () => await layer(handler)(req, ctx), /sync/);
  }
  assert.deepEqual(lines.map((line) => parseRequestLine(line).status), [500, 500]);
});
