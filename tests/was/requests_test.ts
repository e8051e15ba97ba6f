import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import { createContext } from "../../src/core/context.ts";
import type { BackendError } from "../../src/core/errors.ts";
import { aliases, AliasRegistry } from "../../src/was/aliases.ts";
import type { Result } from "../../src/was/result.ts";
import { setBackendKeepAlive } from "../../src/was/backend_clients.ts";
import { wac } from "../../src/was/wac.ts";
import { Was } from "../../src/was/was.ts";
import { freePort } from "../_support/free_port.ts";
import { recordLogs } from "../_support/log_recorder.ts";
import { rawBackend, until } from "../_support/raw_backend.ts";

interface Echo {
  method: string;
  url: string;
  body: string;
  headers: Record<string, string>;
}

/** A backend that tells what it was asked, and the end of all clients when it is disposed. */
function echo(): { origin: string; port: number } & AsyncDisposable {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (req) => {
    const body = await req.text();
    const { pathname, search } = new URL(req.url);
    const headers = Object.fromEntries(req.headers);
    return Response.json({ method: req.method, url: pathname + search, body, headers });
  });
  return {
    origin: `http://127.0.0.1:${server.addr.port}`,
    port: server.addr.port,
    [Symbol.asyncDispose]: async () => {
      await wac.backends[Symbol.asyncDispose]();
      await server.shutdown();
    },
  };
}

Deno.test("WAS-03 WAS-08 values that have no form as text are no query and no form", async () => {
  using _logs = recordLogs();
  await using backend = echo();
  const was = new Was();
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  const date = new Date(0);
  const data = { d: date, u: new URL("http://a.test/"), n: null, l: [1, date], b: 5n };
  const expected = new URLSearchParams([
    ...[["d", date.toJSON()], ["u", "http://a.test/"], ["n", ""], ["l", "1"], ["l", date.toJSON()]],
    ["b", "5"],
  ]).toString();
  equal((await was.get<Echo>(`${backend.origin}/`, data)).data.url, `/?${expected}`);
  equal((await was.post<Echo>(`${backend.origin}/`, data, { headers })).data.body, expected);
  const bad = [{ a: 1 }, [[1]], new Date(NaN), new Map(), () => 1, Symbol("s"), new Uint8Array(2)];
  for (const x of bad) {
    for (
      const future of [was.get(backend.origin, { x }), was.post(backend.origin, { x }, { headers })]
    ) {
      const { status, reason, error } = await future;
      equal(status, -1, reason);
      match(
        error!.message,
        /^Cannot make a (query string|form) with "x": \w+ has no form as text$/,
      );
    }
  }
});

Deno.test("WAS-02 requests run side by side from the moment they are made", async () => {
  let arrived = 0;
  let answer!: () => void;
  const all = new Promise<void>((resolve) => answer = resolve);
  await using backend = rawBackend(async (conn) => {
    await conn.request();
    if (++arrived === 5) answer();
    await all;
    await conn.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  });
  const was = new Was();
  const futures = Array.from({ length: 5 }, () => was.get(`${backend.origin}/`));
  // nobody awaits yet, and still all five arrive
  await all;
  for (const future of futures) equal((await future).statusCode, 200);
  await wac.backends[Symbol.asyncDispose]();
});

