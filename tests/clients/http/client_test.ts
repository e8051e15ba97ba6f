import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import zlib from "node:zlib";
import type { Outcome } from "../../../src/clients/contract.ts";
import { HttpClient } from "../../../src/clients/http/client.ts";
import type { HttpRequest } from "../../../src/clients/http/request.ts";
import { Stop, type StopListener } from "../../../src/core/stop.ts";
import { freePort } from "../../_support/free_port.ts";
import { makeCertificates, rawBackend, until } from "../../_support/raw_backend.ts";

function send(
  client: HttpClient,
  url: string,
  init: Partial<HttpRequest> = {},
): Promise<Outcome> {
  const request = { method: "GET", headers: [], body: null, ...init, url };
  return client.send(request, AbortSignal.timeout(20_000));
}

function text(outcome: Outcome): string {
  return new TextDecoder().decode(outcome.content ?? new Uint8Array());
}

/** A `Deno.serve` backend on a free port. */
function serve(
  handler: (req: Request) => Response | Promise<Response>,
  tls?: { cert: string; key: string },
): { origin: string; server: Deno.HttpServer } & AsyncDisposable {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {}, ...tls }, handler);
  return {
    origin: `http${tls ? "s" : ""}://127.0.0.1:${server.addr.port}`,
    server,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Answers raw bytes to every connection. */
function answering(bytes: string | Uint8Array) {
  return rawBackend(async (conn) => {
    await conn.request();
    await conn.write(bytes);
  });
}

Deno.test("WAS-22 connections are kept and shared per origin", async () => {
  const peers = new Set<string>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (_req, info) => {
    peers.add(`${info.remoteAddr.port}`);
    return new Response("hello");
  });
  const url = `http://127.0.0.1:${server.addr.port}/`;
  {
    await using client = new HttpClient();
    for (let i = 0; i < 20; i++) equal(text(await send(client, url)), "hello");
    equal(peers.size, 1);
    deepEqual(client.stats(), { open: 1, busy: 0 });
    await Promise.all(Array.from({ length: 8 }, () => send(client, url)));
    ok(peers.size > 1 && peers.size <= 8);
    client.maintain();
    deepEqual(client.stats(), { open: peers.size, busy: 0 });
  }
  await server.shutdown();
});

Deno.test("WAS-21 an idle connection past its time is replaced, and swept by maintain", async () => {
  await using backend = serve(() => new Response("hello"));
  let seconds = 1200;
  await using client = new HttpClient({ keepAliveSeconds: () => seconds });
  await send(client, `${backend.origin}/`);
  equal(client.stats().open, 1);
  seconds = 0;
  client.maintain();
  equal(client.stats().open, 0);
});

Deno.test("WAS-21 the time a backend announces is believed", async () => {
  await using backend = rawBackend(async (conn) => {
    while (await conn.request() !== undefined) {
      await conn.write("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 0\r\n\r\n");
    }
  });
  await using client = new HttpClient();
  for (let i = 1; i <= 3; i++) {
    equal((await send(client, `${backend.origin}/`, { method: "POST" })).statusCode, 200);
    equal(backend.accepted, i);
  }
});

Deno.test("WAS-13 gzip, deflate, raw deflate and brotli are undone, several too", async () => {
  const plain = "hällo ".repeat(2000);
  const bytes = new TextEncoder().encode(plain);
  const codings: Record<string, Uint8Array> = {
    gzip: zlib.gzipSync(bytes),
    "x-gzip": zlib.gzipSync(bytes),
    deflate: zlib.deflateSync(bytes),
    Deflate: zlib.deflateRawSync(bytes),
    br: zlib.brotliCompressSync(bytes),
    "gzip, br": zlib.brotliCompressSync(zlib.gzipSync(bytes)),
    identity: bytes,
  };
  await using backend = serve((req) => {
    equal(req.headers.get("accept-encoding"), "gzip, deflate, br");
    const coding = decodeURIComponent(new URL(req.url).search.slice(1));
    const headers = { "content-encoding": coding, "content-type": "text/plain" };
    return new Response(codings[coding] as BodyInit, { headers });
  });
  await using client = new HttpClient();
  for (const coding of Object.keys(codings)) {
    const outcome = await send(client, `${backend.origin}/?${encodeURIComponent(coding)}`);
    equal(text(outcome), plain, coding);
  }
});

