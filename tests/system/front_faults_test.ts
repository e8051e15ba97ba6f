import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Handler } from "../../src/core/handler.ts";
import type { FrontServiceSetup } from "../_support/front_service.ts";
import { ask, eventually, RawClient, run, startTestFront, testTls } from "../_support/fronts.ts";
import {
  concat,
  FLAG,
  FRAME,
  type Frame,
  frame,
  headerBlock,
  RawHttp2,
  requestBlock,
  uint32,
} from "../_support/raw_http2.ts";
import { type ServiceProcess, until, within, Workshop } from "../_support/service_process.ts";

const SCRIPT = fileURLToPath(new URL("../_support/front_service.ts", import.meta.url));
const HOST = "Host: example.org\r\n";
const OK: Handler = () => new Response("ok");

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A service on the edge front, as a process of its own. */
async function start(
  workshop: Workshop,
  setup: FrontServiceSetup,
): Promise<{ service: ServiceProcess; port: number }> {
  const { run, ...rest } = setup;
  const service = workshop.start(SCRIPT, {
    env: { FRONT_TEST: JSON.stringify({ run: { front: "edge", ...run }, ...rest }) },
  });
  return { service, port: await service.port() };
}

/** One GET on a connection of its own. */
function get(port: number, target: string): Promise<string> {
  return ask(port, `GET ${target} HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
}

Deno.test("HTTP-02 HTTP-04 HTTP-37 edge 1000 silent and half connections are cut while others are served", async () => {
  await using server = await startTestFront("edge", OK, {
    limits: { headerTimeoutSeconds: 1.5, keepAliveSeconds: 1.5 },
  });
  const idlers: RawClient[] = [];
  const half: RawClient[] = [];
  const open = async (into: RawClient[], bytes: string) => {
    const client = await RawClient.connect(server.port);
    into.push(client);
    if (bytes !== "") await client.send(bytes);
  };
  try {
    let isOver = false;
    let served = 0;
    const others = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const text = await get(server.port, "/");
        assert.match(text, /^HTTP\/1\.1 200 [^]*ok$/);
        served++;
        await delay(10);
      }
    });
    for (let count = 0; count < 500; count++) {
      await open(idlers, "");
      await open(half, `GET / HTTP/1.1\r\n${HOST}X-Half: 1`);
    }
    for (const client of idlers) assert.equal(await client.end(), "");
    for (const client of half) assert.match(await client.end(), /^HTTP\/1\.1 408 /);
    isOver = true;
    await Promise.all(others);
    assert.ok(served > 20, `served ${served} in between`);
    assert.equal(server.zombies(), 1000);
  } finally {
    for (const client of [...idlers, ...half]) client.close();
  }
  await eventually(() => server.front.connections() === 0, "all connections are gone");
  await server.front.shutdown(0);
  // A flood must not fill the disk.
  const cut = server.log.lines.filter((line) => / cut: |408 to/.test(line)).length;
  assert.ok(cut > 0 && cut < 500, `${cut} lines`);
  assert.ok(server.log.lines.some((line) => /\d+ more refused or cut/.test(line)));
});

Deno.test("HTTP-04 HTTP-12 edge over TLS whoever does not come to a request is cut", async () => {
  const tls = await testTls();
  await using server = await startTestFront("edge", OK, {
    tls,
    limits: { headerTimeoutSeconds: 2, keepAliveSeconds: 2 },
  });
  // Nothing, half a greeting, and something that is none.
  using silent = await RawClient.connect(server.port);
  using half = await RawClient.connect(server.port);
  await half.send(Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00));
  using plain = await RawClient.connect(server.port);
  await plain.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
  // The handshake and no request, over both versions; a header block without its end.
  const options = { hostname: "localhost", port: server.port, caCerts: [tls.cert] };
  using http1 = await Deno.connectTls(options);
  await http1.handshake();
  using quiet = await RawHttp2.connect(server.port, tls.cert);
  using cut = await RawHttp2.connect(server.port, tls.cert);
  await cut.send(frame(FRAME.HEADERS, FLAG.END_STREAM, 1, requestBlock("GET", "/")));
  using half1 = await Deno.connectTls(options);
  await half1.write(new TextEncoder().encode(`GET / HTTP/1.1\r\n${HOST}`));

  assert.equal(await silent.end(), "");
  await half.end();
  await plain.end();
  assert.equal(await http1.read(new Uint8Array(1)).catch(() => null), null);
  await Promise.all([quiet.ended, cut.ended]);
  const answer = new Uint8Array(1000);
  const count = await half1.read(answer).catch(() => null);
  if (count !== null) assert.match(new TextDecoder().decode(answer), /^HTTP\/1\.1 408 /);
  await eventually(() => server.front.connections() === 0, "all are gone");
  assert.equal(server.zombies(), 6);
  // Others are served by it all the time.
  const output = await run("curl", "-sSk", "-m", "10", `https://localhost:${server.port}/`);
  assert.equal(output, "ok");
});