Deno.test("WAS-03 data of GET, DELETE, OPTIONS and HEAD becomes the query", async () => {
  using _logs = recordLogs();
  await using backend = echo();
  const was = new Was();
  const at = async (method: "get" | "delete" | "options", path: string, data?: object | string) => {
    const { method: sent, url, body, headers } = await was[method]<Echo>(
      backend.origin + path,
      data,
    ).dataOrThrow();
    equal(body, "");
    equal(headers["content-type"], undefined);
    return [sent, url];
  };
  deepEqual(await at("get", "/a"), ["GET", "/a"]);
  deepEqual(await at("get", "/a", { q: "x y&z", n: 1, l: ["a", "b"], no: undefined, e: null }), [
    ...["GET", "/a?q=x+y%26z&n=1&l=a&l=b&e="],
  ]);
  deepEqual(await at("get", "/a?b=1", { c: 2 }), ["GET", "/a?b=1&c=2"]);
  deepEqual(await at("get", "/a?", "raw=%20&x"), ["GET", "/a?raw=%20&x"]);
  deepEqual(await at("get", "/a#frag", "b=1"), ["GET", "/a?b=1"]);
  deepEqual(await at("get", "/a", {}), ["GET", "/a"]);
  deepEqual(await at("delete", "/a", { id: 7 }), ["DELETE", "/a?id=7"]);
  deepEqual(await at("options", "/a", { id: 7 }), ["OPTIONS", "/a?id=7"]);
  const head = await was.head(`${backend.origin}/a`, { id: 7 });
  deepEqual([head.status, head.statusCode, head.text], [3, 200, ""]);
  const bytes = await was.get(`${backend.origin}/a`, new Uint8Array(1));
  deepEqual([bytes.status, bytes.statusCode], [-1, 701]);
});

Deno.test("WAS-04 WAS-07 WAS-08 bodies are encoded by their content type, JSON by default", async () => {
  using _logs = recordLogs();
  await using backend = echo();
  const was = new Was();
  const url = `${backend.origin}/`;
  const sent = async (data?: unknown, type?: string) => {
    const options = type === undefined ? {} : { headers: [["Content-Type", type]] as HeadersInit };
    const { body, headers } = await was.post<Echo>(url, data as object, options).dataOrThrow();
    return [body, headers["content-type"], headers["content-length"]];
  };
  deepEqual(await sent({ a: [1, "ü"] }), ['{"a":[1,"ü"]}', "application/json", "14"]);
  deepEqual(await sent([1]), ["[1]", "application/json", "3"]);
  deepEqual(await sent("as it is"), ["as it is", "application/json", "8"]);
  deepEqual(await sent(new TextEncoder().encode("bytes")), ["bytes", "application/json", "5"]);
  deepEqual(await sent(), ["", undefined, "0"]);
  deepEqual(await sent(""), ["", undefined, "0"]);
  const form = "application/x-www-form-urlencoded";
  deepEqual(await sent({ a: "x y", b: [1, 2] }, form), ["a=x+y&b=1&b=2", form, "13"]);
  deepEqual(await sent(new URLSearchParams({ a: "1" })), ["a=1", form, "3"]);
  deepEqual(await sent({ a: 1, b: "x" }, "text/namevalue"), ["a=1\r\nb=x", "text/namevalue", "8"]);
  deepEqual(await sent("<a/>", "text/xml"), ["<a/>", "text/xml", "4"]);
  deepEqual(await sent({ a: 1 }, "application/merge-patch+json"), [
    ...['{"a":1}', "application/merge-patch+json", "7"],
  ]);
  deepEqual(await sent(new Blob(["blob"], { type: "text/x" })), ["blob", "text/x", "4"]);
  const stream = ReadableStream.from([new TextEncoder().encode("streamed")]);
  deepEqual(await sent(stream, "text/plain"), ["streamed", "text/plain", undefined]);
  for (const method of ["put", "patch"] as const) {
    const got = await was[method]<Echo>(url, { a: 1 }).dataOrThrow();
    deepEqual([got.method, got.body], [method.toUpperCase(), '{"a":1}']);
  }
  const bad = await was.post(url, { a: 1 }, { headers: { "content-type": "text/xml" } });
  deepEqual([bad.status, bad.statusCode], [-1, 701]);
  match(bad.error!.message, /Cannot encode an object as text\/xml/);
});

