import assert from "node:assert/strict";
import { connect } from "node:http2";
import { DEFAULT_BODY_LIMITS } from "../../src/core/app.ts";
import { bodyLimitsOf } from "../../src/core/body_limits.ts";
import { createContext } from "../../src/core/context.ts";
import { ConfigError } from "../../src/core/errors.ts";
import { compose, type Handler } from "../../src/core/handler.ts";
import { bodyLimit } from "../../src/middleware/body_limit.ts";
import { errorGuard } from "../../src/middleware/error_guard.ts";
import { listLog } from "../_support/list_log.ts";
import { curl, exchange, serveHandler } from "../_support/serve_handler.ts";

const LIMITS = { ...DEFAULT_BODY_LIMITS, maxPostBodySize: 1000, maxMultipartBodySize: 3000 };

function limited(handler: Handler): Handler {
  return compose([errorGuard({ log: listLog() }), bodyLimit(LIMITS)], handler);
}

const size: Handler = async (req) => new Response(String((await req.bytes()).length));

Deno.test("HTTP-05 a longer Content-Length is refused unread and the connection closed", async () => {
  let reached = false;
  await using server = serveHandler(limited((req) => {
    reached = true;
    return new Response(req.method);
  }));
  // The body never comes, and the answer does not wait for it.
  const answer = await exchange(
    server.port,
    "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n\r\n",
    /<\/html>/,
  );
  assert.match(answer, /^HTTP\/1\.1 413 /);
  assert.match(answer, /\r\nconnection: close\r\n/i);
  assert.match(answer, /1000 bytes/);
  assert.equal(reached, false);
  // When it does come, nothing of it is taken for another request.
  const sent = await exchange(
    server.port,
    `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n\r\n${"x".repeat(1001)}GET /`,
  );
  assert.match(sent, /^HTTP\/1\.1 413 /);
  assert.match(sent, /<\/html>\s*$/);
});

Deno.test("HTTP-05 HTTP-10 a client that waits for 100 Continue is answered without its body", async () => {
  await using server = serveHandler(limited(size));
  const answer = await exchange(
    server.port,
    "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5000\r\n\r\n",
    /<\/html>/,
  );
  // The fast front cannot hold back its 100, but the answer does not wait for the body.
  assert.match(answer, /^(?:HTTP\/1\.1 100 Continue\r\n\r\n)?HTTP\/1\.1 413 /);
});

Deno.test("HTTP-05 up to the limit a body passes, with the same Request object", async () => {
  await using server = serveHandler(limited(size));
  assert.equal(await curl("--data-binary", "x".repeat(1000), server.url), "1000");

  const req = new Request("http://a/", {
    method: "POST",
    body: "x",
    headers: { "content-length": "1" },
  });
  const ctx = createContext({ url: req.url });
  let seen: Request | undefined;
  bodyLimit(LIMITS)((req) => {
    seen = req;
    return new Response();
  })(req, ctx);
  assert.equal(seen, req);
});

Deno.test("HTTP-05 over HTTP/2 the stream is answered and the connection kept", async () => {
  await using server = serveHandler((req, ctx) =>
    limited(size)(req, createContext({ ...ctx, url: req.url, httpVersion: "2.0" }))
  );
  const session = connect(server.url);
  const send = (bytes: number) =>
    new Promise<number>((resolve, reject) => {
      const stream = session.request({ ":method": "POST", "content-length": String(bytes) });
      let status = 0;
      stream.on("response", (headers) => status = Number(headers[":status"]));
      // The server may reset what it will not read, after its answer.
      stream.on("error", (error) => status === 413 ? resolve(status) : reject(error));
      stream.on("end", () => resolve(status));
      stream.resume();
      stream.end(new Uint8Array(bytes));
    });
  assert.deepEqual([await send(50_000), await send(3)], [413, 200]);
  await new Promise<void>((resolve) => session.close(resolve));
});

Deno.test("HTTP-06 multipart bodies have a limit of their own", async () => {
  await using server = serveHandler(limited(size));
  const code = ["-o", "/dev/null", "-w", "%{http_code}"];
  assert.equal(await curl(...code, "-F", `a=${"x".repeat(2000)}`, server.url), "200");
  assert.equal(await curl(...code, "-F", `a=${"x".repeat(3000)}`, server.url), "413");
  assert.equal(
    await curl(...code, "-H", "content-type: text/plain", "-d", "x".repeat(2000), server.url),
    "413",
  );
});