Deno.test("HTTP-37 edge a header that comes byte by byte is cut, on a new and on a used connection", async () => {
  await using server = await startTestFront("edge", OK, { limits: { headerTimeoutSeconds: 1 } });
  const request = `GET / HTTP/1.1\r\n${HOST}X-Long: ${"x".repeat(1000)}\r\n\r\n`;
  await Promise.all([false, true].map(async (isUsed) => {
    using client = await RawClient.connect(server.port);
    if (isUsed) {
      await client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
      await client.until(/ok$/);
      client.received = "";
    }
    let sent = 0;
    try {
      for (; client.ended === "no" && sent < request.length; sent++) {
        await client.send(request[sent]!);
        await delay(20);
      }
    } catch {
      // The connection was closed between the look and the byte.
    }
    assert.ok(sent < request.length / 2, `took ${sent} bytes`);
    assert.match(await client.end(), /^HTTP\/1\.1 408 /);
  }));
  assert.equal(server.zombies(), 2);
});

Deno.test("HTTP-03 edge a body below the minimum rate is cut, one above it is not", async () => {
  const outcomes: Record<string, string> = {};
  await using server = await startTestFront("edge", async (req, ctx) => {
    outcomes[ctx.path] = await req.text().then((text) => `read ${text.length}`, (e) => e.status);
    return new Response("done");
  }, { limits: { requestTimeoutSeconds: 2, minBodyBytesPerSecond: 500 } });
  await Promise.all([["/drip", 1], ["/flow", 200]].map(async ([path, piece]) => {
    using client = await RawClient.connect(server.port);
    await client.send(`POST ${path} HTTP/1.1\r\n${HOST}Content-Length: 12000\r\n\r\n`);
    try {
      for (let sent = 0; sent < 12_000 && client.ended === "no"; sent += Number(piece)) {
        await client.send("x".repeat(Number(piece)));
        await delay(50);
      }
    } catch {
      // Closed between the look and the byte.
    }
    await client.until(/^HTTP\/1\.1 (?:200 [^]*done|408 )/).catch(() => {});
    assert.match(client.received, path === "/drip" ? /^HTTP\/1\.1 408 / : /^HTTP\/1\.1 200 /);
  }));
  assert.deepEqual(outcomes, { "/drip": 408, "/flow": "read 12000" });
});

Deno.test("HTTP-03 edge half a body is cut over HTTP/1.1, and its stream alone over HTTP/2", async () => {
  const tls = await testTls();
  const failures: unknown[] = [];
  const handler: Handler = async (req, ctx) => {
    if (ctx.path === "/after") return new Response("after");
    await req.bytes().catch((error) => failures.push(error.status));
    return new Response("late", { status: 500 });
  };
  const limits = { requestTimeoutSeconds: 1, headerTimeoutSeconds: 2 };
  await using plain = await startTestFront("edge", handler, { limits });
  using client = await RawClient.connect(plain.port);
  await client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 100\r\n\r\nhalf of it`);
  assert.match(await client.end(), /^HTTP\/1\.1 408 /);

  await using secure = await startTestFront("edge", handler, { tls, limits });
  using http2 = await RawHttp2.connect(secure.port, tls.cert);
  await http2.send(
    frame(FRAME.HEADERS, FLAG.END_HEADERS, 1, requestBlock("POST", "/")),
    frame(FRAME.DATA, 0, 1, new TextEncoder().encode("half of it")),
  );
  const reset = await http2.until(isReset(1), "a reset");
  assert.equal(codeOf(reset), 8);
  await http2.send(frame(FRAME.HEADERS, 5, 3, requestBlock("GET", "/after")));
  await http2.until(({ type, stream }) => type === FRAME.DATA && stream === 3, "an answer");
  assert.deepEqual(failures, [408, 408]);
});

Deno.test("HTTP-03 edge a response to a slow client goes on, to one that takes nothing it ends", async () => {
  const size = 16_000_000;
  const delivered: Record<string, boolean> = {};
  await using server = await startTestFront("edge", (_req, ctx) => {
    ctx.completion.then((completion) => delivered[ctx.path] = completion.delivered);
    if (ctx.path.startsWith("/bytes")) return new Response(new Uint8Array(size));
    let left = size / 100_000;
    return new Response(
      new ReadableStream({
        pull(controller) {
          if (left-- === 0) controller.close();
          else controller.enqueue(new Uint8Array(100_000));
        },
      }),
    );
  }, { limits: { requestTimeoutSeconds: 2 } });
  const buffer = new Uint8Array(64 * 1024);
  /** Takes the response slowly for a few seconds, then the rest of it. */
  const takeAll = async (path: string) => {
    using client = await RawClient.connect(server.port, { reads: false });
    await client.send(`GET ${path} HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
    const slowUntil = performance.now() + 4000;
    let taken = 0;
    for (;;) {
      const count = await client.take(buffer);
      if (count === undefined) return taken;
      taken += count;
      if (performance.now() < slowUntil) await delay(300);
    }
  };
  const slow = ["/bytes", "/stream"].map(takeAll);
  using deaf = await RawClient.connect(server.port, { reads: false });
  await deaf.send(`GET /bytes/deaf HTTP/1.1\r\n${HOST}\r\n`);
  await eventually(() => delivered["/bytes/deaf"] === false, "the deaf one is cut");
  for (const taken of await Promise.all(slow)) assert.ok(taken > size, `${taken} bytes`);
  await eventually(() => Object.keys(delivered).length === 3, "all are over");
  assert.deepEqual(delivered, { "/bytes": true, "/stream": true, "/bytes/deaf": false });
  assert.equal(server.zombies(), 1);
});