Deno.test("WAS-04 WAS-05 bytes are those of the call, whatever the caller does with them", async () => {
  using _logs = recordLogs();
  await using backend = echo();
  const was = new Was();
  // the client has to be loaded, a connection to be opened; it is there; it is not enough
  for (const size of [5, 5, 1_000_000]) {
    const bytes = new Uint8Array(size).fill(97);
    const shifted = new Uint8Array(bytes.slice().buffer, 1);
    const asked = [
      was.post<Echo>(`${backend.origin}/`, bytes),
      was.put<Echo>(`${backend.origin}/`, new DataView(bytes.buffer, 1)),
      was.post<Echo>(`${backend.origin}/`, bytes.buffer),
      was.upload<Echo>(`${backend.origin}/`, { file: shifted }),
    ];
    bytes.fill(120);
    shifted.fill(120);
    const bodies = await Promise.all(asked.map(async (one) => (await one).data.body));
    const text = "a".repeat(size);
    deepEqual(bodies.slice(0, 3).map((body) => body === text || body.length), [
      true,
      size - 1,
      true,
    ]);
    ok(!bodies[1]!.includes("x"));
    ok(bodies[3]!.includes(`\r\n\r\n${text.slice(1)}\r\n`));
  }
});

Deno.test("WAS-07 an app may have other default types, a request its own", async () => {
  await using backend = echo();
  class XmlWas extends Was {
    protected override get defaultRequestType(): readonly [string, string] {
      return ["text/xml", "*/*"];
    }
  }
  const url = `${backend.origin}/`;
  const types = async (was: Was, headers?: Record<string, string>) => {
    const got = await was.post<Echo>(url, "<a/>", { headers }).dataOrThrow();
    return [got.headers["content-type"], got.headers["accept"]];
  };
  deepEqual(await types(new Was()), ["application/json", "application/json"]);
  deepEqual(await types(new XmlWas()), ["text/xml", "*/*"]);
  deepEqual(await types(new XmlWas(), { accept: "application/*" }), ["text/xml", "application/*"]);
});

Deno.test("WAS-05 an upload is a multipart form of text, bytes, blobs and open files", async () => {
  using _logs = recordLogs();
  const dir = await Deno.makeTempDir();
  const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => (i * i) >> 3);
  await Deno.writeFile(`${dir}/data.bin`, bytes);
  const got: [string, string, string, Uint8Array][] = [];
  let length = "";
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (req) => {
    length = req.headers.get("content-length") ?? "chunked";
    for (const [name, value] of await req.formData()) {
      if (typeof value === "string") got.push([name, value, "", new Uint8Array()]);
      else got.push([name, value.name, value.type, await value.bytes()]);
    }
    return new Response(null, { status: 204 });
  });
  const url = `http://127.0.0.1:${server.addr.port}/`;
  const was = new Was();
  {
    using file = await Deno.open(`${dir}/data.bin`);
    await file.seek(1000, Deno.SeekMode.Start);
    const result = await was.upload(url, {
      name: "x\r\nü",
      n: 7,
      'odd "name"': new File(["hello"], 'a "b".txt', { type: "text/plain" }),
      raw: bytes,
      blob: new Blob(["blob"]),
      many: ["1", new Blob(["2"])],
      file,
    }, { headers: { "X-A": "b" } });
    equal(result.statusCode, 204);
  }
  const none = new Uint8Array();
  const binary = "application/octet-stream";
  deepEqual(got.map((one) => one.slice(0, 3)), [
    ["name", "x\r\nü", ""],
    ["n", "7", ""],
    // as browsers escape them; the parser of this server leaves them so
    ["odd %22name%22", "a %22b%22.txt", "text/plain"],
    ["raw", "raw", binary],
    ["blob", "blob", binary],
    ["many", "1", ""],
    ["many", "many", binary],
    ["file", "file", binary],
  ]);
  deepEqual(got[0]![3], none);
  deepEqual(got[3]![3], bytes);
  deepEqual(got[7]![3], bytes.slice(1000));
  ok(Number(length) > 399_000);
  const form = new FormData();
  form.set("a", "b");
  got.length = 0;
  equal((await was.upload(url, form)).statusCode, 204);
  equal((await was.post(url, form)).statusCode, 204);
  deepEqual(got.map((one) => one.slice(0, 2)), [["a", "b"], ["a", "b"]]);
  equal((await was.upload(url, { a: { b: 1 } as never })).status, -1);
  await wac.backends[Symbol.asyncDispose]();
  await server.shutdown();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("WAS-06 WAS-11 options: headers in every form, auth, useCache, meta", async () => {
  using _logs = recordLogs();
  await using backend = echo();
  const was = new Was();
  const url = `${backend.origin}/`;
  const forms: (HeadersInit | Record<string, string>)[] = [
    [["X-A", "1"], ["Accept", "application/*"]],
    { "X-A": "1", Accept: "application/*" },
    new Headers([["X-A", "1"], ["Accept", "application/*"]]),
  ];
  for (const headers of forms) {
    const got = (await was.get<Echo>(url, undefined, { headers }).dataOrThrow()).headers;
    deepEqual([got["x-a"], got["accept"]], ["1", "application/*"]);
    match(got["user-agent"]!, /^Skitai\/\d+\.\d+$/);
  }
  const token = await was.get<Echo>(url, undefined, { auth: ["t"] }).dataOrThrow();
  equal(token.headers["authorization"], "Bearer t");
  const fresh = await was.get<Echo>(url, undefined, { useCache: false }).dataOrThrow();
  equal(fresh.headers["cache-control"], "no-cache");
  const meta = { a: 1 };
  equal((await was.get(url, undefined, { meta })).meta, meta);
  throws(() => was.get(url, undefined, { meta: { reqid: 1 } }), /"reqid" of meta is reserved/);
  throws(() => was.get(url, undefined, { auth: [] as never }), /auth is \[user, password\]/);
  throws(
    () => was.get(url, undefined, { tiemout: 3 } as never),
    /unknown option "tiemout"; known are auth, headers, useCache, meta, filter, callback, timeout/,
  );
  const bad: Record<string, string>[] = [
    { "bad name": "x" },
    { "x-a": "a\r\nx-b: c" },
    { "content-length": "5" },
    { "transfer-encoding": "chunked" },
  ];
  for (const headers of bad) {
    const result = await was.get(url, undefined, { headers });
    deepEqual([result.status, result.statusCode], [-1, 701], JSON.stringify(headers));
  }
});

