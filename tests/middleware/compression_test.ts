import assert from "node:assert/strict";
import { gunzipSync, inflateSync } from "node:zlib";
import {
  declareBodySize,
  installBodyMeter,
  SharedBody,
  sharedResponse,
} from "../../src/core/body_size.ts";
import { createContext } from "../../src/core/context.ts";
import type { Handler } from "../../src/core/handler.ts";
import { compression, markLive } from "../../src/middleware/compression.ts";
import { curl, serveHandler } from "../_support/serve_handler.ts";

installBodyMeter();

const TEXT = "All work and no play makes Jack a dull boy. ".repeat(100);
const HTML = { "content-type": "text/html; charset=utf-8" };

async function ask(
  handler: () => Response | Promise<Response>,
  encoding: string | null = "gzip",
  method = "GET",
): Promise<Response> {
  const headers = encoding === null ? undefined : { "accept-encoding": encoding };
  const req = new Request("http://h.example/", { headers, method });
  return await compression()(handler as Handler)(req, createContext({ url: req.url }));
}

const text = (body: BodyInit | null, headers: HeadersInit = HTML) => () =>
  new Response(body, { headers });

Deno.test("HTTP-21 text and JSON are compressed, gzip before deflate", async () => {
  for (
    const type of [
      "text/html",
      "text/css; charset=utf-8",
      "application/json",
      "APPLICATION/JSON;a=b",
    ]
  ) {
    const res = await ask(text(TEXT, { "content-type": type }), "deflate, gzip, br");
    assert.equal(res.headers.get("content-encoding"), "gzip", type);
    assert.equal(res.headers.get("vary"), "Accept-Encoding");
    assert.equal(gunzipSync(await res.bytes()).toString(), TEXT);
  }
  const res = await ask(text(TEXT), "deflate, gzip;q=0");
  assert.equal(res.headers.get("content-encoding"), "deflate");
  assert.equal(inflateSync(await res.bytes()).toString(), TEXT);
});

Deno.test("HTTP-21 status and other headers stay, the length is that of the result", async () => {
  const handler = () =>
    new Response(TEXT, {
      status: 404,
      statusText: "Gone fishing",
      headers: [
        ...Object.entries(HTML),
        ["content-length", String(TEXT.length)],
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
        ["vary", "Cookie"],
        ["etag", '"x"'],
        ["accept-ranges", "bytes"],
      ],
    });
  const res = await ask(handler);
  assert.equal(res.status, 404);
  assert.equal(res.statusText, "Gone fishing");
  assert.deepEqual(res.headers.getSetCookie(), ["a=1", "b=2"]);
  assert.equal(res.headers.get("vary"), "Cookie, Accept-Encoding");
  assert.equal(res.headers.get("etag"), 'W/"x"');
  assert.equal(res.headers.get("accept-ranges"), null);
  assert.equal(res.headers.get("content-length"), null);

  await using server = serveHandler(compression()(handler));
  const head = await curl("--compressed", "-D", "-", "-o", "/dev/null", server.url);
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
  assert.equal(length, (await res.bytes()).length);
});

Deno.test("HTTP-21 small, large, encoded, partial and other content stays plain", async () => {
  const plain: [string, () => Response][] = [
    ["2048 bytes", text("x".repeat(2048))],
    ["2048 bytes of UTF-8", text("é".repeat(1024))],
    ["known to be above 1 MiB", text("x".repeat(1024 * 1024 + 1))],
    [
      "declared above 1 MiB",
      () => declareBodySize(new Response(new Blob(["x"]).stream(), { headers: HTML }), 2 ** 21),
    ],
    ["image", text(TEXT, { "content-type": "image/svg+xml" })],
    ["event stream", text(TEXT, { "content-type": "text/event-stream" })],
    ["without type", text(new TextEncoder().encode(TEXT), {})],
    ["encoded", text(TEXT, { ...HTML, "content-encoding": "br" })],
    ["not to be transformed", text(TEXT, { ...HTML, "cache-control": "public, no-transform" })],
    ["live", () => markLive(new Response(new Blob([TEXT]).stream(), { headers: HTML }))],
    ["partial", () => new Response(TEXT, { status: 206, headers: HTML })],
    ["empty", text(null)],
    ["no content", () => new Response(null, { status: 204 })],
    ["not modified", () => new Response(null, { status: 304, headers: HTML })],
  ];
  for (const [what, handler] of plain) {
    const given = handler();
    const res = await ask(() => given);
    assert.equal(res, given, what);
    await res.body?.cancel();
  }
  const big = await ask(text("é".repeat(1025)));
  assert.equal(big.headers.get("content-encoding"), "gzip");
  await big.body?.cancel();
});

Deno.test("HTTP-21 a client that wants no coding gets the body as it is, and Vary", async () => {
  for (const encoding of [null, "br", "gzip;q=0", "identity"]) {
    const res = await ask(text(TEXT), encoding);
    assert.equal(res.headers.get("content-encoding"), null);
    assert.equal(res.headers.get("vary"), "Accept-Encoding");
    assert.equal(await res.text(), TEXT);
  }
  const starred = await ask(text(TEXT, { ...HTML, vary: "*" }), null);
  assert.equal(starred.headers.get("vary"), "*");
  await starred.body?.cancel();
});