function isPortClosed(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionRefused ||
    error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe;
}

Deno.test({
  name: "SRV-05 HTTP-37 fast serves on after a connection could not be accepted",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await using workshop = await Workshop.open();
    const { service, port } = await start(workshop, { run: { front: "fast" } });
    assert.match(await get(port, "/"), /index/);
    const open = [...Deno.readDirSync(`/proc/${service.pid}/fd`)].length;
    const limit = open + 24;
    const limited = await new Deno.Command("prlimit", {
      args: ["--pid", `${service.pid}`, `--nofile=${limit}:${limit}`],
    }).output();
    assert.ok(limited.success);
    const clients: Deno.Conn[] = [];
    try {
      for (let i = 0; i < 48; i++) clients.push(await Deno.connect({ port }));
      await service.line(/\[error:front\] no connection can be accepted, .*Too many open files/);
    } catch (error) {
      // those that came when the port was closed already, or in that moment
      if (!isPortClosed(error)) throw error;
    } finally {
      for (const client of clients) client.close();
    }
    const next = () =>
      get(port, "/").catch((error) => {
        // the port is closed for a moment
        if (isPortClosed(error)) return "";
        throw error;
      });
    await until(next, (text) => /index/.test(text), "the service does not serve");
    assert.equal(service.lines.some((line) => line.includes("[expt")), false);
    service.signal("SIGTERM");
    assert.equal(await service.code(), 0);
  },
});

