import assert from "node:assert/strict";
import { Atila } from "../../src/atila/mod.ts";
import { compose } from "../../src/core/handler.ts";
import { compression } from "../../src/middleware/compression.ts";
import { errorGuard } from "../../src/middleware/error_guard.ts";
import { ask, run, startTestFront, testTls } from "../_support/fronts.ts";
import { listLog } from "../_support/list_log.ts";

Deno.test("RSP-17 a fault sets the status and says code, message and what else there is", async () => {
  const app = new Atila(import.meta.url);
  app.route("/<kind>", (was, { kind }) => {
    const { response } = was;
    switch (kind) {
      case "plain":
        return response.Fault("404 Not Found", "no such pet");
      case "silent":
        return response.Fault(409);
      case "own":
        return response.Fault(400, "bad name", {
          code: 40_007,
          debug: "letters only",
          moreInfo: { field: "name", at: new Date(0) },
        });
      case "positions":
        return response.Fault("422 Unprocessable", "bad", 42_201, "look here", ["more"]);
      case "fault":
        return response.fault("400 Bad Request", "old name");
      case "older":
        return response.for_api("400 Bad Request", "older name");
      case "late": {
        const api = response.Fault("503 Service Unavailable", "later");
        api.set("retry", 5);
        return api;
      }
      case "data":
        return response.Fault("201 Created", { id: 7 });
      default:
        return response.Fault("200 OK", "fine");
    }
  });
  const client = app.makeClient();
  const get = async (kind: string, accept?: string) => {
    const answer = await client.get(
      `/${kind}`,
      accept === undefined ? {} : { headers: { accept } },
    );
    return {
      status: answer.statusCode,
      data: answer.data,
      type: answer.headers.get("content-type")!.split(";")[0],
    };
  };
  assert.deepEqual(await get("plain"), {
    status: 404,
    data: { code: 40_400, message: "no such pet" },
    type: "application/json",
  });
  assert.deepEqual((await get("silent")).data, { code: 40_900, message: "Conflict" });
  assert.deepEqual((await get("own")).data, {
    code: 40_007,
    message: "bad name",
    debug: "letters only",
    more_info: { field: "name", at: "1970-01-01T00:00:00.000Z" },
  });
  assert.deepEqual(await get("positions"), {
    status: 422,
    data: { code: 42_201, message: "bad", debug: "look here", more_info: ["more"] },
    type: "application/json",
  });
  assert.deepEqual((await get("fault")).data, { code: 40_000, message: "old name" });
  assert.deepEqual((await get("older")).data, { code: 40_000, message: "older name" });
  assert.deepEqual((await get("late")).data, { code: 50_300, message: "later", retry: 5 });
  // With a good status it is data like any other.
  assert.deepEqual(await get("data"), {
    status: 201,
    data: { id: 7 },
    type: "application/json",
  });
  assert.deepEqual((await get("good")).data, { message: "fine" });
  const xml = await get("plain", "text/xml");
  assert.equal(xml.status, 404);
  assert.match(xml.data, /no such pet/);
});

Deno.test("RSP-17 bad statuses, codes and options are refused", async () => {
  const app = new Atila(import.meta.url);
  const tries: string[] = [];
  app.route("/", (was) => {
    for (
      const action of [
        () => was.response.Fault("nonsense", "x"),
        () => was.response.Fault(400, "x", { code: 1.5 }),
        () => was.response.Fault(400, "x", { more_info: 1 } as never),
      ]
    ) {
      try {
        action();
        tries.push("accepted");
      } catch (error) {
        tries.push((error as Error).message);
      }
    }
    was.response.setStatus(200);
    return "";
  });
  assert.equal((await app.makeClient().get("/")).statusCode, 200);
  assert.match(tries[0]!, /nonsense/);
  assert.match(tries[1]!, /whole number, not 1\.5/);
  assert.match(tries[2]!, /unknown option "more_info"; known are code, debug, moreInfo/);
});