Deno.test("WAS-13 large compressed bodies are decoded, bombs and damage are not", async () => {
  const noise = crypto.getRandomValues(new Uint8Array(60_000));
  const bodies: Record<string, Uint8Array> = {
    large: zlib.gzipSync(noise),
    bomb: zlib.gzipSync(new Uint8Array(1_000_000)),
    damaged: zlib.gzipSync(noise).subarray(0, 500),
    huge: zlib.gzipSync(crypto.getRandomValues(new Uint8Array(50_000))),
  };
  await using backend = serve((req) =>
    new Response(bodies[new URL(req.url).pathname.slice(1)] as BodyInit, {
      headers: { "content-encoding": "gzip" },
    })
  );
  await using client = new HttpClient();
  deepEqual((await send(client, `${backend.origin}/large`)).content, noise);
  const bomb = await send(client, `${backend.origin}/bomb`, { maxBytes: 100_000 });
  deepEqual([bomb.status, bomb.statusCode], [2, 719]);
  const huge = await send(client, `${backend.origin}/huge`, { maxBytes: 49_000 });
  deepEqual([huge.status, huge.statusCode], [2, 719]);
  const damaged = await send(client, `${backend.origin}/damaged`);
  deepEqual([damaged.status, damaged.statusCode], [2, 701]);
});

Deno.test("WAS-13 a body is not decoded more often than anybody encodes", async () => {
  const encode = (times: number) => {
    let body = new TextEncoder().encode("hi");
    for (let i = 0; i < times; i++) body = new Uint8Array(zlib.gzipSync(body));
    return body as BodyInit;
  };
  await using backend = serve((req) => {
    const times = Number(new URL(req.url).pathname.slice(1));
    const headers = { "content-encoding": Array(times).fill("gzip").join(", ") };
    return new Response(encode(times), { headers });
  });
  await using client = new HttpClient();
  equal(text(await send(client, `${backend.origin}/5`)), "hi");
  const often = await send(client, `${backend.origin}/6`);
  deepEqual([often.status, often.statusCode], [2, 701]);
});

Deno.test("WAS-22 WAS-13 a request whose answer is damaged is not sent again", async () => {
  const damaged = new Uint8Array(40_000).fill(65);
  damaged.set([0x1f, 0x8b, 8, 0]);
  const paths: string[] = [];
  await using backend = serve((req) => {
    paths.push(new URL(req.url).pathname);
    return new Response(damaged, { headers: { "content-encoding": "gzip" } });
  });
  // a damage is found when the connection may be busy with the next request
  await using client = new HttpClient({ maxConnections: 2 });
  const asked = Array.from({ length: 50 }, (_, i) => send(client, `${backend.origin}/${i}`));
  const outcomes = await Promise.all(asked);
  deepEqual(new Set(outcomes.map(({ statusCode }) => statusCode)), new Set([701]));
  ok(outcomes.every(({ undelivered }) => undelivered !== true));
  equal(paths.length, 50);
});

Deno.test("WAS-13 a body in the smallest of chunks takes no more memory than one in large ones", async () => {
  const count = 1_000_000;
  const backendOf = (chunks: string, times: number) =>
    rawBackend(async (conn) => {
      await conn.request();
      await conn.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      const bytes = new TextEncoder().encode(chunks);
      for (let i = 0; i < times; i++) await conn.write(bytes);
      await conn.write("0\r\n\r\n");
    });
  await using backend = backendOf("1\r\nx\r\n".repeat(10_000), count / 10_000);
  await using client = new HttpClient();
  const { content } = await send(client, `${backend.origin}/`);
  equal(content?.length, count);
  ok(content.every((byte) => byte === 120));
  const { body } = await send(client, `${backend.origin}/`, { stream: true });
  let parts = 0;
  let size = 0;
  for await (const part of body!) {
    parts++;
    size += part.length;
  }
  equal(size, count);
  // of what is read at once there is one part, whatever the chunks
  ok(parts < count / 100, `${parts} parts`);
});