Deno.test("EXT-04 LOG-07 edge an upgrade that cannot be made is a 500 for the client and for the log", async () => {
  await using workshop = await Workshop.open();
  const { service, port } = await start(workshop, {});
  const answer = await ask(
    port,
    `GET /socket/ HTTP/1.1\r\n${HOST}Upgrade: websocket\r\nConnection: Upgrade, close\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  assert.match(answer, /^HTTP\/1\.1 500 /);
  const line = await service.line(/ GET \/socket\/ /);
  assert.match(line, / GET \/socket\/ 1\.1 0 500 /);
  const entry = await service.line(/Cannot upgrade the connection of \/socket\/: .*"fast"/);
  assert.match(entry, /\[expt:GTID-/, "with the transaction id");
});

Deno.test("HTTP-37 edge a client that floods with requests and waits for no answer is cut", async () => {
  let begun = 0;
  await using server = await startTestFront("edge", async () => {
    begun++;
    await delay(5);
    return new Response("x".repeat(1000));
  });
  for (const reads of [true, false]) {
    begun = 0;
    using client = await RawClient.connect(server.port, { reads });
    const many = `GET / HTTP/1.1\r\n${HOST}\r\n`.repeat(1000);
    let sent = 0;
    try {
      for (; sent < 100 && client.ended === "no"; sent++) await client.send(many);
    } catch {
      // It is closed.
    }
    assert.ok(begun < 100, `${begun} handlers were started`);
    await eventually(() => server.front.connections() === 0, "it is cut");
  }
  const lines = server.log.lines.filter((line) => line.includes("it does not wait for answers"));
  assert.equal(lines.length, 2);
});

Deno.test("HTTP-37 edge what came in order before broken bytes is answered", async () => {
  const bodies: string[] = [];
  await using server = await startTestFront("edge", async (req, ctx) => {
    await delay(20);
    if (req.method === "POST") {
      bodies.push(await req.text().catch(() => "failed"));
    }
    return new Response(`[${ctx.path}]`);
  });
  const good =
    `GET /1 HTTP/1.1\r\n${HOST}\r\nPOST /2 HTTP/1.1\r\n${HOST}Content-Length: 4\r\n\r\nbody`;
  const text = await ask(server.port, `${good}NONSENSE\r\n\r\n`);
  assert.match(text, /^HTTP\/1\.1 200 [^]*\[\/1\]HTTP\/1\.1 200 [^]*\[\/2\]HTTP\/1\.1 400 /);
  assert.deepEqual(bodies, ["body"]);
  // The last body breaks: everything before it is answered.
  const chunked = `POST /3 HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n`;
  const broken = await ask(server.port, `${good}${chunked}`);
  assert.match(broken, /^HTTP\/1\.1 200 [^]*\[\/1\]HTTP\/1\.1 200 [^]*\[\/2\]HTTP/);
  await eventually(() => bodies.length === 3, "the broken body is noticed");
  assert.deepEqual(bodies, ["body", "body", "failed"]);
});

Deno.test("HTTP-35 edge 200 clients that leave in the middle end 200 producers", async () => {
  let open = 0;
  let closed = 0;
  const handler: Handler = () => {
    open++;
    let timer: ReturnType<typeof setInterval>;
    return new Response(
      new ReadableStream({
        start(controller) {
          timer = setInterval(() => controller.enqueue(new Uint8Array(1000)), 20);
        },
        cancel() {
          clearInterval(timer);
          closed++;
        },
      }),
    );
  };
  const tls = await testTls();
  await using plain = await startTestFront("edge", handler);
  await using secure = await startTestFront("edge", handler, { tls });
  const clients: RawClient[] = [];
  for (let count = 0; count < 100; count++) {
    const client = await RawClient.connect(plain.port);
    clients.push(client);
    await client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
  }
  using http2 = await RawHttp2.connect(secure.port, tls.cert, { settings: [[4, 1 << 24]] });
  const streams = Array.from({ length: 100 }, (_, index) => index * 2 + 1);
  await http2.send(
    ...streams.map((id) => frame(FRAME.HEADERS, 5, id, requestBlock("GET", "/"))),
  );
  for (const client of clients) await client.until(/\r\n\r\n/);
  await eventually(() => open === 200, "all are being served");
  for (const client of clients) client.close();
  // Half of the streams are reset, the other half lose their connection.
  await http2.send(
    ...streams.slice(50).map((id) => frame(FRAME.RST_STREAM, 0, id, uint32(8))),
  );
  await eventually(() => closed === 150, "150 producers have ended");
  http2[Symbol.dispose]();
  await eventually(() => closed === 200, "all producers have ended");
});

Deno.test("HTTP-17 HTTP-37 edge an HTTP/2 client cannot keep handlers busy by resetting streams", async () => {
  const tls = await testTls();
  const release = Promise.withResolvers<void>();
  let begun = 0;
  await using server = await startTestFront("edge", async (_req, ctx) => {
    if (ctx.path === "/fine") return new Response("fine");
    begun++;
    await release.promise;
    return new Response("late");
  }, { tls });
  for (const code of [0, 8]) {
    begun = 0;
    using client = await RawHttp2.connect(server.port, tls.cert);
    for (let first = 1; first < 4000 && !client.isEnded; first += 100) {
      const frames: Uint8Array[] = [];
      for (let id = first; id < first + 100; id += 2) {
        frames.push(frame(FRAME.HEADERS, 5, id, requestBlock("GET", "/slow")));
        frames.push(frame(FRAME.RST_STREAM, 0, id, uint32(code)));
      }
      await client.send(...frames);
    }
    await client.ended;
    assert.ok(begun <= 256, `${begun} handlers were started`);
  }
  const lines = server.log.lines.filter((line) => line.includes("it resets its streams"));
  assert.equal(lines.length, 2);
  release.resolve();
  await eventually(() => server.front.connections() === 0, "both are gone");

  // Whoever leaves pages now and then is nobody to cut: 150 resets here, each after its answer began.
  using client = await RawHttp2.connect(server.port, tls.cert);
  for (let id = 1; id < 300; id += 2) {
    await client.send(
      frame(FRAME.HEADERS, 5, id, requestBlock("GET", "/slow")),
      frame(FRAME.RST_STREAM, 0, id, uint32(8)),
    );
  }
  await client.send(frame(FRAME.HEADERS, 5, 301, requestBlock("GET", "/fine")));
  await client.until(({ type, stream }) => type === FRAME.DATA && stream === 301, "an answer");
});

Deno.test("HTTP-17 HTTP-37 edge floods of HTTP/2 frames end their connection", async () => {
  const tls = await testTls();
  await using server = await startTestFront("edge", OK, { tls });
  const open = frame(FRAME.HEADERS, FLAG.END_STREAM, 1, requestBlock("GET", "/"));
  const settings = new Uint8Array(600).map((_, at) => at % 6 === 1 ? 6 : at % 6 === 5 ? 1 : 0);
  const floods: Record<string, [first: Uint8Array, then: Uint8Array]> = {
    settings: [frame(FRAME.SETTINGS, 0, 0), frame(FRAME.SETTINGS, 0, 0)],
    "long settings": [frame(FRAME.SETTINGS, 0, 0), frame(FRAME.SETTINGS, 0, 0, settings)],
    ping: [frame(FRAME.PING, 0, 0, new Uint8Array(8)), frame(FRAME.PING, 0, 0, new Uint8Array(8))],
    continuation: [open, frame(FRAME.CONTINUATION, 0, 1, headerBlock([["x", "y".repeat(999)]]))],
    "empty continuation": [open, frame(FRAME.CONTINUATION, 0, 1)],
    "empty data": [
      frame(FRAME.HEADERS, FLAG.END_HEADERS, 1, requestBlock("POST", "/")),
      frame(FRAME.DATA, 0, 1),
    ],
    priority: [
      frame(FRAME.PRIORITY, 0, 3, new Uint8Array(5)),
      frame(FRAME.PRIORITY, 0, 3, new Uint8Array(5)),
    ],
    unknown: [frame(200, 0, 0), frame(200, 0, 0, new Uint8Array(100))],
  };
  for (const [name, [first, then]] of Object.entries(floods)) {
    for (const reads of [true, false]) {
      using client = await RawHttp2.connect(server.port, tls.cert, { reads });
      let isTaken = await client.send(first);
      const many = concat(Array.from({ length: 500 }, () => then));
      let sent = 0;
      for (; isTaken && sent < 200; sent++) {
        isTaken = await client.send(many);
        await delay(0);
      }
      assert.ok(sent < 200, `${name} went on and on`);
      await eventually(() => server.front.connections() === 0, `${name} is cut`);
    }
  }
});

Deno.test("HTTP-17 HTTP-37 edge HTTP/2 headers and streams have limits", async () => {
  const tls = await testTls();
  const release = Promise.withResolvers<void>();
  let begun = 0;
  await using server = await startTestFront("edge", async (_req, ctx) => {
    if (ctx.path === "/wait") {
      begun++;
      await release.promise;
    }
    return new Response("ok");
  }, { tls });
  using client = await RawHttp2.connect(server.port, tls.cert);
  const statusOf = async (id: number, block: Uint8Array) => {
    for (let at = 0; at < block.length; at += 16_000) {
      const isLast = at + 16_000 >= block.length;
      await client.send(
        frame(
          at === 0 ? FRAME.HEADERS : FRAME.CONTINUATION,
          (at === 0 ? FLAG.END_STREAM : 0) | (isLast ? FLAG.END_HEADERS : 0),
          id,
          block.subarray(at, at + 16_000),
        ),
      );
    }
    const { type, payload } = await client.until(
      (one) => one.stream === id && (one.type === FRAME.HEADERS || one.type === FRAME.RST_STREAM),
      `an answer to ${id}`,
    );
    if (type === FRAME.RST_STREAM) return "reset";
    // What the static table of HPACK has comes as its number, everything else as text.
    const known = { 0x88: "200", 0x8c: "400" }[payload[0]!];
    return known ?? new TextDecoder().decode(payload);
  };
  const many = (count: number, size: number): [string, string][] =>
    Array.from({ length: count }, (_, at) => [`x-${at}`, "y".repeat(size)]);
  assert.equal(await statusOf(1, requestBlock("GET", "/", many(250, 20))), "200");
  assert.match(await statusOf(3, requestBlock("GET", "/", many(40, 1000))), /431/);
  assert.equal(await statusOf(5, requestBlock("GET", "/", many(1200, 1))), "reset");
  for (const fields of [[], [[":authority", ""]], [["host", ""]]] as [string, string][][]) {
    using other = await RawHttp2.connect(server.port, tls.cert);
    const block = headerBlock([
      [":method", "GET"],
      [":scheme", "https"],
      [":path", "/wait"],
      ...fields,
    ]);
    await other.send(frame(FRAME.HEADERS, 5, 1, block));
    await other.until(
      ({ type, payload }) =>
        type === FRAME.GOAWAY || type === FRAME.RST_STREAM ||
        (type === FRAME.HEADERS && payload[0] === 0x8c),
      "a refusal, or 400",
    );
  }

  const ids = Array.from({ length: 300 }, (_, index) => 101 + index * 2);
  await client.send(
    ...ids.map((id) => frame(FRAME.HEADERS, 5, id, requestBlock("GET", "/wait"))),
  );
  const refused = () =>
    client.frames.filter((one) => one.type === FRAME.RST_STREAM && one.stream > 100);
  await eventually(() => refused().length === 300 - 128, "the rest is refused");
  assert.deepEqual(new Set(refused().map(codeOf)), new Set([7]));
  assert.equal(begun, 128);
  release.resolve();
  const answered = () =>
    client.frames.filter((one) => one.type === FRAME.HEADERS && one.stream > 100).length;
  await eventually(() => answered() === 128, "those that were taken are answered");

  // A header that is sent once and then named 9000 times: 35 MB, had it been unpacked.
  const bomb = concat([
    requestBlock("GET", "/wait"),
    Uint8Array.of(0x40, 1, 120, 0x7f, 0xbd, 0x1d),
    new Uint8Array(3900).fill(121),
    new Uint8Array(9000).fill(0x80 | 62),
  ]);
  await client.send(frame(FRAME.HEADERS, 5, 1001, bomb));
  await client.until(
    ({ type, stream }) => type === FRAME.GOAWAY || (type === FRAME.RST_STREAM && stream === 1001),
    "a refusal",
  );
  assert.equal(begun, 128);
});

Deno.test("HTTP-05 HTTP-32 HTTP-37 edge hostile requests to a service get clear answers and harm nobody", async (t) => {
  await using workshop = await Workshop.open();
  const files = `${workshop.path}/files`;
  await Deno.mkdir(files);
  await Deno.writeTextFile(`${files}/page.txt`, "page");
  await Deno.writeTextFile(`${workshop.path}/secret.txt`, "secret");
  const { service, port } = await start(workshop, { files, requestTimeout: 2 });

  await t.step("paths out of the directory and broken encodings", async () => {
    assert.match(await get(port, "/files/page.txt"), /^HTTP\/1\.1 200 [^]*page$/);
    const targets = [
      "/files/../secret.txt",
      "/files/%2e%2e/secret.txt",
      "/files/..%2fsecret.txt",
      "/files/%2e%2e%2fsecret.txt",
      "/files/..%5csecret.txt",
      "/files/..\\secret.txt",
      "/files/.%2e/secret.txt",
      "/files/%252e%252e/secret.txt",
      "/files/..;/secret.txt",
      "/files/%c0%ae%c0%ae/secret.txt",
      "/files/%uff0e%uff0e/secret.txt",
      `/files/${"../".repeat(60)}${workshop.path}/secret.txt`,
      "/files//page.txt",
      "/files/./page.txt",
      "/files/page.txt/",
      "/files/page.txt%00",
      "/files/page.txt%00.png",
      "/files/%ff%fe",
      "/files/%",
      "/files/%zz",
      "/%",
      "/%00",
    ];
    for (const target of targets) {
      const text = await get(port, target);
      assert.match(text, /^HTTP\/1\.1 40[04] /, target);
      assert.doesNotMatch(text, /secret$|page$/, target);
    }
  });

  await t.step("bytes that have no place in a header", async () => {
    for (const bytes of ["\0", "a\0b", "a\x0bb", "a\x7fb", "a\rb", "a\nb"]) {
      const text = await ask(port, `GET / HTTP/1.1\r\n${HOST}X: ${bytes}\r\n\r\n`);
      assert.match(text, /^HTTP\/1\.1 400 /, JSON.stringify(bytes));
    }
    for (const target of ["/\0", "/a b", "/\x01", "/a\tb"]) {
      const text = await ask(port, `GET ${target} HTTP/1.1\r\n${HOST}\r\n`);
      assert.match(text, /^HTTP\/1\.1 400 /, JSON.stringify(target));
    }
  });

  await t.step("line breaks that an app puts into headers", async () => {
    for (const path of ["/header?value=", "/cookie?value=", "/moved?to="]) {
      for (const value of ["a%0d%0aX-Evil:%201", "a%0aX-Evil:%201", "a%0dX-Evil:%201", "a%00"]) {
        const text = await get(port, path + value);
        assert.match(text, /^HTTP\/1\.1 (?:500|302|400) /, path + value);
        assert.doesNotMatch(text.split("\r\n\r\n")[0]!, /\n ?x-evil:/i, path + value);
        assert.doesNotMatch(text.split("\r\n\r\n")[0]!, /\0/, path + value);
      }
    }
  });

  await t.step("headers that are too large, too many, and 10 000 arguments", async () => {
    const send = (extra: string, target = "/") =>
      ask(port, `GET ${target} HTTP/1.1\r\n${HOST}${extra}Connection: close\r\n\r\n`);
    assert.match(await send(`X: ${"x".repeat(33_000)}\r\n`), /^HTTP\/1\.1 431 /);
    const lines = Array.from({ length: 3000 }, (_, at) => `X-${at}: 1\r\n`);
    assert.match(await send(lines.join("")), /^HTTP\/1\.1 431 /);
    assert.match(await send(lines.slice(0, 250).join("")), /^HTTP\/1\.1 200 /);
    assert.match(await send("", `/${"x".repeat(40_000)}`), /^HTTP\/1\.1 (?:414|431) /);
    const form = Array.from({ length: 10_000 }, (_, at) => `k${at}=1`).join("&");
    const query = form.slice(0, 30_000);
    assert.match(
      await send("", `/query?${query}`),
      new RegExp(`^HTTP/1\\.1 200 [^]*\\r\\n\\r\\n${query.split("&").length}$`),
    );
    const names = ["__proto__", "constructor", "toString", "hasOwnProperty"];
    const odd = names.map((name) => `${name}=1`).join("&");
    assert.match(await send("", `/query?${odd}`), /^HTTP\/1\.1 (?:200|400) /);
    const posted = await ask(
      port,
      `POST /query HTTP/1.1\r\n${HOST}Connection: close\r\n` +
        `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n\r\n` +
        form,
    );
    assert.match(posted, /^HTTP\/1\.1 (?:200 [^]*\r\n\r\n10000$|400 |413 )/);
  });

  await t.step("bodies that are too large, said before or found out on the way", async () => {
    const head = `POST /length HTTP/1.1\r\n${HOST}`;
    assert.match(
      await ask(port, `${head}Content-Length: 1000000000000\r\n\r\n`),
      /^HTTP\/1\.1 413 [^]*connection: close/i,
    );
    using expecting = await RawClient.connect(port);
    await expecting.send(`${head}Expect: 100-continue\r\nContent-Length: 100001\r\n\r\n`);
    const answer = await expecting.end();
    assert.match(answer, /^HTTP\/1\.1 413 /, "not asked to go on");
    using chunked = await RawClient.connect(port);
    await chunked.send(`${head}Transfer-Encoding: chunked\r\n\r\n`);
    const chunk = `2710\r\n${"x".repeat(10_000)}\r\n`;
    try {
      for (let count = 0; count < 1000 && chunked.ended === "no"; count++) {
        await chunked.send(chunk);
      }
    } catch {
      // Closed while it was being sent to.
    }
    assert.match(await chunked.end(), /^HTTP\/1\.1 413 /);
    const text = await ask(
      port,
      `${head}Connection: close\r\nContent-Length: 100000\r\n\r\n${"x".repeat(100_000)}`,
    );
    assert.match(text, /\r\n\r\n100000$/);
  });

  await t.step("it has served all that and still does", async () => {
    assert.match(await get(port, "/"), /^HTTP\/1\.1 200 [^]*index$/);
    service.signal("SIGTERM");
    assert.equal(await service.code(), 0);
  });
});

for (const workers of [1, 2]) {
  Deno.test(`SRV-21 HTTP-01 edge SIGTERM under load answers every accepted request, ${workers} worker(s)`, async () => {
    await using workshop = await Workshop.open();
    const { service, port } = await start(workshop, { run: { workers } });
    const counts = { complete: 0, broken: 0, refused: 0 };
    let isEnding = false;
    /** Requests, each when the last was answered, until nobody accepts them any more. */
    const load = async (request: string, isWhole: RegExp) => {
      for (;;) {
        let client: RawClient;
        try {
          client = await RawClient.connect(port);
        } catch {
          counts.refused++;
          if (isEnding) return;
          throw new Error("refused before the end");
        }
        using connection = client;
        for (;;) {
          connection.received = "";
          try {
            await connection.send(request);
          } catch {
            break;
          }
          const text = await untilWhole(connection, isWhole);
          if (isWhole.test(text)) counts.complete++;
          // A connection that is closed while it is idle owes nobody an answer.
          else if (text !== "" || connection.ended === "no") counts.broken++;
          else break;
          if (connection.ended !== "no" || /\r\nconnection: close\r\n/i.test(text)) break;
        }
      }
    };
    const post = `POST /length HTTP/1.1\r\n${HOST}Content-Length: 20000\r\n\r\n`;
    const clients = Array.from({ length: 36 }, (_, at) => {
      switch (at % 3) {
        case 0:
          return load(`GET /slow?ms=400 HTTP/1.1\r\n${HOST}\r\n`, /\r\n\r\nslow$/);
        case 1:
          return load(`GET /stream?parts=8 HTTP/1.1\r\n${HOST}\r\n`, /part [^]*\r\n0\r\n\r\n$/);
        default:
          return load(`${post}${"x".repeat(20_000)}`, /\r\n\r\n20000$/);
      }
    });
    await until(() => counts.complete, (count) => count > 100, "100 answers");
    // Those that are sure to be in the middle when the signal comes.
    const slow = await Promise.all(Array.from({ length: 20 }, async () => {
      const client = await RawClient.connect(port);
      await client.send(`GET /stream?parts=30 HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
      await client.until(/part /);
      return client;
    }));
    using upload = await RawClient.connect(port);
    await upload.send(post.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"));
    await upload.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
    await upload.send("x".repeat(10_000));
    isEnding = true;
    service.signal("SIGTERM");
    await until(() => counts.refused, (count) => count > 0, "the port is closed");
    await upload.send("x".repeat(10_000));
    await upload.until(/\r\n\r\n20000$/);
    for (const client of slow) {
      assert.match(await client.end(), /^HTTP\/1\.1 200 [^]*part [^]*\r\n0\r\n\r\n$/);
      client.close();
    }
    await within(Promise.all(clients), () => "the load did not end");
    assert.equal(await service.code(), 0);
    assert.equal(counts.broken, 0, JSON.stringify(counts));
  });
}