Deno.test("RSP-18 a fault tells its stack when it is told to, or when the app shows its errors", async () => {
  const app = new Atila(import.meta.url);
  app.route("/<how>", (was, { how }) => {
    try {
      JSON.parse("{");
      return "never";
    } catch (error) {
      const caught = new RangeError("outer", { cause: error });
      switch (how) {
        case "told":
          return was.response.Fault(500, "broken", { error: caught, traceback: true });
        case "positions":
          return was.response.Fault(500, "broken", undefined, undefined, undefined, caught, {
            traceback: true,
          });
        case "here":
          return was.response.Fault(500, "broken", { traceback: true });
        case "never":
          return was.response.Fault(500, "broken", { error: caught, traceback: false });
        default:
          return was.response.Fault(500, "broken", { error: caught });
      }
    }
  });
  const client = app.makeClient();
  for (const how of ["told", "positions"]) {
    const { data } = await client.get(`/${how}`);
    assert.equal(data.code, 50_090);
    assert.equal(data.message, "broken");
    assert.equal(data.debug, "see traceback");
    assert.equal(data.traceback[0], "RangeError: outer");
    assert.match(data.traceback[1], /^at .*faults_test\.ts/);
    assert.ok(data.traceback.some((line: string) => line.startsWith("Caused by: SyntaxError")));
  }
  const { data: here } = await client.get("/here");
  assert.equal(here.traceback[0], "Error: broken");
  for (const how of ["quiet", "never"]) {
    assert.deepEqual((await client.get(`/${how}`)).data, { code: 50_000, message: "broken" });
  }
  app.debug = true;
  assert.equal((await client.get("/quiet")).data.traceback[0], "RangeError: outer");
  assert.deepEqual((await client.get("/never")).data, { code: 50_000, message: "broken" });
});