Deno.test("WAS-13 bodies of every framing arrive whole, also larger than any buffer", async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(65_536));
  const large = new Uint8Array(2_000_000);
  for (let at = 0; at < large.length; at += bytes.length) {
    large.set(bytes.subarray(0, large.length - at), at);
  }
  await using backend = serve((req) => {
    const chunked = req.url.endsWith("/chunked");
    return new Response(chunked ? ReadableStream.from([large, bytes]) : large);
  });
  await using client = new HttpClient();
  deepEqual((await send(client, `${backend.origin}/length`)).content, large);
  const chunked = (await send(client, `${backend.origin}/chunked`)).content!;
  equal(chunked.length, large.length + bytes.length);
  deepEqual(chunked.subarray(large.length), bytes);
  await using closing = rawBackend(async (conn) => {
    await conn.request();
    await conn.write("HTTP/1.0 200 OK\r\n\r\n");
    await conn.write(large);
  });
  deepEqual((await send(client, `${closing.origin}/`)).content, large);
});

Deno.test("RES-10 every way to fail has its code and status 2", async () => {
  await using garbage = answering("SSH-2.0-OpenSSH\r\n");
  await using plain = rawBackend((conn) => conn.write("220 mail ready\r\n"));
  await using smuggle = answering(
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  );
  await using silent = answering("");
  await using short = answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
  await using big = answering(`HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789`);
  await using endless = answering(`HTTP/1.1 200 OK\r\n\r\n${"x".repeat(1000)}`);
  await using client = new HttpClient();
  const cases: [string, string, number, Partial<HttpRequest>?][] = [
    ["refused", `http://127.0.0.1:${freePort()}/`, 714],
    ["no such name", "http://no-such-host.invalid/", 704],
    ["no TLS there", `https://127.0.0.1:${plain.port}/`, 713],
    ["garbage", `${garbage.origin}/`, 715],
    ["two lengths", `${smuggle.origin}/`, 715],
    ["no answer", `${silent.origin}/`, 708],
    ["half a body", `${short.origin}/`, 700],
    ["body too large", `${big.origin}/`, 719, { maxBytes: 9 }],
    ["endless body", `${endless.origin}/`, 719, { maxBytes: 999 }],
  ];
  for (const [name, url, code, init] of cases) {
    const outcome = await send(client, url, init);
    deepEqual([outcome.status, outcome.statusCode], [2, code], name);
    equal(outcome.content, null);
    ok(outcome.error instanceof Error, name);
  }
  equal(client.stats().open, 0);
});

Deno.test("WAS-23 an address that is none gives status -1", async () => {
  await using client = new HttpClient();
  for (const url of ["ftp://a.test/", "http://", "nonsense", "http://a:1:2/"]) {
    const outcome = await send(client, url);
    deepEqual([outcome.status, outcome.statusCode], [-1, 701], url);
    match(outcome.error!.message, /expected an http or https URL/);
  }
});

Deno.test("WAS-12 redirects are followed and listed, with the method the code asks for", async () => {
  await using backend = serve(async (req) => {
    const url = new URL(req.url);
    const code = Number(url.pathname.slice(1));
    const headers = { location: `/end?from=${code}`, "content-type": "text/plain" };
    if (code) return new Response("moved", { status: code, headers });
    return Response.json([
      req.method,
      await req.text(),
      req.headers.get("content-type"),
      req.headers.get("content-length"),
    ]);
  });
  await using client = new HttpClient();
  const body = new TextEncoder().encode("data");
  const headers = ["content-type", "text/plain"];
  const got = async (method: string, code: number) => {
    const init = method === "GET" || method === "HEAD" ? {} : { body, headers };
    const outcome = await send(client, `${backend.origin}/${code}`, { method, ...init });
    equal(outcome.statusCode, 200);
    equal(outcome.url, `${backend.origin}/end?from=${code}`);
    deepEqual(outcome.history?.map((one) => [one.statusCode, text(one)]), [
      [code, method === "HEAD" ? "" : "moved"],
    ]);
    return method === "HEAD" ? [] : JSON.parse(text(outcome));
  };
  const sent = ["data", "text/plain", "4"];
  const asGet = ["GET", "", null, null];
  for (const code of [301, 302, 303, 307, 308]) {
    deepEqual(await got("GET", code), asGet);
    deepEqual(await got("HEAD", code), []);
    deepEqual(await got("POST", code), code >= 307 ? ["POST", ...sent] : asGet);
    deepEqual(await got("PUT", code), code >= 307 ? ["PUT", ...sent] : asGet);
    deepEqual(await got("DELETE", code), code === 303 ? asGet : ["DELETE", ...sent]);
  }
});