Deno.test("HTTP-21 streams of unknown length are compressed as they come", async () => {
  const more: ((text: string | null) => void)[] = [];
  const handler = () =>
    new Response(
      new ReadableStream<Uint8Array>({
        pull: (controller) =>
          new Promise((resolve) =>
            more.push((text) => {
              if (text === null) controller.close();
              else controller.enqueue(new TextEncoder().encode(text));
              resolve();
            })
          ),
      }, { highWaterMark: 0 }),
      { headers: HTML },
    );
  const res = await ask(handler);
  assert.equal(res.headers.get("content-encoding"), "gzip");
  const reader = res.body!.pipeThrough(
    new DecompressionStream("gzip") as TransformStream<Uint8Array, Uint8Array>,
  ).pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>).getReader();
  for (const part of ["first", "second"]) {
    const next = reader.read();
    while (more.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    more.shift()!(part);
    // Nothing is held back: this part arrives before the next one was made.
    assert.equal((await next).value, part);
  }
  const end = reader.read();
  while (more.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  more.shift()!(null);
  assert.equal((await end).done, true);
});

Deno.test("HTTP-21 HTTP-35 when the client leaves, the source is closed", async () => {
  let reason: unknown;
  const res = await ask(text(
    new ReadableStream({
      pull: (controller) => controller.enqueue(new TextEncoder().encode(TEXT)),
      cancel: (why) => {
        reason = why;
      },
    }),
  ));
  const reader = res.body!.getReader();
  await reader.read();
  await reader.cancel("left");
  assert.equal(reason, "left");
});

Deno.test("HTTP-21 empty chunks of a source change nothing", async () => {
  const chunks = ["", "one", "", "", " two", ""].map((part) => new TextEncoder().encode(part));
  const res = await ask(text(ReadableStream.from(chunks)));
  assert.equal(gunzipSync(await res.bytes()).toString(), "one two");
});

Deno.test("HTTP-21 HTTP-35 a source that gives empty chunks for ever lets others have their turn", async () => {
  const ended = Promise.withResolvers<void>();
  let isOver = false;
  const res = await ask(text(
    new ReadableStream({
      pull(controller) {
        if (!isOver) return controller.enqueue(new Uint8Array(0));
        controller.close();
        ended.resolve();
      },
    }),
  ));
  const read = res.bytes();
  // without its turn this timer would never end it
  setTimeout(() => isOver = true, 0);
  await ended.promise;
  assert.equal(gunzipSync(await read).length, 0);
});

Deno.test("HTTP-21 HTTP-35 a source of something else than bytes breaks the response and is closed", async () => {
  for (const wrong of [5, "text", null]) {
    let reason: unknown;
    const res = await ask(text(
      new ReadableStream({
        pull: (controller) => controller.enqueue(wrong as never),
        cancel: (why) => {
          reason = why;
        },
      }),
    ));
    await assert.rejects(res.text(), /not a Uint8Array/);
    assert.match(`${reason}`, /not a Uint8Array/);
  }
});

Deno.test("HTTP-21 a source that breaks breaks the response, not the server", async () => {
  const res = await ask(text(
    new ReadableStream({
      pull: (controller) => controller.error(new Error("source broke")),
    }),
  ));
  await assert.rejects(res.text(), /source broke/);
});

Deno.test("HTTP-21 HTTP-34 shared content is compressed once, larger content off the loop", async () => {
  const shared = new SharedBody(TEXT.repeat(20));
  const handler = () => sharedResponse(shared, { headers: HTML });
  const first = await (await ask(handler)).bytes();
  const again = compression()(handler)(
    new Request("http://h.example/", { headers: { "accept-encoding": "gzip" } }),
    createContext({ url: "http://h.example/" }),
  );
  // The second time there is nothing to wait for.
  assert.ok(again instanceof Response);
  assert.deepEqual(await again.bytes(), first);
  assert.equal(gunzipSync(first).toString(), shared.content);
  const deflated = await (await ask(handler, "deflate")).bytes();
  assert.equal(inflateSync(deflated).toString(), shared.content);
});

Deno.test("HTTP-21 HTTP-33 HEAD has the headers of the compressed answer", async () => {
  await using server = serveHandler(
    compression()((req) =>
      req.url.endsWith("/stream")
        ? declareBodySize(
          new Response(req.method === "HEAD" ? null : new Blob([TEXT]).stream(), {
            headers: { ...HTML, "content-length": String(TEXT.length) },
          }),
          TEXT.length,
        )
        : new Response(TEXT, { headers: HTML })
    ),
  );
  const headers = async (path: string, ...args: string[]) =>
    (await curl("--compressed", "-D", "-", "-o", "/dev/null", ...args, server.url + path))
      .split("\r\n").filter((line) => line !== "" && !line.startsWith("date")).sort();
  assert.deepEqual(await headers("/", "-I"), await headers("/"));
  const head = await headers("/stream", "-I");
  assert.ok(head.includes("content-encoding: gzip"));
  assert.ok(!head.some((line) => line.startsWith("content-length")));
  const plain = await curl(server.url + "/stream");
  assert.equal(plain, TEXT);
  assert.equal(await curl("--compressed", server.url + "/stream"), TEXT);
});

Deno.test("HTTP-21 responses that cannot be changed are varied in a copy", async () => {
  const fetched = await fetch(`data:text/html,${encodeURIComponent(TEXT)}`);
  const res = await ask(() => fetched, null);
  assert.equal(res.headers.get("vary"), "Accept-Encoding");
  assert.equal(await res.text(), TEXT);
});