Deno.test("WAS-06 RES-17 the timeout of a request closes its connection", async () => {
  using logs = recordLogs();
  let gone = false;
  await using backend = rawBackend(async (conn) => {
    await conn.request();
    await conn.drained();
    gone = true;
  });
  const result = await new Was().get(`${backend.origin}/`, undefined, { timeout: 0.05 });
  deepEqual([result.status, result.statusCode, result.data], [1, 730, null]);
  await until("the backend sees the end", () => gone);
  equal(wac.backends.stats().open, 0);
  equal(logs.entries.length, 1);
  await wac.backends[Symbol.asyncDispose]();
});

Deno.test("WAS-23 without address or with an unknown alias a call throws at once", () => {
  const was = new Was();
  for (const uri of [undefined, "", 7, null]) {
    throws(() => was.get(uri as unknown as string), /no URL or alias was given/);
  }
  throws(() => was.get("@no-such-alias/x"), /"@no-such-alias": no such alias/);
  throws(() => was.get.lb("http://a.test/"), /expected @alias\/path/);
});

Deno.test("WAS-23 whatever else is wrong gives status -1", async () => {
  using logs = recordLogs();
  aliases.define("@was-23-db", "sqlite3", "/tmp/x.db");
  const was = new Was();
  for (const uri of ["ftp://a.test/", "/relative", "http://", "@was-23-db/x"]) {
    const result = await was.get(uri);
    deepEqual([result.status, result.statusCode, result.data], [-1, 701, null], uri);
    ok(result.error instanceof TypeError);
  }
  equal(logs.entries.length, 4);
  aliases.delete("@was-23-db");
  await wac.backends[Symbol.asyncDispose]();
});