Deno.test("RSP-20 setCache says how long to keep a response, to old clients in their own way", async () => {
  const app = new Atila(import.meta.url);
  const tries: string[] = [];
  app.route("/", (was) => {
    was.response.setHeader("cache-control", "no-store");
    was.response.setCache(5);
    was.response.setCache(60);
    for (const bad of [-1, 1.5, NaN, "60" as never]) {
      try {
        was.response.setCache(bad);
        tries.push("accepted");
      } catch (error) {
        tries.push(String(error));
      }
    }
    return "kept";
  });
  app.route("/none", (was) => (was.response.setCache(0), "not kept"));
  await using server = await startTestFront("edge", app.handle);
  const modern = await ask(server.port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  assert.match(modern, /\r\ncache-control: max-age=60\r\n/i);
  assert.doesNotMatch(modern, /expires|no-store/i);
  assert.deepEqual(
    tries,
    ["-1", "1.5", "NaN", '"60"'].map((bad) =>
      `RangeError: Cannot cache for ${bad} seconds: expected a whole number from 0`
    ),
  );
  const old = await ask(server.port, "GET / HTTP/1.0\r\n\r\n");
  assert.doesNotMatch(old, /cache-control/i);
  const [, expires] = /\r\nexpires: (.*)\r\n/i.exec(old)!;
  const [, date] = /\r\ndate: (.*)\r\n/i.exec(old)!;
  const kept = (Date.parse(expires!) - Date.parse(date!)) / 1000;
  assert.ok(kept >= 59 && kept <= 61, `${kept}`);
  const none = await ask(server.port, "GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  assert.match(none, /max-age=0/);
});

/** An app whose responses have fields after the body. */
function withTrailers(): { app: Atila; results: Map<string, unknown> } {
  const app = new Atila(import.meta.url);
  const results = new Map<string, unknown>();
  app.route("/text", (was) => {
    results.set("text", was.response.setTrailer("X-First", "old"));
    was.response.setTrailer("x-first", 1);
    was.response.setTrailer("Grpc-Status", "0");
    return "body";
  });
  app.route("/large", (was) => {
    was.response.setTrailer("x-size", 3_000_000);
    return new Uint8Array(3_000_000).fill(97);
  });
  app.route("/stream", (was) => {
    was.response.setTrailer("x-count", "unknown");
    return (async function* () {
      for (let i = 0; i < 3; i++) {
        await Promise.resolve();
        yield `${i} `;
      }
      was.response.setTrailer("x-count", "3");
      was.response.setTrailer("x-late", "yes");
    })();
  });
  app.route("/compressed", (was) => {
    was.response.setTrailer("x-sum", "7");
    return "a".repeat(10_000);
  });
  app.route("/file", (was) => {
    was.response.setTrailer("x-file", "1");
    return was.response.file(import.meta.filename!, "text/plain");
  });
  app.route("/none", (was) => {
    was.response.setTrailer("x-none", "1");
    return was.response("204 No Content");
  });
  app.route("/refused", (was) => {
    const tries = [];
    for (
      const [name, value] of [
        ["content-length", "5"],
        ["Set-Cookie", "a=b"],
        ["a b", "1"],
        ["x-a", "1\r\nx-b: 2"],
      ]
    ) {
      try {
        was.response.setTrailer(name!, value!);
        tries.push("accepted");
      } catch (error) {
        tries.push((error as Error).name);
      }
    }
    return tries.join(" ");
  });
  app.route("/late", (was) =>
    (function* () {
      yield "a";
      try {
        results.set("late", was.response.setTrailer("x-late", "1"));
      } catch (error) {
        results.set("late", (error as Error).message);
      }
    })());
  return { app, results };
}

Deno.test("RSP-21 edge fields follow the body over HTTP/2", async () => {
  const { app, results } = withTrailers();
  const handler = compose([compression(), errorGuard({ log: listLog() })], app.handle);
  await using server = await startTestFront("edge", handler, { tls: await testTls() });
  /** What nghttp, which was not written here, received after the body. */
  const nghttp = async (path: string, ...args: string[]) => {
    const text = await run("nghttp", "-v", "-n", "-t", "10", ...args, server.url + path);
    const received = [...text.matchAll(/recv \(stream_id=\d+\) (\S+): (.*)/g)];
    const end = text.lastIndexOf("recv DATA");
    return {
      before: received.filter(({ index }) => index < end || end === -1).map(([, name]) => name!),
      after: Object.fromEntries(
        received.filter(({ index }) => end !== -1 && index > end).map((
          [, name, value],
        ) => [name, value]),
      ),
    };
  };
  assert.deepEqual((await nghttp("/text")).after, { "x-first": "1", "grpc-status": "0" });
  assert.equal(results.get("text"), true);
  assert.deepEqual((await nghttp("/large")).after, { "x-size": "3000000" });
  assert.deepEqual((await nghttp("/stream")).after, { "x-count": "3", "x-late": "yes" });
  assert.deepEqual((await nghttp("/file")).after, { "x-file": "1" });
  const compressed = await nghttp("/compressed", "-H", "accept-encoding: gzip");
  assert.ok(compressed.before.includes("content-encoding"));
  assert.deepEqual(compressed.after, { "x-sum": "7" });
  assert.deepEqual((await nghttp("/none")).after, {});
  const late = await nghttp("/late");
  assert.deepEqual(late.after, {});
  assert.match(String(results.get("late")), /first trailer is set before the handler returns/);
  const body = await run(
    "curl",
    "-sk",
    "--http2",
    `${server.url}/large`,
    "-o",
    "/dev/null",
    "-w",
    "%{size_download}",
  );
  assert.equal(body, "3000000");
  assert.equal(
    await run("curl", "-sk", "--http2", `${server.url}/refused`),
    "TypeError TypeError TypeError TypeError",
  );
});

Deno.test("RSP-21 edge over HTTP/1.1 they follow chunks for clients that ask, and nobody else", async () => {
  const { app, results } = withTrailers();
  await using server = await startTestFront("edge", app.handle);
  const get = (path: string, head: string) =>
    ask(server.port, `GET ${path} HTTP/1.1\r\nHost: a\r\n${head}Connection: close\r\n\r\n`);
  const asked = "TE: gzip;q=0.5, trailers\r\n";
  const text = await get("/text", asked);
  assert.match(text, /\r\ntrailer: x-first, grpc-status\r\n/);
  assert.match(text, /\r\ntransfer-encoding: chunked\r\n/);
  assert.match(text, /\r\n\r\n4\r\nbody\r\n0\r\nx-first: 1\r\ngrpc-status: 0\r\n\r\n$/);
  assert.doesNotMatch(text, /content-length/i);
  const stream = await get("/stream", asked);
  assert.match(stream, /\r\n0\r\nx-count: 3\r\nx-late: yes\r\n\r\n$/);
  assert.match(await get("/file", asked), /\r\n0\r\nx-file: 1\r\n\r\n$/);
  assert.match(await get("/none", asked), /^HTTP\/1\.1 204 [^]*\r\n\r\n$/);

  const plain = await get("/text", "");
  assert.equal(results.get("text"), false);
  assert.match(plain, /\r\ncontent-length: 4\r\n/);
  assert.match(plain, /\r\n\r\nbody$/);
  assert.doesNotMatch(plain, /x-first/);
  const old = await ask(server.port, "GET /stream HTTP/1.0\r\nTE: trailers\r\n\r\n");
  assert.match(old, /0 1 2 $/);
});

Deno.test("RSP-21 the fast front has no trailers, and says so", async () => {
  const { app, results } = withTrailers();
  await using server = await startTestFront("fast", app.handle);
  const text = await ask(
    server.port,
    "GET /text HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close\r\n\r\n",
  );
  assert.match(text, /body$/);
  assert.doesNotMatch(text, /x-first/i);
  assert.equal(results.get("text"), false);
  assert.match(
    await ask(server.port, "GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
    /2 /,
  );
});