Deno.test("WAS-12 five redirects are followed, the sixth is the answer; XML-RPC is left alone", async () => {
  await using backend = serve((req) => {
    const step = Number(new URL(req.url).pathname.slice(1));
    return new Response(null, { status: 302, headers: { location: `/${step + 1}` } });
  });
  await using client = new HttpClient();
  const outcome = await send(client, `${backend.origin}/1`);
  deepEqual([outcome.status, outcome.statusCode], [3, 302]);
  equal(outcome.history?.length, 5);
  deepEqual((await send(client, `${backend.origin}/1`, { maxRedirects: 0 })).history, []);
  const call: Partial<HttpRequest> = {
    method: "POST",
    headers: ["content-type", "text/xml; charset=utf-8"],
    body: new TextEncoder().encode("<methodCall/>"),
  };
  const rpc = await send(client, `${backend.origin}/1`, call);
  deepEqual([rpc.statusCode, rpc.history?.length ?? 0], [302, 0]);
});

Deno.test("WAS-12 redirects elsewhere lose credentials; odd targets are the answer", async () => {
  await using other = serve((req) => Response.json([...req.headers]));
  await using backend = serve((req) => {
    const where = new URL(req.url).pathname;
    const location = where === "/away"
      ? `${other.origin}/`
      : where === "/file"
      ? "file:///etc/passwd"
      : where === "/bad"
      ? "http://"
      : "/here";
    return where === "/here"
      ? Response.json([...req.headers])
      : new Response(null, { status: 307, headers: { location } });
  });
  await using client = new HttpClient();
  const headers = ["authorization", "secret", "cookie", "a=1", "x-a", "b"];
  const names = async (path: string, init: Partial<HttpRequest>) => {
    const outcome = await send(client, `${backend.origin}${path}`, init);
    return (JSON.parse(text(outcome)) as [string, string][]).map(([name]) => name);
  };
  const away = await names("/away", { headers });
  ok(away.includes("x-a") && !away.includes("authorization") && !away.includes("cookie"));
  const here = await names("/x", { headers });
  ok(here.includes("authorization") && here.includes("cookie"));
  ok(!(await names("/away", { auth: ["token"] })).includes("authorization"));
  ok((await names("/x", { auth: ["token"] })).includes("authorization"));
  for (const path of ["/file", "/bad"]) {
    const outcome = await send(client, `${backend.origin}${path}`);
    deepEqual([outcome.status, outcome.statusCode, outcome.history], [3, 307, []]);
  }
});

Deno.test("WAS-11 basic: sent when asked for, and at once afterwards", async () => {
  let asked = 0;
  const right = `Basic ${btoa("us\xc3\xa9r:p:w")}`;
  await using backend = serve(async (req) => {
    const body = await req.text();
    if (req.headers.get("authorization") === right) return new Response(`welcome ${body}`);
    asked++;
    return new Response("who?", {
      status: 401,
      headers: { "www-authenticate": 'Newauth a=1, Basic realm="x, y", charset="UTF-8"' },
    });
  });
  await using client = new HttpClient();
  const body = new TextEncoder().encode("data");
  const post = { method: "POST", body };
  equal((await send(client, `${backend.origin}/`, post)).statusCode, 401);
  const auth: [string, string] = ["usér", "p:w"];
  for (let i = 0; i < 3; i++) {
    equal(text(await send(client, `${backend.origin}/`, { ...post, auth })), "welcome data");
  }
  equal(asked, 2);
  const wrong = await send(client, `${backend.origin}/`, { ...post, auth: ["usér", "no"] });
  deepEqual([wrong.status, wrong.statusCode, asked], [3, 401, 4]);
  const inUrl = backend.origin.replace("://", "://us%C3%A9r:p%3Aw@");
  equal(text(await send(client, `${inUrl}/`)), "welcome ");
});