Deno.test("ALI-11 ALI-03 WAS-11 an alias gives host, base path and credentials", async () => {
  const right = `Basic ${btoa("us@r:p/w")}`;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (req) => {
    if (req.headers.get("authorization") === right) return new Response(new URL(req.url).pathname);
    return new Response(null, { status: 401, headers: { "www-authenticate": "Basic realm=x" } });
  });
  const { port } = server.addr;
  aliases.define("@ali-11", "http", `us%40r:p%2Fw@127.0.0.1:${port}/base/`);
  const was = new Was();
  for (
    const [uri, path] of [["@ali-11", "/base"], ["@ali-11/", "/base/"], ["@ali-11/a", "/base/a"]]
  ) {
    const result = await was.get(uri!);
    deepEqual([result.statusCode, result.text || result.content], [
      200,
      result.text || new TextEncoder().encode(path),
    ]);
    equal(result.text, path);
    equal(result.node, `127.0.0.1:${port}`);
    ok(!result.url.includes("@"));
  }
  const other = await was.get("@ali-11/a", undefined, { auth: ["us@r", "wrong"] });
  equal(other.statusCode, 401);
  aliases.delete("@ali-11");
  await wac.backends[Symbol.asyncDispose]();
  await server.shutdown();
});

Deno.test("WAS-18 ALI-05 requests to an alias go to the least busy member by weight", async () => {
  const counts = [0, 0];
  let arrived = 0;
  let answer!: () => void;
  const all = new Promise<void>((resolve) => answer = resolve);
  const member = (index: number) =>
    rawBackend(async (conn) => {
      await conn.request();
      counts[index]!++;
      if (++arrived === 8) answer();
      await all;
      await conn.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
  await using a = member(0);
  await using b = member(1);
  aliases.define("@was-18", "http", [`127.0.0.1:${a.port} 3`, `127.0.0.1:${b.port}`]);
  const was = new Was();
  // also when the client is still being loaded
  const futures = Array.from(
    { length: 8 },
    (_, i) => i % 2 ? was.get("@was-18/x") : was.get.lb("@was-18/x"),
  );
  await all;
  for (const future of futures) equal((await future).statusCode, 200);
  deepEqual(counts, [6, 2]);
  aliases.delete("@was-18");
  await wac.backends[Symbol.asyncDispose]();
});

Deno.test("ALI-12 aliases of the app come before those of the service", async () => {
  await using backend = echo();
  const own = new AliasRegistry();
  own.define("@ali-12", "http", `127.0.0.1:${backend.port}`);
  class AppWas extends Was {
    protected override get appAliases(): AliasRegistry {
      return own;
    }
  }
  equal((await new AppWas().get<Echo>("@ali-12/x").dataOrThrow()).url, "/x");
  throws(() => new Was().get("@ali-12/x"), /no such alias/);
});

Deno.test("TXN-03 requests carry the transaction, numbered; WAS-17 outside requests they do not", async () => {
  await using backend = echo();
  const url = `${backend.origin}/`;
  const ctx = createContext({ url: "http://a.test/", gtxnid: "GTID-C1-R2", ltxnid: 1000 });
  const was = new Was(ctx);
  const ids = async (by: Was, options = {}) => {
    const { headers } = await by.get<Echo>(url, undefined, options).dataOrThrow();
    return [headers["x-gtxn-id"], headers["x-ltxn-id"]];
  };
  deepEqual(await ids(was), ["GTID-C1-R2", "1001"]);
  deepEqual(await ids(was), ["GTID-C1-R2", "1002"]);
  deepEqual(await ids(new Was()), [undefined, undefined]);
});

Deno.test("LOG-18 a failed request is noted in the app log with transaction and place", async () => {
  using logs = recordLogs();
  const ctx = createContext({ url: "http://a.test/", gtxnid: "GTID-C1-R2", ltxnid: 1000 });
  const port = freePort();
  const result = await new Was(ctx).get(`http://user:secret@127.0.0.1:${port}/x`);
  equal(result.statusCode, 714);
  const [entry] = logs.entries;
  deepEqual([entry!.at, entry!.type, entry!.id], ["app", "debug", "GTID-C1-R2/1000"]);
  match(
    entry!.text,
    new RegExp(`GET http://127\\.0\\.0\\.1:${port}/x status 2, 714 Connect Failed`),
  );
  match(entry!.text, /requested at file:.*requests_test\.ts:\d+:\d+\)$/);
  ok(!entry!.text.includes("secret"));
  await wac.backends[Symbol.asyncDispose]();
});

Deno.test("WAS-13 RES-14 a result tells about the answer", async () => {
  await using backend = echo();
  const result = await new Was().get<Echo>(`${backend.origin}/x`);
  deepEqual([result.version, result.method, result.url, result.encoding], [
    ...["1.1", "GET", `${backend.origin}/x`, "utf-8"],
  ]);
  equal(result.node, backend.origin.slice(7));
  equal(result.data.url, "/x");
});

Deno.test("RES-12 stream hands the body over as it comes", async () => {
  await using backend = echo();
  const result = await new Was().get(`${backend.origin}/x`, undefined, { stream: true });
  equal(result.statusCode, 200);
  throws(() => result.text, /read raw/);
  equal((await new Response(result.raw).json()).url, "/x");
});

Deno.test("RES-12 a stream that nobody can reach any more gives its connection back", async () => {
  await using backend = rawBackend(async (conn) => {
    for (let request = await conn.request(); request; request = await conn.request()) {
      const status = request.head.startsWith("GET /ok") ? "200 OK" : "404 Not Found";
      await conn.write(`HTTP/1.1 ${status}\r\nContent-Length: 5\r\n\r\nhello`);
    }
  });
  const was = new Was();
  was.traceback = () => {};
  const get = (path: string, filter?: () => void) =>
    was.get(backend.origin + path, undefined, { stream: true, filter });
  const idle = () => until("the connection is back", () => wac.backends.stats().busy === 0);

  const failed = await get("/ok", () => {
    throw new Error("in the filter");
  });
  equal(failed.status, 2);
  await idle();
  for (
    const ask of [
      () => get("/no").dispatchOrThrow(),
      () => get("/no").dispatch(undefined, { reraise: true }),
      () => get("/no").wait(),
      () => get("/ok").fetch(),
    ]
  ) {
    await rejects(ask());
    await idle();
  }
  const late = get("/no");
  await until("it is answered", () => late.settled !== undefined);
  await rejects(late.dispatchOrThrow());
  await idle();

  // who has asked for the result as it is reads it all the same
  const both = get("/no");
  const result = both.dispatch();
  await rejects(both.wait());
  equal(await new Response((await result).raw).text(), "hello");
  await idle();
  await wac.backends[Symbol.asyncDispose]();
});

Deno.test("WAS-21 setBackendKeepAlive sets how long idle connections live", async () => {
  await using backend = echo();
  const was = new Was();
  await was.get(`${backend.origin}/`);
  wac.backends.maintain();
  deepEqual(wac.backends.stats(), { open: 1, busy: 0 });
  setBackendKeepAlive(0);
  wac.backends.maintain();
  deepEqual(wac.backends.stats(), { open: 0, busy: 0 });
  setBackendKeepAlive(1200);
  throws(() => setBackendKeepAlive(-1), RangeError);
});

Deno.test("WAS-24 a future can be waited for in a list, by then and by Promise.all", async () => {
  await using backend = echo();
  const was = new Was();
  const futures = [was.get<Echo>(`${backend.origin}/1`), was.get<Echo>(`${backend.origin}/2`)];
  deepEqual((await Promise.all(futures)).map((one) => one.data.url), ["/1", "/2"]);
  deepEqual(futures.map((one) => one.settled?.data.url), ["/1", "/2"]);
  equal(await was.get<Echo>(`${backend.origin}/3`).then((result) => result.data.url), "/3");
});

Deno.test("WAS-11 a token cannot become a header of its own, nor lose what does not fit in one", async () => {
  await using backend = echo();
  const was = new Was();
  for (const token of ["a\r\nx-evil: 1", "a\nb", "a\u{10a}x-evil: 1", "\u65e5"]) {
    const result = await was.get(backend.origin, undefined, { auth: [token] });
    deepEqual([result.status, result.statusCode], [-1, 701]);
    equal(
      result.error?.message,
      "Cannot send header authorization: its value has forbidden characters",
    );
  }
  const sent = await was.get<Echo>(backend.origin, undefined, { auth: ["a.b-c_d~e+f/g="] });
  equal(sent.data.headers.authorization, "Bearer a.b-c_d~e+f/g=");
});

Deno.test("WAS-06 WAS-15 WAS-16 options of a wrong type are named by the call", async () => {
  await using backend = echo();
  const was = new Was();
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ callback: "f" }, /callback is a function, or a list that begins with one/],
    [{ callback: ["f", 1] }, /callback is a function/],
    [{ filter: 1 }, /filter is a function/],
    [{ useCache: "no" }, /useCache is true, false or a time in milliseconds, not no/],
    [{ useCache: NaN }, /useCache is .* not NaN/],
    [{ maxBytes: -1 }, /maxBytes is a number from 0, not -1/],
    [{ maxRedirects: "2" }, /maxRedirects is a number from 0, not 2/],
    [{ meta: null }, /meta is an object, not null/],
    [{ auth: [1] }, /auth is \[user, password\] or \[token\]/],
    [{ auth: ["a", 1] }, /auth is \[user, password\]/],
    [{ timeout: "3" }, /Cannot wait for "3" seconds/],
  ];
  for (const [options, message] of cases) {
    throws(() => was.get(backend.origin, undefined, options as never), { message });
  }
});

