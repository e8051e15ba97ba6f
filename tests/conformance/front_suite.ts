/**
 * What every front has to do, as one suite that is run over each.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { RequestContext } from "../../src/core/context.ts";
import { HttpError } from "../../src/core/errors.ts";
import type { Handler } from "../../src/core/handler.ts";
import {
  ask,
  curl,
  eventually,
  RawClient,
  run,
  startTestFront,
  type TestFront,
  testTls,
} from "../_support/fronts.ts";
import { FRAME, type Frame, frame, RawHttp2, requestBlock, uint32 } from "../_support/raw_http2.ts";

const ENCODER = new TextEncoder();
const HOST = "Host: example.org:8080\r\n";
const OK: Handler = () => new Response("ok");

/** Runs the suite over one front. */
export function frontSuite(kind: "fast" | "edge"): void {
  const test = (name: string, fn: () => Promise<void>) => {
    const [, rows, rest] = /^((?:[A-Z]+-\d+ )*)(.*)$/.exec(name)!;
    Deno.test(`${rows}${kind} ${rest}`, fn);
  };

  test("HTTP-01 a connection serves many requests, until one says close", async () => {
    await using server = await startTestFront(kind, (req) => req.text().then((t) => answer(t)));
    using client = await RawClient.connect(server.port);
    for (const word of ["one", "two", "three"]) {
      client.received = "";
      await client.send(`POST /a HTTP/1.1\r\n${HOST}Content-Length: ${word.length}\r\n\r\n${word}`);
      await client.until(new RegExp(`got ${word}$`));
    }
    client.received = "";
    const big = "x".repeat(300_000);
    await client.send(
      `POST /a HTTP/1.1\r\n${HOST}Connection: close\r\nContent-Length: ${big.length}\r\n\r\n${big}`,
    );
    const text = await client.end();
    assert.equal(client.ended, "closed");
    assert.match(text, /\r\nconnection: close\r\n/i);
    assert.ok(text.endsWith(`got ${big}`), "the response was sent completely before the close");
  });

  test("FUT-02 HTTP-01 an answer without content is over at once, also one of 205", async () => {
    await using server = await startTestFront(
      kind,
      (_req, ctx) =>
        ctx.path === "/last" ? answer("x") : new Response(null, {
          status: Number(ctx.path.slice(1)),
          headers: { "x-kept": "yes" },
        }),
    );
    const stdout = await curl("-i", `${server.url}/205`);
    assert.match(stdout, kind === "edge" ? /^HTTP\/1\.1 205 Reset/ : /^HTTP\/1\.1 204 No Content/);
    assert.match(stdout, /\r\nx-kept: yes\r\n/);
    assert.equal(/\r\ncontent-length: 0\r\n/.test(stdout), kind === "edge");
    using client = await RawClient.connect(server.port);
    for (const path of ["/204", "/205", "/304"]) {
      await client.send(`GET ${path} HTTP/1.1\r\n${HOST}\r\n`);
    }
    await client.send(`GET /last HTTP/1.1\r\n${HOST}\r\n`);
    await client.until(/got x$/);
  });

  test("HTTP-01 requests sent without waiting are handled and answered one after the other", async () => {
    let running = 0;
    let most = 0;
    const order: string[] = [];
    await using server = await startTestFront(kind, async (req, ctx) => {
      most = Math.max(most, ++running);
      order.push(ctx.path);
      const text = await req.text();
      if (ctx.path.endsWith("0")) await delay(5);
      running--;
      if (ctx.path.endsWith("1")) return new Response(streamOf("str", "eam\n"));
      return new Response(`${ctx.path} ${text}\n`);
    });
    using client = await RawClient.connect(server.port);
    let requests = "";
    let wanted = "";
    for (let count = 0; count < 200; count++) {
      const isPost = count % 3 === 0;
      const target = `/${count} HTTP/1.1\r\n${HOST}`;
      requests += isPost ? `POST ${target}Content-Length: 4\r\n\r\nbody` : `GET ${target}\r\n`;
      wanted += count % 10 === 1 ? "stream\n" : `/${count} ${isPost ? "body" : ""}\n`;
    }
    await client.send(requests);
    await client.send(`GET /last HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
    // Nothing after the last one is a request any more.
    await client.send(`GET /late HTTP/1.1\r\n${HOST}\r\n`);
    const text = await client.end();
    const bodies = text.replace(/HTTP\/1\.1 200 [^]*?\r\n\r\n/g, "")
      .replace(/[0-9a-f]+\r\n|\r\n/g, "");
    assert.equal(bodies, `${wanted}/last \n`);
    assert.equal(most, 1);
    assert.deepEqual(order.slice(0, 3), ["/0", "/1", "/2"]);
    assert.equal(order.length, 201);
  });

  test("HTTP-01 HTTP-22 an HTTP/1.0 client keeps its connection for known lengths only", async () => {
    await using server = await startTestFront(
      kind,
      (_req, ctx) => ctx.path === "/stream" ? new Response(streamOf("a", "b")) : answer("x"),
    );
    const once = await ask(server.port, "GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert.match(once, /^HTTP\/1\.[01] 200 [^]*got x$/);
    using client = await RawClient.connect(server.port);
    await client.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    assert.match(await client.until(/got x$/), /\r\nconnection: keep-alive\r\n/i);
    client.received = "";
    await client.send("GET /stream HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    const text = await client.end();
    assert.doesNotMatch(text, /transfer-encoding|content-length/i);
    assert.match(text, /\r\n\r\nab$/, "delimited by the close");
  });

  test("HTTP-22 a body of unknown length is chunked, one of declared length is not", async () => {
    await using server = await startTestFront(
      kind,
      (_req, ctx) =>
        new Response(streamOf("one", "three"), {
          headers: ctx.path === "/known" ? { "content-length": "8" } : {},
        }),
    );
    using client = await RawClient.connect(server.port);
    await client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    const chunked = await client.until(/\r\n0\r\n\r\n$/);
    assert.match(chunked, /transfer-encoding: chunked\r\n/i);
    assert.doesNotMatch(chunked, /content-length/i);
    // What is there at once may go into one chunk.
    assert.match(chunked, /\r\n\r\n(?:3\r\none\r\n5\r\nthree|8\r\nonethree)\r\n0\r\n\r\n$/);
    client.received = "";
    await client.send(`GET /known HTTP/1.1\r\n${HOST}\r\n`);
    const known = await client.until(/onethree$/);
    assert.match(known, /content-length: 8\r\n/i);
    assert.doesNotMatch(known, /transfer-encoding/i);
  });

  test("HTTP-09 chunked request bodies are read, and echoed as they come", async () => {
    await using server = await startTestFront(
      kind,
      (req, ctx) =>
        ctx.path === "/echo" ? new Response(req.body) : req.text().then((text) => answer(text)),
    );
    using client = await RawClient.connect(server.port);
    await client.send(`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n4;x=y\r\nab`);
    await client.send("cd\r\n2\r\nef\r\n0\r\nTrailer: x\r\n\r\n");
    await client.until(/got abcdef$/);
    await client.send(`POST /echo HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`);
    for (const word of ["first", "second"]) {
      await client.send(`${word.length.toString(16)}\r\n${word}\r\n`);
      await client.until(new RegExp(`\\r\\n${word}\\r\\n$`));
    }
    await client.send("0\r\n\r\n");
    await client.until(/\r\n0\r\n\r\n$/);
  });

  test("HTTP-10 a client that expects 100 Continue gets it when its body is wanted", async () => {
    await using server = await startTestFront(kind, (req) => req.text().then((t) => answer(t)));
    using client = await RawClient.connect(server.port);
    await client.send(
      `POST / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n`,
    );
    await client.until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    await client.send("body");
    await client.until(/^HTTP\/1\.1 100 [^]*HTTP\/1\.1 200 [^]*got body$/);
    const output = await curl(
      ...["-H", "Expect: 100-continue", "--expect100-timeout", "15"],
      ...["-d", "x".repeat(2000), server.url],
    );
    assert.equal(output, `got ${"x".repeat(2000)}`);
  });

  test("HTTP-10 HTTP-09 an echo asks for the body before it begins to answer", async () => {
    await using server = await startTestFront(kind, (req) => new Response(req.body));
    using client = await RawClient.connect(server.port);
    await client.send(
      `POST / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n`,
    );
    await client.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
    await client.send("body");
    await client.until(/\r\n0\r\n\r\n$/);
    assert.match(
      client.received,
      /^HTTP\/1\.1 100 [^]*HTTP\/1\.1 200 [^]*\r\n\r\n4\r\nbody\r\n0\r\n/,
    );
    assert.equal(client.received.split("100 Continue").length, 2, "it says so once");
  });

  test("HTTP-11 seven methods are served, all others are answered 405", async () => {
    const seen: string[] = [];
    await using server = await startTestFront(kind, (req) => {
      seen.push(req.method);
      return new Response("ok");
    });
    const served = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    for (const method of served) {
      const text = await ask(
        server.port,
        `${method} / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`,
      );
      assert.match(text, /^HTTP\/1\.1 200 /);
      if (method === "HEAD") assert.match(text, /content-length: 2\r\n[^]*\r\n\r\n$/);
    }
    for (const method of ["TRACE", "PROPFIND", "BREW", "get", "CONNECT"]) {
      const target = method === "CONNECT" ? "example.org:443" : "/";
      const text = await ask(
        server.port,
        `${method} ${target} HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`,
      );
      assert.match(text, /^HTTP\/1\.1 405 /, method);
      assert.match(text, /\r\nallow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n/i, method);
    }
    assert.deepEqual(seen, served);
    assert.equal(server.log.lines.filter((line) => line.includes(" 405 ")).length, 5);
  });

  test("HTTP-11 HTTP-33 HEAD of a body of unknown length tells no length", async () => {
    await using server = await startTestFront(
      kind,
      (_req, ctx) =>
        new Response(streamOf("one", "three"), {
          headers: ctx.path === "/known" ? { "content-length": "8" } : {},
        }),
    );
    using client = await RawClient.connect(server.port);
    await client.send(`HEAD / HTTP/1.1\r\n${HOST}\r\n`);
    const unknown = await client.until(/\r\n\r\n$/);
    assert.match(unknown, /^HTTP\/1\.1 200 /);
    assert.doesNotMatch(unknown, /content-length/i);
    client.received = "";
    await client.send(`HEAD /known HTTP/1.1\r\n${HOST}\r\n`);
    assert.match(await client.until(/\r\n\r\n$/), /\r\ncontent-length: 8\r\n/i);
  });

  test("HTTP-23 what a front refuses by itself carries Server and Date as well", async () => {
    for (const name of ["Skitai", ""]) {
      await using server = await startTestFront(kind, () => new Response("ok"), { server: name });
      const requests = ["BREW / HTTP/1.1\r\nHost: a", "TRACE / HTTP/1.1\r\nHost: a"];
      requests.push("CONNECT a:1 HTTP/1.1\r\nHost: a", "GET / HTTP/1.1");
      // The runtime of the other one answers by itself what it cannot parse.
      if (kind === "edge") requests.push("GET /a b HTTP/1.1\r\nHost: a");
      for (const request of requests) {
        const text = await ask(server.port, `${request}\r\nConnection: close\r\n\r\n`);
        assert.match(text, /^HTTP\/1\.1 40[05] /, request);
        assert.match(text, /\r\ndate: [^\r]* GMT\r\n/i, request);
        if (name === "") assert.doesNotMatch(text, /\r\nserver:/i, request);
        else assert.match(text, /\r\nserver: Skitai\r\n/i, request);
      }
    }
  });

  test("SRV-02 an address that cannot be had is named, be it unknown or of another machine", async () => {
    for (const hostname of ["192.0.2.1", "no.such.host.invalid"]) {
      await assert.rejects(
        startTestFront(kind, () => new Response("ok"), { hostname }),
        (error) => {
          assert.ok(error instanceof Deno.errors.AddrNotAvailable, `${error}`);
          return true;
        },
      );
    }
  });

  test("HTTP-37 HTTP-35 reading the body of a client that has left is its own fault, a 400", async () => {
    const ways = ["text", "json", "bytes", "arrayBuffer", "blob", "formData", "reader"] as const;
    const failed = new Map<string, unknown>();
    let arrived = Promise.withResolvers<void>();
    let ended = Promise.withResolvers<void>();
    await using server = await startTestFront(kind, async (req, ctx) => {
      const way = ctx.path.slice(1) as typeof ways[number];
      arrived.resolve();
      try {
        await (way === "reader" ? Array.fromAsync(req.body!) : req[way]());
      } catch (error) {
        failed.set(`${failed.size} ${way}`, error);
      }
      ended.resolve();
      return new Response("x");
    });
    const type = "Content-Type: application/x-www-form-urlencoded";
    for (const way of ways) {
      for (
        const [header, start] of [
          ["Content-Length: 50", "a=b"],
          ["Content-Length: 500000", "a".repeat(5000)],
          ["Transfer-Encoding: chunked", "3\r\na=b\r\n"],
        ]
      ) {
        arrived = Promise.withResolvers();
        ended = Promise.withResolvers();
        using client = await RawClient.connect(server.port);
        await client.send(`POST /${way} HTTP/1.1\r\n${HOST}${type}\r\n${header}\r\n\r\n${start}`);
        await arrived.promise;
        client.close();
        await ended.promise;
      }
    }
    assert.equal(failed.size, 3 * ways.length);
    for (const [way, error] of failed) {
      assert.ok(error instanceof HttpError && error.status === 400, `${way}: ${error}`);
    }
  });

  if (kind === "edge") {
    test("EXT-04 HTTP-37 an upgrade that cannot be made is a 500 that says which front can", async () => {
      await using server = await startTestFront(kind, () => new Response(null, { status: 101 }));
      const text = await ask(server.port, `GET /chat HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
      assert.match(text, /^HTTP\/1\.1 500 /);
      assert.match(server.log.lines.join("\n"), /upgrade the connection of \/chat: .*"fast"/);
    });
  }

  test("HTTP-11 HTTP-37 what follows a CONNECT never becomes a request", async () => {
    const seen: string[] = [];
    await using server = await startTestFront(kind, (req) => {
      seen.push(req.url);
      return new Response("smuggled");
    });
    const smuggled = `GET /smug HTTP/1.1\r\n${HOST}\r\n`;
    for (const version of ["1.1", "1.0"]) {
      // In one packet, and after the answer.
      const text = await ask(
        server.port,
        `CONNECT a:1 HTTP/${version}\r\n${HOST}\r\n${smuggled}${smuggled}`,
      );
      assert.match(text, /^HTTP\/1\.[01] 405 /);
      assert.doesNotMatch(text, /smuggled/);
      using client = await RawClient.connect(server.port);
      await client.send(`CONNECT a:1 HTTP/${version}\r\n${HOST}\r\n`);
      await client.until(/ 405 [^]*\r\n\r\n/);
      // It may be closed already; then nothing arrives, which is the point.
      await client.send(smuggled).catch(() => {});
      await client.end();
    }
    assert.deepEqual(seen, []);
  });

  test("HTTP-37 malformed requests are answered 400 or cut, and reach nobody", async () => {
    let count = 0;
    await using server = await startTestFront(kind, () => {
      count++;
      return new Response("ok");
    });
    const close = "Connection: close\r\n";
    const malformed = [
      "GARBAGE\r\n\r\n",
      `GET / HTTP/9.9\r\n${HOST}\r\n`,
      `GET nonsense HTTP/1.1\r\n${HOST}\r\n`,
      `GET / HTTP/1.1\r\n${HOST}X : y\r\n\r\n`,
      `GET / HTTP/1.1\r\n${HOST}X: a\0b\r\n\r\n`,
      `GET / HTTP/1.1\r\n${HOST}X: a\r\n folded\r\n\r\n`,
      `POST / HTTP/1.1\r\n${HOST}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      `POST / HTTP/1.1\r\n${HOST}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
      `POST / HTTP/1.1\r\n${HOST}Content-Length: -1\r\n\r\n`,
      // Host: none, two, empty, and ones that would move the path or hide a user.
      `GET / HTTP/1.1\r\n${close}\r\n`,
      `GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n${close}\r\n`,
      `GET / HTTP/1.1\r\nHost:\r\n${close}\r\n`,
      `GET / HTTP/1.1\r\nHost: \t \r\n${close}\r\n`,
      `GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n${close}\r\n`,
      `GET / HTTP/1.1\r\nHost: a\r\nHost:\r\n${close}\r\n`,
      `GET / HTTP/1.1\r\nHost:\r\nHost: a\r\n${close}\r\n`,
      `GET / HTTP/1.1\r\nHost: a, b\r\n${close}\r\n`,
      `GET / HTTP/1.1\r\nHost: a/b\r\n${close}\r\n`,
      `GET / HTTP/1.1\r\nHost: a?b\r\n${close}\r\n`,
      `GET / HTTP/1.1\r\nHost: a#b\r\n${close}\r\n`,
      `GET / HTTP/1.1\r\nHost: a@b\r\n${close}\r\n`,
      `GET / HTTP/1.1\r\nHost: a b\r\n${close}\r\n`,
      `GET / HTTP/1.1\r\nHost: a\\b\r\n${close}\r\n`,
    ];
    for (const request of malformed) {
      const text = await ask(server.port, request);
      if (text !== "") assert.match(text, /^HTTP\/1\.[01] 400 /, JSON.stringify(request));
    }
    assert.equal(count, 0);
    for (const host of ["a", "A.b-c_d.e:80", "127.0.0.1", "[::1]", "[::1]:80", "xn--nxasmq6b"]) {
      const text = await ask(server.port, `GET / HTTP/1.1\r\nHost: ${host}\r\n${close}\r\n`);
      assert.match(text, /^HTTP\/1\.1 200 /, host);
    }
    // `fast` is not told of what its runtime refuses; of what the front refuses both are.
    const logged = server.log.lines.filter((line) => / 400 to 127\.0\.0\.1: /.test(line)).length;
    assert.ok(logged >= 8, `logged ${logged}`);
  });

  test("HTTP-37 a chunked body that breaks ends the request and its connection", async () => {
    const begun = Promise.withResolvers<void>();
    const outcomes: string[] = [];
    await using server = await startTestFront(kind, async (req) => {
      begun.resolve();
      outcomes.push(await req.text().then((text) => `read ${text}`, () => "failed"));
      return new Response("ok");
    });
    const head = `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`;
    using client = await RawClient.connect(server.port);
    await client.send(head);
    await begun.promise;
    await client.send(`zz\r\n\r\nGET /smuggled HTTP/1.1\r\n${HOST}\r\n`);
    await client.end();
    await eventually(() => outcomes.length === 1, "the read has ended");
    // Where the break arrives together with the head, the handler may never hear of the request.
    await ask(server.port, `${head}zz\r\n\r\nGET /smuggled HTTP/1.1\r\n${HOST}\r\n`);
    await eventually(() => outcomes.length <= 2, "no third request");
    assert.deepEqual(new Set(outcomes), new Set(["failed"]));
  });

  test("HTTP-37 an exception outside of apps is a 500, logged with its stack", async () => {
    await using server = await startTestFront(kind, (_req, ctx) => {
      if (ctx.path === "/async") return Promise.reject(new Error("later"));
      throw new Error("at once");
    });
    for (const path of ["/sync", "/async"]) {
      const text = await ask(
        server.port,
        `GET ${path} HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`,
      );
      assert.match(text, /^HTTP\/1\.1 500 /);
      assert.doesNotMatch(text, /at once|later/);
    }
    for (const word of ["at once", "later"]) {
      assert.equal(
        server.log.lines.filter((line) => line.startsWith("expt:") && line.includes(word)).length,
        1,
      );
    }
  });

  test("HTTP-37 a response stream that fails breaks the connection, logged once", async () => {
    await using server = await startTestFront(kind, () => {
      let count = 0;
      return new Response(
        new ReadableStream({
          pull(controller) {
            if (count++ > 0) throw new Error("producer broke");
            controller.enqueue(ENCODER.encode("part"));
          },
        }),
      );
    });
    using client = await RawClient.connect(server.port);
    await client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    const text = await client.end();
    assert.doesNotMatch(text, /\r\n0\r\n\r\n$/, "not ended as if it were whole");
    const lines = () => server.log.lines.filter((line) => line.includes("producer broke")).length;
    await eventually(() => lines() === 1, "the failure is logged");
  });

  test("HTTP-35 a client that leaves ends the producer, also one that is silent", async () => {
    const ended: string[] = [];
    const delivered: boolean[] = [];
    await using server = await startTestFront(kind, (_req, ctx) => {
      ctx.completion.then((completion) => delivered.push(completion.delivered));
      let timer: ReturnType<typeof setInterval> | undefined;
      return new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(ENCODER.encode("begun"));
            if (ctx.path === "/silent") return;
            timer = setInterval(() => controller.enqueue(ENCODER.encode("tick")), 5);
          },
          cancel() {
            clearInterval(timer);
            ended.push(ctx.path);
          },
        }),
      );
    }, { limits: { requestTimeoutSeconds: 1 } });
    for (const path of ["/busy", "/silent"]) {
      using client = await RawClient.connect(server.port);
      await client.send(`GET ${path} HTTP/1.1\r\n${HOST}\r\n`);
      await client.until(/begun/);
      client.close();
      await eventually(() => ended.includes(path), `${path} ends`);
    }
    await eventually(() => delivered.length === 2, "both are over");
    assert.deepEqual(delivered, [false, false]);
    assert.deepEqual(server.log.lines.filter((line) => line.startsWith("expt:")), []);
  });

  test("HTTP-35 a client that left before the answer ends the stream it never got", async () => {
    const ended = Promise.withResolvers<void>();
    const isGone = Promise.withResolvers<void>();
    await using server = await startTestFront(kind, async (_req, ctx) => {
      if (ctx.path === "/probe") return new Response("ok");
      await isGone.promise;
      return new Response(
        new ReadableStream({
          pull(controller) {
            controller.enqueue(new Uint8Array(65536));
          },
          cancel: () => ended.resolve(),
        }),
      );
    });
    using client = await RawClient.connect(server.port);
    await client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    await ask(server.port, `GET /probe HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
    client.close();
    isGone.resolve();
    await ended.promise;
  });

  test("HTTP-35 a client that leaves in the middle of its body fails the read", async () => {
    const reading = Promise.withResolvers<void>();
    const outcome = Promise.withResolvers<string>();
    await using server = await startTestFront(kind, async (req) => {
      reading.resolve();
      outcome.resolve(await req.text().then(() => "read", () => "failed"));
      return new Response("ok");
    });
    using client = await RawClient.connect(server.port);
    await client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 100\r\n\r\npart`);
    await reading.promise;
    client.close();
    assert.equal(await outcome.promise, "failed");
  });

  test("HTTP-35 a client that leaves a body half read leaves no socket", async () => {
    if (Deno.build.os !== "linux") return;
    const readers: ReadableStreamDefaultReader<Uint8Array>[] = [];
    await using server = await startTestFront(kind, async (req) => {
      const reader = req.body!.getReader();
      readers.push(reader);
      await reader.read();
      return new Response("enough");
    });
    const before = openSockets();
    for (let count = 0; count < 20; count++) {
      using client = await RawClient.connect(server.port);
      await client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 20000\r\n\r\npart`);
      await client.until(/enough$/);
    }
    await eventually(() => openSockets() <= before, "the sockets are closed");
    for (const reader of readers) await assert.rejects(reader.read(), "half a body is none");
  });

  test("HTTP-35 whoever reads on after the answer hears that no more of the body comes", async () => {
    // The first is too long to keep the connection for, the second may still come.
    for (const length of [600_000, 6000]) {
      const outcome = Promise.withResolvers<string>();
      const server = await startTestFront(kind, (req, ctx) => {
        const reading = req.text().then(() => "read", () => "failed");
        reading.then(outcome.resolve);
        ctx.waitUntil(reading);
        return new Response("ok");
      });
      using client = await RawClient.connect(server.port);
      await client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: ${length}\r\n\r\npart`);
      await client.until(/ok$/);
      client.close();
      assert.equal(await outcome.promise, "failed");
      await server.front.shutdown(20_000);
    }
  });

  test("HTTP-18 the context knows the request as it was sent", async () => {
    const facts: Record<string, unknown>[] = [];
    await using server = await startTestFront(kind, (req, ctx) => {
      facts.push({ ...factsOf(ctx), url: req.url });
      return new Response("ok");
    });
    using client = await RawClient.connect(server.port);
    const send = async (target: string, host = "Example.ORG:8080") => {
      client.received = "";
      await client.send(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await client.until(/ok$/);
      return facts.at(-1)!;
    };
    const first = await send("/a%2Fb/../c//d?x=%20y?z");
    assert.deepEqual(first, {
      path: "/a%2Fb/../c//d",
      query: "x=%20y?z",
      hostname: "example.org",
      scheme: "http",
      httpVersion: "1.1",
      remoteAddr: "127.0.0.1",
      connectionId: 1,
      requestId: 1,
      workerId: "W7",
      mountPoint: "",
      url: "http://Example.ORG:8080/a%2Fb/../c//d?x=%20y?z",
    });
    const second = await send("/", "[::1]:81");
    assert.equal(second.hostname, "::1");
    assert.equal(second.connectionId, 1, "the same connection");
    assert.equal(second.requestId, 2);
    const absolute = await send("http://other.org:9/p?q", "ignored");
    assert.equal(absolute.hostname, "other.org", "the target counts, not the header");
    assert.equal(absolute.path, "/p");
    const secure = await send("https://other.org/p/q?r", "ignored");
    assert.equal(`${secure.hostname} ${secure.path} ${secure.query}`, "other.org /p/q r");
    assert.equal((await send("http://other.org", "ignored")).path, "/");
    assert.equal((await send("/#fragment?no")).path, "/");
    assert.equal((await send("/?")).query, "");
    using other = await RawClient.connect(server.port);
    await other.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    await other.until(/ok$/);
    assert.equal(facts.at(-1)!.connectionId, 2, "another connection");
    using options = await RawClient.connect(server.port);
    await options.send(`OPTIONS * HTTP/1.1\r\n${HOST}\r\n`);
    await options.until(/ok$/);
    assert.equal(facts.at(-1)!.path, "/*");
  });

  test("HTTP-05 HTTP-37 a target, host or version of which no request can be made is refused", async () => {
    await using server = await startTestFront(kind, (req) => new Response(new URL(req.url).host));
    const ask = async (line: string, host = "example.org") => {
      using client = await RawClient.connect(server.port);
      await client.send(`${line}\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      return await client.end();
    };
    for (const host of ["a:99999", "1.2.3.999", "xn--a", "user@b"]) {
      assert.match(await ask("GET / HTTP/1.1", host), /^HTTP\/1\.1 400 /, host);
      assert.match(await ask(`GET http://${host}/ HTTP/1.1`), /^HTTP\/1\.1 400 /, host);
      assert.match(await ask(`GET http://${host} HTTP/1.1`), /^HTTP\/1\.1 400 /, host);
    }
    assert.match(await ask("GET http://a HTTP/1.1"), /^HTTP\/1\.1 200 [^]*a$/);
    assert.match(
      await ask("GET http://a:99999/ HTTP/1.1"),
      /^HTTP\/1\.1 400 /,
      "after one without a path",
    );
    assert.match(await ask("GET ftp://a/x HTTP/1.1"), /^HTTP\/1\.1 400 /);
    for (const version of ["HTTP/2.0", "HTTP/0.9", "HTTP/3.0"]) {
      assert.match(await ask(`GET / ${version}`), /^HTTP\/1\.1 400 /, version);
    }
    assert.match(await ask("GET / HTTP/1.1"), /^HTTP\/1\.1 200 [^]*example\.org$/);
    assert.ok(!server.log.lines.some((line) => line.includes("TypeError")));
  });

  test("HTTP-18 the request is one that web code takes for real", async () => {
    await using server = await startTestFront(kind, async (req, ctx) => {
      assert.ok(req instanceof Request);
      assert.ok(req.headers instanceof Headers);
      switch (ctx.path) {
        case "/clone": {
          const copy = req.clone();
          return new Response(`${await copy.text()} ${await req.text()}`);
        }
        case "/derived": {
          const next = new Request(req, { headers: { "x-new": "1" } });
          return new Response(`${next.method} ${next.headers.get("x-new")} ${await next.text()}`);
        }
        case "/form": {
          const form = await req.formData();
          const file = form.get("file") as File;
          return new Response(`${form.get("name")} ${file.name} ${await file.text()}`);
        }
        case "/twice":
          await req.text();
          return new Response(`${req.bodyUsed} ${await req.text().catch((e) => e.name)}`);
        case "/none":
          return new Response(`${req.body} ${JSON.stringify(await req.text())} ${req.bodyUsed}`);
        case "/headers": {
          const names = [...req.headers.keys()].join(" ");
          return new Response(`${req.headers.get("X-A")} ${req.headers.has("nope")} ${names}`);
        }
        case "/json":
          return Response.json(await req.json());
        case "/bytes":
          return new Response(await req.bytes());
        case "/buffer":
          return new Response(await req.arrayBuffer());
        case "/blob": {
          const blob = await req.blob();
          return new Response(`${blob.type} ${blob.size}`);
        }
        default: {
          let text = "";
          for await (const chunk of req.body!) text += new TextDecoder().decode(chunk);
          return new Response(text);
        }
      }
    });
    const { url } = server;
    assert.equal(await curl("-d", "x", `${url}/clone`), "x x");
    assert.equal(await curl("-d", "x", "-X", "PATCH", `${url}/derived`), "PATCH 1 x");
    assert.equal(
      await curl("-F", "name=n", "-F", "file=@-;filename=f.txt", `${url}/form`),
      "n f.txt ",
    );
    assert.equal(await curl("-d", "x", `${url}/twice`), "true TypeError");
    assert.equal(await curl(`${url}/none`), 'null "" false');
    assert.equal(
      await curl("-H", "x-a: 1", "-H", "X-A: 2", "-A", "u", `${url}/headers`),
      "1, 2 false accept host user-agent x-a",
    );
    assert.equal(await curl("-d", '{"a":[1]}', `${url}/json`), '{"a":[1]}');
    for (const path of ["/bytes", "/buffer", "/stream"]) {
      const big = "0123456789".repeat(9_000);
      assert.equal(await curl("-d", big, `${url}${path}`), big);
    }
    assert.equal(
      await curl("-H", "Content-Type: text/X", "-d", "four", `${url}/blob`),
      "text/x 4",
    );
  });

  test("HTTP-18 responses of all kinds arrive as they were made", async () => {
    const file = await Deno.makeTempFile();
    await Deno.writeTextFile(file, "from a file");
    const long = "é".repeat(400_000);
    await using server = await startTestFront(kind, async (_req, ctx) => {
      switch (ctx.path) {
        case "/text":
          return new Response("text é");
        case "/long":
          return new Response(long);
        case "/bytes":
          return new Response(new Uint8Array(3_000_000).fill(65));
        case "/blob":
          return new Response(new Blob(["blob"]));
        case "/file":
          return new Response((await Deno.open(file)).readable);
        case "/null":
          return new Response(null);
        case "/204":
          return new Response(null, { status: 204 });
        case "/304":
          return new Response(null, { status: 304, headers: { etag: '"x"' } });
        case "/status":
          return new Response("teapot", { status: 418, statusText: "Short and stout" });
        case "/latin":
          return new Response("ü", { headers: { "x-latin": "\xe9" } });
        case "/redirect":
          return Response.redirect("http://example.org/x", 302);
        case "/used": {
          const res = new Response("used");
          await res.text();
          return res;
        }
        default: {
          const headers = new Headers({ "X-Thing": "1" });
          headers.append("set-cookie", "a=1; Path=/");
          headers.append("set-cookie", "b=2, c");
          return Response.json({ cookies: 2 }, { headers });
        }
      }
    });
    const { url } = server;
    assert.equal(await curl(`${url}/text`), "text é");
    assert.equal(await curl(`${url}/long`), long);
    assert.equal(await curl(`${url}/bytes`), "A".repeat(3_000_000));
    assert.equal(await curl(`${url}/blob`), "blob");
    assert.equal(await curl(`${url}/file`), "from a file");
    assert.match(await curl("-i", `${url}/null`), /\r\ncontent-length: 0\r\n/i);
    const empty = await curl("-i", `${url}/204`);
    assert.match(empty, /^HTTP\/1\.1 204 No Content\r\n/);
    assert.doesNotMatch(empty, /content-length|transfer-encoding/i);
    const unchanged = await curl("-i", `${url}/304`);
    assert.match(unchanged, /^HTTP\/1\.1 304 /);
    assert.doesNotMatch(unchanged, /transfer-encoding/i);
    assert.match(await curl("-i", `${url}/status`), /^HTTP\/1\.1 418 [^]*teapot$/);
    assert.match(
      await curl("-i", `${url}/redirect`),
      /\r\nlocation: http:\/\/example\.org\/x\r\n/i,
    );
    const cookies = await curl("-i", `${url}/`);
    assert.match(cookies, /set-cookie: a=1; Path=\/\r\nset-cookie: b=2, c\r\n/i);
    assert.match(cookies, /content-type: application\/json\r\n/i);
    assert.match(cookies, /\r\ndate: [A-Z][a-z]{2}, \d\d /i);
    assert.match(await curl("-i", `${url}/used`), /^HTTP\/1\.1 500 /);
    using client = await RawClient.connect(server.port);
    await client.send(`GET /latin HTTP/1.1\r\n${HOST}\r\n`);
    assert.match(await client.until(/\r\n\r\n\xc3\xbc$/), /x-latin: \xe9\r\n/i, "one byte, as set");
    const head = await curl("-I", `${url}/bytes`);
    assert.match(head, /content-length: 3000000\r\n/i);
    await Deno.remove(file);
  });

  test("HTTP-37 a response cannot be split through its headers", async () => {
    const attempts: string[] = [];
    await using server = await startTestFront(kind, () => {
      const res = new Response("ok");
      for (const value of ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b"]) {
        try {
          res.headers.set("x-value", value);
          attempts.push(`value ${JSON.stringify(value)}`);
        } catch (error) {
          assert.ok(error instanceof TypeError);
        }
        try {
          res.headers.set(`x-name${value}`, "1");
          attempts.push(`name ${JSON.stringify(value)}`);
        } catch (error) {
          assert.ok(error instanceof TypeError);
        }
        try {
          new Response("", { statusText: value });
          attempts.push(`status ${JSON.stringify(value)}`);
        } catch (error) {
          assert.ok(error instanceof TypeError);
        }
      }
      return res;
    });
    const text = await ask(server.port, `GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
    assert.deepEqual(attempts, []);
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
    assert.doesNotMatch(text, /evil/i);
  });

  test("HTTP-03 a body or a response that stops moving is cut, logged and counted", async () => {
    const failures: unknown[] = [];
    const cancelled = Promise.withResolvers<void>();
    await using server = await startTestFront(kind, async (req, ctx) => {
      if (ctx.path === "/silent") {
        return new Response(
          new ReadableStream({
            start: (controller) => controller.enqueue(ENCODER.encode("begun")),
            cancel: () => cancelled.resolve(),
          }),
        );
      }
      try {
        if (ctx.path === "/stream") { for await (const _ of req.body!); }
        else await req.text();
      } catch (error) {
        failures.push(error);
        return new Response("too slow", { status: 408 });
      }
      return new Response("read");
    }, { limits: { requestTimeoutSeconds: 0.4 } });
    for (const [path, length] of [["/small", 10], ["/large", 100_000], ["/stream", 100_000]]) {
      using client = await RawClient.connect(server.port);
      await client.send(`POST ${path} HTTP/1.1\r\n${HOST}Content-Length: ${length}\r\n\r\npart`);
      await client.until(/^HTTP\/1\.1 408 /);
    }
    assert.equal(failures.length, 3);
    for (const failure of failures) assert.equal((failure as { status?: number }).status, 408);
    using client = await RawClient.connect(server.port);
    await client.send(`GET /silent HTTP/1.1\r\n${HOST}\r\n`);
    await cancelled.promise;
    assert.match(await client.end(), /begun/);
    await eventually(() => server.zombies() === 4, "four are counted");
    assert.equal(server.log.lines.filter((line) => line.includes("cut: ")).length, 4);
  });

  test("HTTP-03 bodies and responses that move slowly are left alone", async () => {
    await using server = await startTestFront(
      kind,
      async (req, ctx) => {
        const text = await req.text();
        // Thinking is no transfer.
        if (ctx.path === "/think") await delay(2400);
        return new Response(streamOf(text), {});
      },
      { limits: { requestTimeoutSeconds: 2, minBodyBytesPerSecond: 1 } },
    );
    await Promise.all([["/slow", 12], ["/think", 1]].map(async ([path, pieces]) => {
      using client = await RawClient.connect(server.port);
      const length = 2000 * Number(pieces);
      await client.send(`POST ${path} HTTP/1.1\r\n${HOST}Content-Length: ${length}\r\n\r\n`);
      for (let sent = 0; sent < length; sent += 2000) {
        await delay(200);
        await client.send("x".repeat(2000));
      }
      await client.until(/x\r\n0\r\n\r\n$/);
    }));
    assert.equal(server.zombies(), 0);
  });

  test("HTTP-01 a front that shuts down answers everything it has accepted", async () => {
    const release = Promise.withResolvers<void>();
    const events: string[] = [];
    const server = await startTestFront(kind, async (req, ctx) => {
      events.push(`begun ${ctx.path}`);
      if (ctx.path === "/upload") return new Response(`got ${(await req.text()).length}`);
      if (ctx.path === "/idle") return new Response("idle");
      if (ctx.path === "/stream") {
        let count = 0;
        return new Response(
          new ReadableStream({
            async pull(controller) {
              if (count === 0) controller.enqueue(ENCODER.encode("begun "));
              else await release.promise;
              if (count++ === 0) return;
              if (count < 20) controller.enqueue(ENCODER.encode(`${count} `));
              else controller.close();
            },
          }),
        );
      }
      await release.promise;
      ctx.waitUntil(
        new Promise((resolve) => setTimeout(resolve, 50)).then(() => events.push("work done")),
      );
      ctx.waitUntil(Promise.reject(new Error("work failed")));
      return new Response("slow");
    });
    using idle = await RawClient.connect(server.port);
    await idle.send(`GET /idle HTTP/1.1\r\n${HOST}\r\n`);
    await idle.until(/idle$/);
    using unused = await RawClient.connect(server.port);
    const clients: RawClient[] = [];
    for (const path of ["/slow", "/slow", "/stream", "/stream"]) {
      const client = await RawClient.connect(server.port);
      clients.push(client);
      await client.send(`GET ${path} HTTP/1.1\r\n${HOST}\r\n`);
    }
    const upload = await RawClient.connect(server.port);
    await upload.send(`POST /upload HTTP/1.1\r\n${HOST}Content-Length: 40000\r\n\r\npart`);
    await eventually(() => events.length === 6, "all have begun");
    for (const stream of clients.slice(2)) await stream.until(/begun /);

    const closed = server.front.shutdown(20_000);
    assert.equal(server.front.shutdown(1), closed, "a second call waits for the first");
    const refusesAll = async () => {
      await idle.end();
      await unused.end();
      await assert.rejects(Deno.connect({ port: server.port }), Deno.errors.ConnectionRefused);
    };
    if (kind === "edge") await refusesAll();
    await eventually(() => events.length === 6, "nothing has ended yet");
    if (kind === "fast") {
      // It cannot close its port while a body is on its way. Who connects meanwhile is served, once.
      await delay(300);
      using late = await RawClient.connect(server.port);
      await late.send(`GET /idle HTTP/1.1\r\n${HOST}\r\n`);
      await late.until(/^HTTP\/1\.1 200 [^]*\r\nconnection: close\r\n[^]*idle$/i);
    }
    await upload.send("x".repeat(40_000 - 4));
    if (kind === "fast") await refusesAll();
    release.resolve();
    for (const client of clients.slice(0, 2)) {
      const text = await client.end();
      assert.match(text, /^HTTP\/1\.1 200 [^]*slow$/);
      assert.match(text, /\r\nconnection: close\r\n/i);
    }
    for (const client of clients.slice(2)) {
      assert.match(await client.end(), /begun [^]*19 \r\n0\r\n\r\n$/);
    }
    assert.match(await upload.end(), /got 40000$/);
    await closed;
    assert.ok(events.includes("work done"), "waitUntil was waited for");
    assert.equal(server.log.lines.filter((line) => line.includes("work failed")).length, 2);
    for (const client of [...clients, upload]) client.close();
  });

  test("HTTP-01 a shutdown cuts what is left after the grace", async () => {
    const server = await startTestFront(kind, (_req, ctx) => {
      if (ctx.path === "/stuck") return new Promise<Response>(() => {});
      return new Response(new ReadableStream({ start: (c) => c.enqueue(ENCODER.encode("begun")) }));
    });
    using stuck = await RawClient.connect(server.port);
    await stuck.send(`GET /stuck HTTP/1.1\r\n${HOST}\r\n`);
    using stream = await RawClient.connect(server.port);
    await stream.send(`GET /stream HTTP/1.1\r\n${HOST}\r\n`);
    await stream.until(/begun/);
    await server.front.shutdown(150);
    await stuck.end();
    await stream.end();
  });

  test("SRV-02 IPv4, IPv6 and all interfaces can be bound", async () => {
    for (const [hostname, target] of [["0.0.0.0", "127.0.0.1"], ["::1", "::1"], ["::", "::1"]]) {
      const seen: string[] = [];
      await using server = await startTestFront(kind, (_req, ctx) => {
        seen.push(`${ctx.remoteAddr} ${ctx.hostname}`);
        return new Response("ok");
      }, { hostname: hostname! });
      assert.equal(server.front.address.hostname, hostname);
      const url = `http://${target!.includes(":") ? `[${target}]` : target}:${server.port}/`;
      assert.equal(await curl(url), "ok");
      assert.deepEqual(seen, [`${target} ${target}`]);
      if (hostname === "::") {
        assert.equal(await curl(`http://127.0.0.1:${server.port}/`), "ok");
        assert.equal(seen[1], "127.0.0.1 127.0.0.1", "an IPv4 peer in its plain form");
      }
    }
  });

  test("SRV-03 a port that is taken fails with a clear error", async () => {
    await using first = await startTestFront(kind, OK);
    const error = await startTestFront(kind, OK, { port: first.port }).then(
      async (second) => {
        await second.front.shutdown(0);
        return undefined;
      },
      (thrown) => thrown,
    );
    assert.ok(error instanceof Deno.errors.AddrInUse, `${error}`);
    // Also where the other one is of no front of ours.
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    await assert.rejects(
      startTestFront(kind, OK, { port: listener.addr.port }),
      Deno.errors.AddrInUse,
    );
  });

  test("SRV-03 several fronts share a port when they are told to", async () => {
    await using first = await startTestFront(kind, OK, { reusePort: true });
    await using second = await startTestFront(kind, OK, { port: first.port, reusePort: true });
    assert.equal(second.port, first.port);
    assert.equal(await curl(first.url), "ok");
  });

  test("LOG-07 open connections are counted", async () => {
    await using server = await startTestFront(kind, OK);
    assert.equal(server.front.connections(), 0);
    const clients: RawClient[] = [];
    for (let count = 0; count < 5; count++) {
      const client = await RawClient.connect(server.port);
      clients.push(client);
      await client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
      await client.until(/ok$/);
    }
    await eventually(() => server.front.connections() === 5, "five are open");
    for (const client of clients) client.close();
    await eventually(() => server.front.connections() === 0, "none is open");
  });

  test("LOG-07 HTTP-37 a response whose stream somebody else reads is a 500, and counts no longer than that", async () => {
    await using server = await startTestFront(kind, async (req) => {
      const res = new Response(streamOf("taken"));
      res.body!.getReader();
      // At once, and later.
      if (req.method === "POST") await req.text();
      return res;
    });
    for (const method of ["GET", "POST"]) {
      const request =
        `${method} / HTTP/1.1\r\n${HOST}Content-Length: 0\r\nConnection: close\r\n\r\n`;
      assert.match(await ask(server.port, request), /^HTTP\/1\.1 500 /);
    }
    await eventually(() => server.front.connections() === 0, "nothing is open");
  });

  test("HTTP-12 HTTP-15 HTTP-18 over TLS the client chooses HTTP/2 or HTTP/1.1", async () => {
    const facts: Record<string, unknown>[] = [];
    await using server = await startTestFront(kind, async (req, ctx) => {
      facts.push({ ...factsOf(ctx), url: req.url });
      switch (ctx.path) {
        case "/echo":
          return new Response(req.body, { headers: { "x-method": req.method } });
        case "/stream":
          return new Response(streamOf("a", "b", "c"), { headers: { connection: "close" } });
        case "/big":
          return new Response(new Uint8Array(5_000_000).fill(66));
        case "/throw":
          throw new Error("thrown over TLS");
        case "/headers": {
          const headers = new Headers({ "content-type": "text/plain", "x-a": "b" });
          headers.append("set-cookie", "a=1");
          headers.append("set-cookie", "b=2");
          return new Response(req.headers.get("x-in"), { headers });
        }
        default:
          return Response.json({ length: (await req.text()).length });
      }
    }, { tls: await testTls() });
    const url = `https://localhost:${server.port}`;
    for (const [flag, version] of [["--http2", "2.0"], ["--http1.1", "1.1"]]) {
      const show = ["-w", " %{http_version} %{http_code}"];
      const shown = version === "2.0" ? "2" : "1.1";
      assert.equal(await curl(flag!, ...show, `${url}/?q=1`), `{"length":0} ${shown} 200`);
      assert.deepEqual(
        { ...facts.at(-1), connectionId: 0, requestId: 0 },
        {
          path: "/",
          query: "q=1",
          hostname: "localhost",
          scheme: "https",
          httpVersion: version,
          remoteAddr: "127.0.0.1",
          connectionId: 0,
          requestId: 0,
          workerId: "W7",
          mountPoint: "",
          url: `${url}/?q=1`,
        },
      );
      assert.equal(await curl(flag!, "-d", "x".repeat(5000), url), '{"length":5000}');
      const big = "y".repeat(100_000);
      assert.equal(await curl(flag!, "-d", big, `${url}/echo`), big);
      assert.equal(await curl(flag!, `${url}/stream`), "abc");
      assert.equal(await curl(flag!, `${url}/big`), "B".repeat(5_000_000));
      const head = await curl(flag!, "-I", `${url}/big`);
      assert.match(head, /content-length: 5000000/i);
      const headers = await curl(flag!, "-i", "-H", "x-in: yes", `${url}/headers`);
      assert.match(headers, /set-cookie: a=1\r\nset-cookie: b=2\r\n/i);
      assert.match(headers, /\r\n\r\nyes$/);
      assert.match(await curl(flag!, ...show, "-o", "/dev/null", `${url}/throw`), /500$/);
      assert.match(await curl(flag!, ...show, "-X", "BREW", "-o", "/dev/null", url), /405$/);
    }
    assert.equal(
      server.log.lines.filter((line) => line.includes("thrown over TLS")).length,
      2,
    );
  });

  test("HTTP-35 HTTP-15 a reset HTTP/2 stream ends its producer, and the connection goes on", async () => {
    const ended = Promise.withResolvers<void>();
    const tls = await testTls();
    await using server = await startTestFront(kind, (_req, ctx) => {
      if (ctx.path === "/after") return new Response("after");
      return new Response(
        new ReadableStream({
          pull(controller) {
            controller.enqueue(new Uint8Array(1000));
          },
          cancel: () => ended.resolve(),
        }),
      );
    }, { tls });
    using client = await RawHttp2.connect(server.port, tls.cert);
    const isData = (id: number) => ({ type, stream }: Frame) =>
      type === FRAME.DATA && stream === id;
    await client.send(
      frame(FRAME.HEADERS, 5, 1, requestBlock("GET", "/endless")),
      frame(FRAME.WINDOW_UPDATE, 0, 0, uint32(1 << 24)),
    );
    await client.until(isData(1), "the beginning");
    await client.send(frame(FRAME.RST_STREAM, 0, 1, uint32(8)));
    await ended.promise;
    await client.send(frame(FRAME.HEADERS, 5, 3, requestBlock("GET", "/after")));
    const { payload } = await client.until(isData(3), "an answer");
    assert.equal(new TextDecoder().decode(payload), "after");
  });

  test("HTTP-15 HTTP-01 a shutdown over TLS answers what was accepted on both versions", async () => {
    const release = Promise.withResolvers<void>();
    let begun = 0;
    const server = await startTestFront(kind, async () => {
      begun++;
      await release.promise;
      return new Response(streamOf("slow", " answer"));
    }, { tls: await testTls() });
    const url = `https://localhost:${server.port}`;
    const answers = ["--http2", "--http1.1"].map((flag) => curl(flag, url));
    await eventually(() => begun === 2, "both have begun");
    const closed = server.front.shutdown(20_000);
    release.resolve();
    assert.deepEqual(await Promise.all(answers), ["slow answer", "slow answer"]);
    await closed;
  });

  test("HTTP-01 HTTP-12 Python's http.client is served, plain and over TLS", async () => {
    const handler: Handler = async (req, ctx) =>
      ctx.path === "/stream"
        ? new Response(streamOf("s1 ", "s2"))
        : new Response(`${req.method} ${await req.text()}`);
    const script = `
import http.client, ssl, sys
port, tls = int(sys.argv[1]), sys.argv[2] == "tls"
c = http.client.HTTPSConnection("127.0.0.1", port, timeout=15, context=ssl._create_unverified_context()) \\
    if tls else http.client.HTTPConnection("127.0.0.1", port, timeout=15)
def ask(method, path, body=None, **kw):
    c.request(method, path, body, **kw)
    r = c.getresponse()
    return r.status, r.read().decode()
sock = None
for i in range(3):
    assert ask("POST", "/", "hello") == (200, "POST hello")
    assert sock is None or c.sock is sock, "not kept alive"
    sock = c.sock
assert ask("PUT", "/", iter([b"a", b"bc"]), encode_chunked=True) == (200, "PUT abc")
assert ask("GET", "/stream") == (200, "s1 s2")
assert ask("HEAD", "/")[1] == ""
assert ask("GET", "/") == (200, "GET ")
assert c.sock is sock, "not kept alive to the end"
print("fine")
`;
    for (const tls of [undefined, await testTls()]) {
      await using server = await startTestFront(kind, handler, { tls });
      const mode = tls === undefined ? "plain" : "tls";
      assert.equal(await run("python3", "-c", script, `${server.port}`, mode), "fine\n");
    }
  });
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function answer(text: string): Response {
  return new Response(`got ${text}`);
}

function streamOf(...parts: string[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  const rest = [...parts];
  return new ReadableStream({
    async pull(controller) {
      await Promise.resolve();
      const part = rest.shift();
      if (part === undefined) controller.close();
      else controller.enqueue(ENCODER.encode(part));
    },
  }, { highWaterMark: 0 });
}

function factsOf(ctx: RequestContext): Record<string, unknown> {
  const { path, query, hostname, scheme, httpVersion, remoteAddr, connectionId, requestId } = ctx;
  const { workerId, mountPoint } = ctx;
  assert.ok(ctx.remotePort > 0);
  return {
    path,
    query,
    hostname,
    scheme,
    httpVersion,
    remoteAddr,
    connectionId,
    requestId,
    workerId,
    mountPoint,
  };
}

export type { TestFront };

/** Sockets of this process. */
function openSockets(): number {
  let count = 0;
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      if (Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith("socket:")) count++;
    } catch (error) {
      // The directory itself was open while it was read.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return count;
}