Deno.test("HTTP-05 HTTP-09 chunked bodies are counted while they come", async () => {
  await using server = serveHandler(limited(size));
  const chunked = (bytes: number) =>
    curl(
      ...["-w", " %{http_code}", "-H", "transfer-encoding: chunked", "-H", "content-type: a/b"],
      ...["--data-binary", "x".repeat(bytes), server.url],
    );
  assert.equal(await chunked(1000), "1000 200");
  assert.match(await chunked(1001), / 413$/);
});

Deno.test("HTTP-05 HTTP-09 an overflow is answered 413 whatever the app makes of it", async () => {
  const handlers: Handler[] = [
    async (req) => {
      await req.text().catch(() => {});
      return new Response("swallowed");
    },
    async (req) => {
      try {
        await req.text();
      } catch (error) {
        throw new Error("wrapped", { cause: error });
      }
      return new Response();
    },
  ];
  for (const handler of handlers) {
    await using server = serveHandler(limited(handler));
    const answer = await exchange(
      server.port,
      `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5dc\r\n${
        "x".repeat(1500)
      }\r\n0\r\n\r\n`,
      /<\/html>/,
    );
    assert.match(answer, /^HTTP\/1\.1 413 /);
    assert.match(answer, /\r\nconnection: close\r\n/i);
  }
});

Deno.test("HTTP-09 411 is for a body that is announced but has no length", async () => {
  await using server = serveHandler(limited(size));
  const send = (head: string) =>
    exchange(server.port, `${head}\r\nhost: a\r\nconnection: close\r\n\r\n`);
  assert.match(await send("POST / HTTP/1.1\r\ncontent-type: text/plain"), /^HTTP\/1\.1 411 /);
  assert.match(await send("POST / HTTP/1.1"), /^HTTP\/1\.1 200 /);
  assert.match(
    await send("POST / HTTP/1.1\r\ncontent-type: a/b\r\ncontent-length: 0"),
    /^HTTP\/1\.1 200 /,
  );
  assert.match(await send("DELETE / HTTP/1.1\r\ncontent-type: a/b"), /^HTTP\/1\.1 200 /);
});

Deno.test("HTTP-05 requests without a body are not touched", () => {
  for (const method of ["GET", "HEAD", "OPTIONS", "DELETE", "POST"]) {
    const req = new Request("http://a/", { method });
    const res = new Response();
    let seen: Request | undefined;
    const result = bodyLimit(LIMITS)((req) => {
      seen = req;
      return res;
    })(req, createContext({ url: req.url }));
    assert.equal(result, res);
    assert.equal(seen, req);
  }
});

Deno.test("MNT-26 HTTP-05 HTTP-06 HTTP-07 HTTP-08 limits come from the app and its preferences", () => {
  assert.deepEqual(bodyLimitsOf("x", {}), {
    maxPostBodySize: 5 * 1024 * 1024,
    maxMultipartBodySize: 20 * 1024 * 1024,
    maxUploadFileSize: 20_000_000,
    maxCacheSize: 5 * 1024 * 1024,
  });
  const all = bodyLimitsOf("x", { maxClientBodySize: 10 });
  assert.deepEqual([all.maxPostBodySize, all.maxMultipartBodySize, all.maxUploadFileSize], [
    10,
    10,
    10,
  ]);
  assert.equal(all.maxCacheSize, 5 * 1024 * 1024);
  const mixed = bodyLimitsOf(
    "x",
    { maxClientBodySize: 1, config: { maxPostBodySize: 2, maxCacheSize: 3 } },
    { maxClientBodySize: 4, config: { maxUploadFileSize: 5 } },
  );
  assert.deepEqual(mixed, {
    maxPostBodySize: 4,
    maxMultipartBodySize: 4,
    maxUploadFileSize: 5,
    maxCacheSize: 3,
  });
  for (const wrong of ["10", -1, 1.5, NaN]) {
    assert.throws(() => bodyLimitsOf("mount(/)", { maxClientBodySize: wrong }), ConfigError);
  }
});