Deno.test("WAS-03 WAS-05 WAS-06 data and headers without a form give a result that says so", async () => {
  await using backend = echo();
  const was = new Was();
  const why = async (future: PromiseLike<Result>) => {
    const { status, error } = await future;
    return `${status} ${error?.message}`;
  };
  const headers = (headers: unknown) =>
    why(was.get(backend.origin, undefined, { headers } as never));
  match(await headers("a: 1"), /^-1 Cannot send headers: expected pairs or a record, not a string/);
  match(await headers([["a"]]), /^-1 .* one of them is no pair/);
  match(await headers({ a: undefined }), /^-1 Cannot send header a: it has no value/);
  match(await why(was.get(backend.origin, [1, 2])), /^-1 Cannot make a query string of a list of/);
  match(await why(was.upload(backend.origin, "text" as never)), /^-1 Cannot upload string: /);
  match(await why(was.upload(backend.origin, ["a"] as never)), /^-1 Cannot upload Array: /);
  match(await why(was.get("http://u:s3cret@:1/")), /^-1 Cannot request "http:\/\/\*\*\*@:1\/"/);
});

Deno.test("WAS-10 several Accept headers are one list", async () => {
  await using backend = echo();
  const get = (...types: string[]) =>
    new Was().get(backend.origin, undefined, {
      headers: types.map((type): [string, string] => ["Accept", type]),
    });
  equal((await get("text/html", "application/json")).statusCode, 200);
  equal((await get("text/html", "text/plain")).statusCode, 718);
});

