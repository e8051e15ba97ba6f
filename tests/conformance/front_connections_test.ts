import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Handler } from "../../src/core/handler.ts";
import { DEFAULT_FRONT_LIMITS } from "../../src/server/front.ts";
import { StaticDirectory } from "../../src/mounts/static.ts";
import { startEdge } from "../../src/server/fronts/edge.ts";
import { createShared, openCounters } from "../../src/store/shared_counters.ts";
import type { FrontServiceSetup } from "../_support/front_service.ts";
import { curl, eventually, RawClient, startTestFront, testTls } from "../_support/fronts.ts";
import { listLog } from "../_support/list_log.ts";
import { FRAME, frame, RawHttp2, requestBlock } from "../_support/raw_http2.ts";
import { Workshop } from "../_support/service_process.ts";

const SCRIPT = fileURLToPath(new URL("../_support/front_service.ts", import.meta.url));
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: Handler = () => new Response("ok");

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

Deno.test("HTTP-02 HTTP-04 edge an idle connection is closed, over TLS and HTTP/2 too", async () => {
  const tls = await testTls();
  const limits = { keepAliveSeconds: 1 };
  await using plain = await startTestFront("edge", OK, { limits });
  await using secure = await startTestFront("edge", OK, { limits, tls });
  using client = await RawClient.connect(plain.port);
  await client.send(GET);
  await client.until(/ok$/);
  using http2 = await RawHttp2.connect(secure.port, tls.cert);
  await http2.send(frame(FRAME.HEADERS, 5, 1, requestBlock("GET", "/")));
  await http2.until(({ type, stream }) => type === FRAME.DATA && stream === 1, "an answer");
  using http1 = await Deno.connectTls({
    hostname: "localhost",
    port: secure.port,
    caCerts: [tls.cert],
  });
  await http1.write(new TextEncoder().encode(GET));
  const buffer = new Uint8Array(65536);
  let answer = "";
  for (let count; (count = await http1.read(buffer)) !== null;) {
    answer += new TextDecoder().decode(buffer.subarray(0, count));
  }
  assert.match(answer, /ok$/, "closed after the answer");
  assert.match(await client.end(), /ok$/);
  assert.equal(client.ended, "closed");
  // HTTP/2 clients are told so before.
  await http2.ended;
  assert.ok(http2.frames.some(({ type }) => type === FRAME.GOAWAY));
  await eventually(() => plain.zombies() + secure.zombies() === 3, "three were counted");
  assert.ok(plain.log.lines.some((line) => /cut: 127\.0\.0\.1, idle/.test(line)));
});

Deno.test("HTTP-02 edge the time counts between requests only", async () => {
  await using server = await startTestFront("edge", async (_req, ctx) => {
    if (ctx.path === "/slow") await delay(2600);
    return new Response("ok");
  }, { limits: { keepAliveSeconds: 2 } });
  using often = await RawClient.connect(server.port);
  using seldom = await RawClient.connect(server.port);
  const ask = async (client: RawClient, paths: string[]) => {
    for (const path of paths) {
      client.received = "";
      await client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      await client.until(/ok$/);
      await delay(200);
    }
  };
  await Promise.all([
    ask(often, Array.from({ length: 14 }, () => "/")),
    ask(seldom, ["/", "/slow", "/"]),
  ]);
  assert.equal(server.zombies(), 0);
  await often.end();
  await seldom.end();
});

Deno.test("HTTP-01 HTTP-37 edge nothing behind the request of the last response is handled", async () => {
  const seen: string[] = [];
  await using server = await startTestFront("edge", async (_req, ctx) => {
    seen.push(ctx.path);
    await delay(5);
    return new Response("ok", ctx.path === "/2" ? { headers: { connection: "close" } } : {});
  });
  using client = await RawClient.connect(server.port);
  const paths = ["/1", "/2", "/3", "/4"];
  await client.send(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(""));
  assert.equal((await client.end()).match(/HTTP\/1\.1 200/g)?.length, 2);
  await eventually(() => server.front.connections() === 0, "the connection is closed");
  assert.deepEqual(seen, ["/1", "/2"]);
});

Deno.test("HTTP-15 HTTP-35 edge an answer over HTTP/2 is whole and over, whatever of the body is left", async () => {
  const file = await Deno.makeTempFile();
  await Deno.truncate(file, 20_000_000);
  const delivered: boolean[] = [];
  const server = await startTestFront("edge", async (req, ctx) => {
    ctx.completion.then((end) => delivered.push(end.delivered));
    if (ctx.path === "/begun") await req.body!.getReader().read();
    return new Response("x".repeat(Number(ctx.query)), { status: 413 });
  }, { tls: await testTls() });
  try {
    for (const path of ["/begun?2", "/begun?3000000", "/untouched?2", "/untouched?3000000"]) {
      const size = await curl(
        ...["--http2", "--data-binary", `@${file}`, "-o", "/dev/null", "-w", "%{size_download}"],
        `https://localhost:${server.port}${path}`,
      );
      assert.equal(size, path.split("?")[1], path);
    }
    await eventually(() => delivered.length === 4, "all are over");
    assert.deepEqual(delivered, [true, true, true, true]);
    assert.deepEqual(server.log.lines.filter((line) => !line.startsWith("info:")), []);
  } finally {
    await server.front.shutdown(0);
    await Deno.remove(file);
  }
});