/** What comes until it is a whole answer or the end. */
async function untilWhole(client: RawClient, isWhole: RegExp): Promise<string> {
  try {
    return await client.until(isWhole);
  } catch {
    return client.received;
  }
}

function isReset(id: number): (frame: Frame) => boolean {
  return ({ type, stream }) => type === FRAME.RST_STREAM && stream === id;
}

function codeOf({ payload }: Frame): number {
  return new DataView(payload.buffer, payload.byteOffset).getUint32(0);
}

Deno.test("HTTP-37 edge some hundred header fields are too many, unless they are cookies", async () => {
  const seen: number[] = [];
  await using server = await startTestFront("edge", (req) => {
    seen.push(req.headers.get("cookie")?.length ?? 0);
    return new Response("ok");
  });
  const send = (count: number, field: (i: number) => string) =>
    ask(
      server.port,
      `GET / HTTP/1.1\r\n${HOST}Connection: close\r\n` +
        Array.from({ length: count }, (_, i) => `${field(i)}\r\n`).join("") + "\r\n",
    );
  assert.match(await send(254, (i) => `x-${i}: y`), /^HTTP\/1\.1 200 /);
  assert.match(await send(255, (i) => `x-${i}: y`), /^HTTP\/1\.1 431 /);
  assert.match(await send(1000, (i) => `Cookie: a${i}=b`), /^HTTP\/1\.1 200 /);
  assert.match(await send(1023, () => "cookie: a=b"), /^HTTP\/1\.1 431 /);
  assert.equal(seen.length, 2);

  await using secure = await startTestFront("edge", OK, { tls: await testTls() });
  const over = (count: number) =>
    run(
      "curl",
      ...["-skm", "20", "--http2", "-o", "/dev/null", "-w", "%{http_version} %{response_code}"],
      ...Array.from({ length: count }, (_, i) => ["-H", `x-${i}: y`]).flat(),
      `https://localhost:${secure.port}/`,
    );
  assert.equal(await over(200), "2 200");
  assert.equal(await over(300), "2 431");
});