Deno.test("RES-14 RES-16 RES-17 a result that ran out of time names who was asked", async () => {
  await using silent = rawBackend((conn) => conn.drained());
  await using backend = echo();
  const node = silent.origin.slice("http://".length);
  const nodes = [`127.0.0.1:${backend.port}`, node];
  aliases.define("@late", "http", nodes, { balance: "round-robin" });
  aliases.define("@silent", "http", node);
  const was = new Was();
  /** Ends the time of a request once the server that never answers has been asked. */
  const late = async <R>(future: { dispatch(timeout: number): Promise<R> }): Promise<R> => {
    const count = silent.accepted + 1;
    await until("it is asked", () => silent.accepted === count);
    return await future.dispatch(0.001);
  };
  try {
    const plain = await late(was.get(`${silent.origin}/x`));
    deepEqual([plain.status, plain.node], [1, node]);
    const one = await late(was.get("@silent/x"));
    deepEqual([one.status, one.node, (one.error as BackendError).member], [1, node, node]);
    const answered = Promise.withResolvers<void>();
    const both = was.get.map("@late/x", undefined, { filter: () => answered.resolve() });
    const all = await late({
      dispatch: (timeout) => answered.promise.then(() => both.dispatch(timeout)),
    });
    deepEqual([all.status, [...all].map((result) => result.node)], [[3, 1], nodes]);
  } finally {
    for (const name of ["@late", "@silent"]) aliases.delete(name);
  }
});