Deno.test("WAS-11 a token alone is sent as Bearer", async () => {
  await using backend = serve((req) => new Response(req.headers.get("authorization")));
  await using client = new HttpClient();
  equal(text(await send(client, `${backend.origin}/`, { auth: ["t.o.k"] })), "Bearer t.o.k");
});

Deno.test("WAS-11 digest: curl's server-side twin is answered, in all algorithms", async () => {
  const { createHash } = await import("node:crypto");
  for (const algorithm of ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", undefined]) {
    let nonce = "n1";
    let stale = false;
    const counts: string[] = [];
    const md = (value: string) =>
      createHash(algorithm?.startsWith("SHA") ? "sha256" : "md5").update(value).digest("hex");
    const accepts = (req: Request): boolean => {
      const header = req.headers.get("authorization") ?? "";
      const field = (name: string) =>
        new RegExp(`(?:^|[ ,])${name}="?([^",]*)`).exec(header)?.[1] ?? "";
      if (!header.startsWith("Digest ") || field("nonce") !== nonce) return false;
      let ha1 = md(`user:a "realm":pass`);
      if (algorithm?.endsWith("-sess")) ha1 = md(`${ha1}:${nonce}:${field("cnonce")}`);
      const ha2 = md(`${req.method}:${field("uri")}`);
      counts.push(field("nc"));
      const { pathname, search } = new URL(req.url);
      return field("uri") === pathname + search && field("opaque") === "op" &&
        field("response") ===
          md(`${ha1}:${nonce}:${field("nc")}:${field("cnonce")}:auth:${ha2}`);
    };
    await using backend = serve((req) => {
      if (accepts(req)) return new Response("welcome");
      const fields = `realm="a \\"realm\\"", nonce="${nonce}", qop="auth,auth-int", opaque="op"` +
        (algorithm ? `, algorithm=${algorithm}` : "") + (stale ? ", stale=true" : "");
      return new Response("who?", {
        status: 401,
        headers: { "www-authenticate": `Basic realm="weak", Digest ${fields}` },
      });
    });
    await using client = new HttpClient();
    const auth: [string, string] = ["user", "pass"];
    const url = `${backend.origin}/a?b=c`;
    for (let i = 0; i < 3; i++) equal(text(await send(client, url, { auth })), "welcome");
    deepEqual(counts, ["00000001", "00000002", "00000003"], algorithm);
    nonce = "n2";
    stale = true;
    equal(text(await send(client, url, { auth })), "welcome");
    const wrong = await send(client, url, { auth: ["user", "wrong"] });
    equal(wrong.statusCode, 401);
  }
});

Deno.test("WAS-22 TLS: a certificate is checked against the system's and the given ones", async () => {
  const certificates = await makeCertificates();
  await using backend = serve((req) => new Response(`over ${req.url}`), certificates);
  await using client = new HttpClient();
  const caCerts = [certificates.ca];
  for (const host of ["127.0.0.1", "localhost"]) {
    const origin = backend.origin.replace("127.0.0.1", host);
    const trusted = await send(client, `${origin}/x`, { caCerts });
    equal(text(trusted), `over ${origin}/x`);
    equal(trusted.node, origin.slice(8));
    const stranger = await send(client, `${origin}/x`);
    deepEqual([stranger.status, stranger.statusCode], [2, 713]);
  }
  const repeated = await send(client, `${backend.origin}/y`, { caCerts });
  equal(text(repeated), `over ${backend.origin}/y`);
  equal(client.stats().open, 2);
});