Deno.test("HTTP-35 edge a file that grows while it is sent is sent as it was", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/journal.bin`;
  const size = 8_000_000;
  await Deno.writeFile(path, new Uint8Array(size).fill(1));
  const server = await startTestFront("edge", new StaticDirectory(directory).handle);
  const client = await RawClient.connect(server.port, { reads: false });
  try {
    await client.send("GET /journal.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const buffer = new Uint8Array(65536);
    let text = "";
    const take = async () => {
      const count = await client.take(buffer);
      text += new TextDecoder("latin1").decode(buffer.subarray(0, count ?? 0));
      return count !== undefined;
    };
    await take();
    await Deno.writeFile(path, new Uint8Array(100_000).fill(2), { append: true });
    while (await take());
    const [head, body] = text.split("\r\n\r\n") as [string, string];
    assert.match(head, new RegExp(`content-length: ${size}\r\n`));
    assert.equal(body.length, size);
    assert.ok(!body.includes("\x02"));
    assert.deepEqual(server.log.lines, []);
  } finally {
    client.close();
    await server.front.shutdown(0);
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("HTTP-04 edge what the sweep closes is in the counters that all workers share", async () => {
  const shared = createShared(2);
  const log = listLog();
  const start = (worker: number) =>
    startEdge({
      hostname: "127.0.0.1",
      port: 0,
      handler: OK,
      reusePort: false,
      limits: { ...DEFAULT_FRONT_LIMITS, keepAliveSeconds: 0.4, headerTimeoutSeconds: 0.4 },
      counters: openCounters(shared, worker),
      log,
      workerId: `W${worker}`,
    });
  await using first = await start(0);
  await using second = await start(1);
  const clients: RawClient[] = [];
  for (const { address: { port } } of [first, second, second]) {
    for (const bytes of ["", "GET / HT", GET]) {
      const client = await RawClient.connect(port);
      clients.push(client);
      if (bytes !== "") await client.send(bytes);
    }
  }
  for (const client of clients) await client.end();
  for (const client of clients) client.close();
  const status = () => openCounters(shared, 0).status();
  await eventually(() => status().total.zombies === 9, "nine are counted");
  assert.equal(status().workers.get(0)!.zombies, 3);
  assert.equal(status().workers.get(1)!.zombies, 6);
});

Deno.test("HTTP-02 setKeepAlive() reaches the front, or the log says that it cannot", async () => {
  await using workshop = await Workshop.open();
  const start = (setup: FrontServiceSetup) =>
    workshop.start(SCRIPT, { env: { FRONT_TEST: JSON.stringify(setup) } });
  const edge = start({ keepAlive: 1, limits: { maxConnections: 50 }, run: { front: "edge" } });
  const fast = start({ keepAlive: 1, limits: { maxConnections: 50 }, run: { front: "fast" } });
  const plain = start({ run: { front: "fast" } });
  using client = await RawClient.connect(await edge.port());
  await client.send(GET);
  await client.until(/index$/);
  await client.end();
  assert.equal(await curl(`http://127.0.0.1:${await fast.port()}/`), "index");
  await fast.line(
    /\[warn:front\] front fast does not enforce keepAliveSeconds, maxConnections; run\(/,
  );
  await plain.port();
  for (const { lines } of [edge, plain]) {
    assert.ok(!lines.some((line) => line.includes("does not enforce")), lines.join("\n"));
  }
});

Deno.test("HTTP-38 edge a closed HTTP/2 connection is in the journal, one of HTTP/1.1 is not", async () => {
  await using server = await startTestFront("edge", async (req) => {
    await req.bytes();
    return new Response(new Uint8Array(100_000));
  }, { tls: await testTls() });
  const url = `https://localhost:${server.port}/`;
  const lines = () => server.log.lines.filter((line) => line.includes("connection closed"));
  const upload = ["-d", "x".repeat(30_000), "-o", "/dev/null"];
  await curl("--http1.1", ...upload, url);
  await curl("--http2", ...upload, url);
  await eventually(() => server.front.connections() === 0, "both are closed");
  assert.equal(lines().length, 1);
  const line =
    /^info:front http2 connection closed: 127\.0\.0\.1, (\d+) bytes in, (\d+) bytes out, \d+\.\d s$/;
  const [, bytesIn, bytesOut] = line.exec(lines()[0]!) ?? [];
  assert.ok(Number(bytesIn) > 30_000 && Number(bytesIn) < 60_000, lines()[0]);
  assert.ok(Number(bytesOut) > 100_000 && Number(bytesOut) < 150_000, lines()[0]);
});

Deno.test("HTTP-38 fast a closed WebSocket is in the journal, however it ended", async () => {
  await using workshop = await Workshop.open();
  const service = workshop.start(SCRIPT, { env: { FRONT_TEST: "{}" } });
  const port = await service.port();
  const socket = new WebSocket(`ws://127.0.0.1:${port}/socket/`);
  const answers: unknown[] = [];
  const closed = new Promise((resolve) => socket.onclose = resolve);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => answers.push(typeof data === "string" ? data : data.byteLength);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  socket.send("éé");
  socket.send(new Uint8Array(5));
  socket.send("bye");
  await closed;
  assert.deepEqual(answers, ["éééé", 5, "byebye"]);
  await service.line(
    /info:front\] websocket connection closed: 127\.0\.0\.1, 12 bytes in, 19 bytes out, \d+\.\d s$/,
  );
  using client = await RawClient.connect(port);
  await client.send(
    "GET /socket/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  await client.until(/^HTTP\/1\.1 101 [^]*\r\n\r\n/);
  await client.send(Uint8Array.of(0x81, 0x82, 0, 0, 0, 0, 104, 105));
  await client.until(/hihi$/);
  client.close();
  await service.line(/websocket connection closed: 127\.0\.0\.1, 2 bytes in, 4 bytes out/);
});