Deno.test("RES-06 RES-16 OPS-02 a map request whose data cannot be decoded gives the status asked for", async () => {
  await using bad = rawBackend(async (conn) => {
    await conn.request();
    await conn.write(
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{",
    );
  });
  aliases.define("@undecodable", "http", bad.origin.slice("http://".length));
  try {
    await rejects(new Was().get.map("@undecodable/").dataOrThrow(503), { status: 503 });
  } finally {
    aliases.delete("@undecodable");
    await wac.backends[Symbol.asyncDispose]();
  }
});

Deno.test("OPS-02 OPS-03 WAS-20 a request body that breaks off is no fault of the member", async () => {
  await using backend = rawBackend((conn) => conn.drained());
  aliases.define("@taker", "http", backend.origin.slice("http://".length), {
    eject: { fails: 1 },
    breaker: { fails: 1 },
  });
  const was = new Was();
  const send = async (part: unknown) => {
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(part),
      pull: (controller) => controller.error(new Error("the client left")),
    }, { highWaterMark: 0 });
    const { status, statusCode, error } = await was.post("@taker/", body);
    return `${status} ${statusCode} ${error?.message}`;
  };
  try {
    const bytes = new TextEncoder().encode("abc");
    equal(await send(bytes), "2 701 The body of the request broke off: the client left");
    match(await send("text"), /^2 701 The body .*: a part of it is a string, expected bytes/);
    const [member] = wac.clusters.get("@taker")!.status().members;
    deepEqual([member!.state, member!.breaker, member!.failures], ["active", "closed", 0]);
  } finally {
    aliases.delete("@taker");
    await wac.backends[Symbol.asyncDispose]();
  }
});

Deno.test("RES-14 WAS-06 a server that cannot be asked is named; certificates that are none are too", async () => {
  const was = new Was();
  const refused = await was.get("http://127.0.0.1:1/x");
  deepEqual([refused.status, refused.statusCode, refused.node], [2, 714, "127.0.0.1:1"]);
  const untrusting = await was.get("https://127.0.0.1:1/", undefined, { ca: "/etc/ssl/ca.pem" });
  equal(untrusting.status, -1);
  match(untrusting.error!.message, /^ca is the text of certificates in PEM form/);
  await wac.backends[Symbol.asyncDispose]();
});

Deno.test("ALI-11 no path leads out of the one a member has", async () => {
  await using backend = echo();
  aliases.define("@based", "http", `127.0.0.1:${backend.port}/base/v1`);
  const asked = async (rest: string) => (await new Was().get<Echo>(`@based${rest}`)).data.url;
  try {
    const climbs = [
      "/../x",
      "/../../x",
      "/%2e%2E/x",
      "/a/../../x",
      "/..\\x",
      "/.\t./x",
      "/a\\..\\..\\x",
    ];
    for (const path of climbs) equal(await asked(path), "/base/v1/x", JSON.stringify(path));
    equal(await asked("/a/./b?p=../c"), "/base/v1/a/b?p=../c");
    equal(await asked("/.well-known/x"), "/base/v1/.well-known/x");
    equal(await asked("/gr\u00fcn x"), "/base/v1/gr%C3%BCn%20x");
    equal(await asked("?q=/../"), "/base/v1/?q=/../");
    equal(await asked(""), "/base/v1");
  } finally {
    aliases.delete("@based");
  }
});

Deno.test("WAS-08 a value with a line break is no name and value", async () => {
  await using backend = echo();
  const headers = { "content-type": "text/namevalue" };
  const post = (data: object) => new Was().post<Echo>(backend.origin, data, { headers });
  equal((await post({ a: 1, b: "x y" })).data.body, "a=1\r\nb=x y");
  const bad = await post({ a: "1\r\nadmin=yes" });
  equal(
    `${bad.status} ${bad.error?.message}`,
    '-1 Cannot encode "a" as text/namevalue: it has a line break',
  );
});