Deno.test("RES-12 a stream is read as it arrives and gives its connection back", async () => {
  let more!: () => void;
  const wait = new Promise<void>((resolve) => more = resolve);
  await using backend = serve(() =>
    new Response(
      new ReadableStream({
        async start(controller) {
          controller.enqueue(new TextEncoder().encode("first"));
          await wait;
          controller.enqueue(new TextEncoder().encode("second"));
          controller.close();
        },
      }),
    )
  );
  await using client = new HttpClient();
  const outcome = await send(client, `${backend.origin}/`, { stream: true });
  equal(outcome.content, null);
  const reader = outcome.body!.getReader();
  equal(new TextDecoder().decode((await reader.read()).value), "first");
  deepEqual(client.stats(), { open: 1, busy: 1 });
  more();
  equal(new TextDecoder().decode((await reader.read()).value), "second");
  equal((await reader.read()).done, true);
  deepEqual(client.stats(), { open: 1, busy: 0 });
});

Deno.test("RES-12 a stream that is given up closes its connection, one that breaks says so", async () => {
  let gone = false;
  await using endless = rawBackend(async (conn) => {
    await conn.request();
    await conn.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    await conn.drained();
    gone = true;
  });
  await using client = new HttpClient();
  const outcome = await send(client, `${endless.origin}/`, { stream: true });
  await outcome.body!.cancel();
  await until("the backend sees the end", () => gone);
  equal(client.stats().open, 0);

  await using broken = answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
  const half = await send(client, `${broken.origin}/`, { stream: true });
  let read = "";
  let error: unknown;
  try {
    for await (const part of half.body!) read += new TextDecoder().decode(part);
  } catch (thrown) {
    error = thrown;
  }
  equal(read, "half");
  match(String(error), /middle of the body/);
  equal(client.stats().open, 0);
});

Deno.test("RES-12 WAS-22 a stream nobody reads gives its place back when the request is given up", async () => {
  await using backend = rawBackend(async (conn) => {
    await conn.request();
    await conn.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    await conn.drained();
  });
  await using client = new HttpClient({ maxConnections: 1 });
  for (let i = 0; i < 3; i++) {
    const stop = new Stop();
    const request = { method: "GET", url: backend.origin, headers: [], body: null, stream: true };
    const { status, body } = await client.send(request, stop);
    equal(status, 3);
    deepEqual(client.stats(), { open: 1, busy: 1 });
    stop.abort(new Error("enough"));
    deepEqual(client.stats(), { open: 0, busy: 0 });
    await rejects(new Response(body).text(), { statusCode: 700 });
  }
});

Deno.test("WAS-10 RES-12 a stream is no larger than the request allows", async () => {
  await using client = new HttpClient();
  await using known = answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789");
  const refused = await send(client, `${known.origin}/`, { stream: true, maxBytes: 8 });
  deepEqual([refused.status, refused.statusCode], [2, 719]);
  const taken = await send(client, `${known.origin}/`, { stream: true, maxBytes: 9 });
  equal(await new Response(taken.body).text(), "123456789");

  await using chunked = answering(
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n4\r\n6789\r\n0\r\n\r\n",
  );
  const late = await send(client, `${chunked.origin}/`, { stream: true, maxBytes: 8 });
  equal(late.statusCode, 200);
  await rejects(new Response(late.body).text(), { statusCode: 719 });
  equal(client.stats().busy, 0);
});

Deno.test("WAS-04 a streamed body is sent by length or chunked, and checked against its length", async () => {
  await using backend = serve(async (req) =>
    Response.json([
      req.headers.get("content-length"),
      req.headers.get("transfer-encoding"),
      await req.text().catch(() => "broken off"),
    ])
  );
  await using client = new HttpClient();
  const parts = ["one ", "", "two"].map((part) => new TextEncoder().encode(part));
  const body = (length: number) => ({
    length,
    replayable: true,
    chunks: () => ReadableStream.from(parts) as AsyncIterable<Uint8Array>,
  });
  const post = (length: number) =>
    send(client, `${backend.origin}/`, { method: "POST", body: body(length) });
  deepEqual(JSON.parse(text(await post(7))), ["7", null, "one two"]);
  deepEqual(JSON.parse(text(await post(-1))), [null, "chunked", "one two"]);
  for (const wrong of [6, 8]) {
    const outcome = await post(wrong);
    equal(outcome.status, 2, `length ${wrong}`);
    match(outcome.error!.message, /request body/);
  }
});