Deno.test("HTTP-05 fast a body of single bytes takes no more memory than others, and lets others work", async () => {
  const COUNT = 20_000;
  const held = Promise.withResolvers<{ bytes: number; room: number; turns: number }>();
  await using server = await startTestFront("fast", async (req) => {
    let isRead = false;
    let turns = 0;
    const turn = async () => {
      for (; !isRead; turns++) await delay(0);
    };
    const counting = turn();
    let [bytes, room] = [0, 0];
    for await (const chunk of req.body!) {
      bytes += chunk.byteLength;
      room += chunk.buffer.byteLength;
    }
    isRead = true;
    await counting;
    held.resolve({ bytes, room, turns });
    return new Response("read");
  });
  const answer = ask(
    server.port,
    `POST / HTTP/1.1\r\n${HOST}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n` +
      "1\r\na\r\n".repeat(COUNT) + "0\r\n\r\n",
  );
  const { bytes, room, turns } = await held.promise;
  assert.equal(bytes, COUNT);
  assert.ok(room < 3 * COUNT, `${room} bytes for ${COUNT}`);
  assert.ok(turns > COUNT / 500, `${turns} turns`);
  assert.match(await answer, /read$/);
});

Deno.test("HTTP-35 HTTP-37 fast a stream that fails with something unreadable ends its response", async () => {
  const unreadable = {
    get message(): string {
      throw new Error("unreadable");
    },
    toString(): string {
      throw new Error("unreadable");
    },
  };
  await using server = await startTestFront("fast", () => {
    const parts = ["begun"];
    return new Response(
      new ReadableStream({
        pull(controller) {
          const part = parts.pop();
          if (part === undefined) controller.error(unreadable);
          else controller.enqueue(new TextEncoder().encode(part));
        },
      }),
    );
  });
  const answer = await get(server.port, "/");
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.doesNotMatch(answer, /\r\n0\r\n\r\n$/);
  const told = server.log.lines.filter((line) => line.includes("is not an error was thrown"));
  assert.equal(told.length, 1);
});

for (const kind of ["fast", "edge"] as const) {
  Deno.test(`HTTP-35 HTTP-37 ${kind} a stream of empty chunks lets others be served, and ends with its client`, async () => {
    const cancelled = Promise.withResolvers<void>();
    await using server = await startTestFront(kind, (_req, ctx) => {
      if (ctx.path !== "/empty") return new Response("ok");
      return new Response(
        new ReadableStream({
          pull: (controller) => controller.enqueue(new Uint8Array(0)),
          cancel: () => cancelled.resolve(),
        }),
      );
    });
    using client = await RawClient.connect(server.port);
    await client.send(`GET /empty HTTP/1.1\r\n${HOST}\r\n`);
    for (let i = 0; i < 5; i++) assert.match(await get(server.port, "/"), /ok$/);
    client.close();
    await cancelled.promise;
    // The turn that the stream may have been waiting for.
    await delay(5);
  });
}