/** Is given so many microtasks after nobody listens any more. */
class LateStop extends Stop {
  readonly #turns: number;

  constructor(turns: number) {
    super();
    this.#turns = turns;
  }

  override removeEventListener(type: "abort", listener: StopListener): void {
    super.removeEventListener(type, listener);
    const wait = (left: number): void => {
      if (left === 0) this.abort();
      else queueMicrotask(() => wait(left - 1));
    };
    wait(this.#turns);
  }
}

Deno.test("WAS-22 a request given up while it gets its connection ends there", async () => {
  await using backend = rawBackend(async (conn) => {
    for (let request = await conn.request(); request; request = await conn.request()) {
      if (request.head.startsWith("GET /hang")) return await conn.drained();
      await conn.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    }
  });
  for (let turns = 1; turns <= 12; turns++) {
    await using client = new HttpClient({ maxConnections: 1 });
    const first = send(client, `${backend.origin}/`);
    const hang = { method: "GET", url: `${backend.origin}/hang`, headers: [], body: null };
    // it waits for the only connection, and would never be answered
    let second: Outcome | undefined;
    const ended = client.send(hang, new LateStop(turns)).then((outcome) => second = outcome);
    equal((await first).status, 3);
    await until("the second has ended", () => second !== undefined);
    equal((await ended).status, 1);
    equal(client.stats().busy, 0);
  }
});

Deno.test("WAS-22 connections that are there when nobody wants them any more are closed", async () => {
  let open = 0;
  await using backend = rawBackend(async (conn) => {
    open++;
    await conn.drained();
    open--;
  });
  await using client = new HttpClient();
  const hang = { method: "GET", url: `${backend.origin}/`, headers: [], body: null };
  // given up at any moment of connecting, which takes about as long
  for (let round = 0; round < 100; round++) {
    const asked = Array.from({ length: 20 }, (_, i) => {
      const stop = new Stop();
      setTimeout(() => stop.abort(), i / 10);
      return client.send(hang, stop);
    });
    for (const { status } of await Promise.all(asked)) equal(status, 1);
  }
  deepEqual(client.stats(), { open: 0, busy: 0 });
  await until("the backend sees the end of all", () => open === 0);
});

Deno.test("WAS-22 closing the client ends what is under way and leaves nothing open", async () => {
  let taken = false;
  await using backend = rawBackend(async (conn) => {
    await conn.request();
    taken = true;
    await conn.drained();
  });
  const client = new HttpClient();
  const pending = send(client, `${backend.origin}/`);
  await until("the request is taken", () => taken);
  await client[Symbol.asyncDispose]();
  const outcome = await pending;
  equal(outcome.status, 2);
  const late = await send(client, `${backend.origin}/`);
  equal(late.status, 2);
  match(late.error!.message, /closed/);
});

Deno.test("WAS-22 an idle connection does not keep the process alive", async () => {
  await using backend = serve(() => new Response("hello"));
  const module = new URL("../../../src/clients/http/client.ts", import.meta.url).href;
  const script = `
    const { HttpClient } = await import(${JSON.stringify(module)});
    const client = new HttpClient();
    const request = { method: "GET", url: ${JSON.stringify(`${backend.origin}/`)} };
    const sent = { ...request, headers: [], body: null };
    const outcome = await client.send(sent, new AbortController().signal);
    console.log(outcome.statusCode, client.stats().open);
  `;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", script],
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(20_000),
  });
  const { success, stdout, stderr } = await child.output();
  ok(success, new TextDecoder().decode(stderr));
  equal(new TextDecoder().decode(stdout).trim(), "200 1");
});
