import assert from "node:assert/strict";
import { Atila, type AtilaRequest, type AtilaWas } from "../../src/atila/mod.ts";
import { AtilaRequest as Request_ } from "../../src/atila/mod.ts";
import { createContext, type HttpVersion } from "../../src/core/context.ts";

const here = import.meta.url;

/** Runs a function on the request object of one request. */
async function inspect<T>(
  look: (request: AtilaRequest, was: AtilaWas) => T,
  path = "/",
  init: RequestInit = {},
  ctx: { remoteAddr?: string; httpVersion?: HttpVersion; url?: string } = {},
): Promise<T> {
  const app = new Atila(here);
  let seen: { value: T } | undefined;
  app.route("/<path>", (was) => {
    seen = { value: look(was.request, was) };
    return "";
  });
  app.route("/", (was) => {
    seen = { value: look(was.request, was) };
    return "";
  });
  const url = `http://example.com:8080${path}`;
  const response = await app.handle(
    new Request(url, init),
    createContext({ url, mountPoint: "/", ...ctx }),
  );
  assert.equal(response.status, 200, await response.text());
  return seen!.value;
}

Deno.test("REQ-01 method and command", async () => {
  assert.deepEqual(await inspect((r) => [r.method, r.command], "/", { method: "PATCH" }), [
    "PATCH",
    "patch",
  ]);
});

Deno.test("REQ-02 the target as sent, taken apart, broken ones throw", async () => {
  assert.equal(await inspect((r) => r.uri, "/a%20b/c?x=%2F&y"), "/a%20b/c?x=%2F&y");
  assert.deepEqual(await inspect((r) => r.splitUri(), "/a;p=1?q=2"), {
    script: "/a",
    params: ";p=1",
    query: "?q=2",
    fragment: undefined,
  });
  assert.equal(await inspect((r) => r.uri, "/a?"), "/a?");
  assert.equal(await inspect((r) => r.splitUri().query, "/a?"), "?");
  assert.deepEqual(await inspect((r) => r.splitUri(), "/only"), {
    script: "/only",
    params: undefined,
    query: undefined,
    fragment: undefined,
  });
  const broken = new Request_(
    new Request("http://x/"),
    { ...createContext({ url: "http://x/" }), path: "no slash" },
  );
  assert.throws(() => broken.splitUri(), TypeError);
});

Deno.test("REQ-03 version and scheme", async () => {
  const seen = await inspect((r) => [r.version, r.scheme, r.getScheme()], "/", {}, {
    httpVersion: "2.0",
  });
  assert.deepEqual(seen, ["2.0", "http", "http"]);
});

Deno.test("REQ-04 headers without regard to case, raw, and with parameters", async () => {
  const init = { headers: { "X-One": "1", "content-type": 'text/html; charset="utf;8"; q=1' } };
  await inspect(
    (r) => {
      assert.equal(r.headers.get("x-ONE"), "1");
      assert.equal(r.getHeader("X-one"), "1");
      assert.equal(r.getHeader("x-two", "fallback"), "fallback");
      assert.equal(r.getHeader("x-two"), undefined);
      assert.deepEqual(r.getHeaders().find(([name]) => name === "x-one"), ["x-one", "1"]);
      const [type, attributes] = r.getHeaderWithAttr("Content-Type");
      assert.equal(type, "text/html");
      assert.deepEqual({ ...attributes }, { charset: "utf;8", q: "1" });
      assert.deepEqual(r.getHeaderWithAttr("nothing"), [undefined, {}]);
    },
    "/",
    init,
  );
});

Deno.test("REQ-04 parameters of a header with quotes that do not end are read in time", async () => {
  // What takes the square of the length would need hours for each of these.
  const odd = ['\\"', "\\", '"', 'x\\"', '"\\', '";'].map((part) => part.repeat(1_000_000));
  const header = (value: string) => ({ headers: { "x-a": value } });
  for (const value of odd) {
    await inspect((r) => void r.getHeaderWithAttr("x-a"), "/", header(value));
    await inspect((r) => void r.getHeaderWithAttr("x-a"), "/", header(`a; b="${value}`));
  }
  const seen = await inspect((r) => r.getHeaderWithAttr("x-a"), "/", header('a; b="c;d'));
  assert.deepEqual([seen[0], { ...seen[1] }], ["a", { b: '"c;d' }]);
});

Deno.test("REQ-05 the body as bytes, in a route that streams as a stream", async () => {
  const bytes = new Uint8Array([0, 255, 10]);
  assert.deepEqual(
    await inspect((r) => [...r.body, ...r.payload, ...r.getBody()], "/", {
      method: "POST",
      body: bytes,
    }),
    [0, 255, 10, 0, 255, 10, 0, 255, 10],
  );
  assert.equal((await inspect((r) => r.body)).byteLength, 0);

  const app = new Atila(here);
  app.route("/", { stream: true, methods: ["POST"] }, async (was) => {
    assert.throws(() => was.request.body, /streams/);
    return await was.request.raw.text();
  });
  assert.equal((await app.makeClient().post("/", "streamed")).text, "streamed");
});

Deno.test("REQ-06 json() parses whatever the content type says, and throws on what is none", async () => {
  const post = (body: string) => ({ method: "POST", body, headers: { "content-type": "text/x" } });
  assert.deepEqual(await inspect((r) => r.json(), "/", post('{"a":[1]}')), { a: [1] });
  await inspect(
    (r) => {
      assert.throws(() => r.json(), /not JSON/);
    },
    "/",
    post("{"),
  );
});

Deno.test("REQ-07 REQ-08 form() and dict() by content type", async () => {
  const post = (body: BodyInit, type?: string) => ({
    method: "POST",
    body,
    ...(type === undefined ? {} : { headers: { "content-type": type } }),
  });
  const look = (r: AtilaRequest) => [r.form() && { ...r.form() }, r.dict() && { ...r.dict() }];
  assert.deepEqual(await inspect(look, "/", post("a=1", "application/x-www-form-urlencoded")), [
    { a: "1" },
    { a: "1" },
  ]);
  assert.deepEqual(await inspect(look, "/", post('{"a":1}', "application/json")), [
    undefined,
    { a: 1 },
  ]);
  assert.deepEqual(await inspect(look, "/", post("", "application/json")), [undefined, undefined]);
  const multipart = new FormData();
  multipart.append("a", "1");
  assert.deepEqual(await inspect(look, "/", post(multipart)), [{ a: "1" }, { a: "1" }]);
});

Deno.test("REQ-09 the matched route and its options", async () => {
  const app = new Atila(here);
  const handler = (was: AtilaWas) => {
    const { routed, routable, routedFunction } = was.request;
    assert.equal(routedFunction, handler);
    assert.equal(routed?.handler, handler);
    return was.response.API({
      routable,
      methods: routed?.methods,
      types: routed?.contentTypes,
      rule: routed?.rule,
    });
  };
  app.route("/x", { methods: ["POST", "OPTIONS"], contentTypes: ["text/xml"] }, handler);
  const answer = await app.makeClient().post("/x", "<a/>", {
    headers: { "content-type": "text/xml" },
  });
  assert.deepEqual(answer.data, {
    routable: true,
    methods: ["POST", "OPTIONS"],
    types: ["text/xml"],
    rule: "/x",
  });
});

Deno.test("REQ-10 peer address and the first forwarded one", async () => {
  const look = (r: AtilaRequest) => [r.getRemoteAddr(), r.getRealIp()];
  const ctx = { remoteAddr: "10.0.0.1" };
  assert.deepEqual(await inspect(look, "/", {}, ctx), ["10.0.0.1", "10.0.0.1"]);
  const headers = { "x-forwarded-for": " 203.0.113.9, 10.0.0.2" };
  assert.deepEqual(await inspect(look, "/", { headers }, ctx), ["10.0.0.1", "203.0.113.9"]);
});

Deno.test("REQ-11 private addresses", async () => {
  const cases: [string, boolean][] = [
    ["127.0.0.9", true],
    ["127.1.0.1", false],
    ["10.255.0.1", true],
    ["192.168.3.4", true],
    ["192.169.3.4", false],
    ["172.15.0.1", false],
    ["172.16.0.1", true],
    ["172.31.9.9", true],
    ["172.32.0.1", false],
    ["8.8.8.8", false],
    ["110.0.0.1", false],
  ];
  for (const [remoteAddr, expected] of cases) {
    assert.equal(
      await inspect((r) => r.isPrivateIp(), "/", {}, { remoteAddr }),
      expected,
      remoteAddr,
    );
  }
});

Deno.test("REQ-12 REQ-13 parts of the content type, and the user agent", async () => {
  const look = (
    r: AtilaRequest,
  ) => [r.getContentType(), r.getMainType(), r.getSubType(), r.getUserAgent()];
  const headers = { "content-type": "Text/HTML; charset=utf-8", "user-agent": "probe/1" };
  assert.deepEqual(await inspect(look, "/", { headers }), ["text/html", "text", "html", "probe/1"]);
  assert.deepEqual(await inspect(look), [undefined, undefined, undefined, undefined]);
});

Deno.test("REQ-14 REQ-15 user and token of the context, and the standard request", async () => {
  await inspect((r, was) => {
    assert(r.user === undefined);
    was.ctx!.user = { name: "ann" };
    was.ctx!.token = "abc";
    assert.equal((r as AtilaRequest).user?.name, "ann");
    assert.equal(r.token, "abc");
    assert(r.raw instanceof Request);
    assert.equal(r.raw.headers, r.headers);
  });
});

Deno.test("ATL-26 MNT-15 the environment has CGI variables below the mount", async () => {
  const app = new Atila(here);
  app.route("/<path>", (was) => was.response.API(was.env as Record<string, unknown>));
  const { data } = await app.makeClient("/x").request("POST", "/a%20b?q=1", "body", {
    headers: { "content-type": "text/plain", "x-thing": "t", host: "example.com:8080" },
    remoteAddr: "10.9.8.7",
  });
  assert.equal(data.REQUEST_METHOD, "POST");
  assert.equal(data.SCRIPT_NAME, "/x");
  assert.equal(data.PATH_INFO, "/a b");
  assert.equal(data.QUERY_STRING, "q=1");
  assert.equal(data.CONTENT_TYPE, "text/plain");
  assert.equal(data.REMOTE_ADDR, "10.9.8.7");
  assert.equal(data.HTTP_X_THING, "t");
  assert.match(data.SERVER_SOFTWARE, /^Skitai\/\d+\.\d+$/);
  assert.equal(data.PATH, Deno.env.get("PATH"));
});

Deno.test("ATL-27 was.g lives for one request", async () => {
  const app = new Atila(here);
  app.beforeRequest((was) => {
    was.g.count = (was.g.count ?? 0) + 1;
  });
  app.route("/", (was) => String(was.g.count));
  const client = app.makeClient();
  assert.equal((await client.get("/")).text, "1");
  assert.equal((await client.get("/")).text, "1");
});

Deno.test("ATL-26 a header cannot pass for another variable of the environment", async () => {
  const app = new Atila(here);
  app.route("/", (was) => was.response.API(was.env as Record<string, unknown>));
  const headers = {
    "proxy": "http://evil.example",
    "x_real_ip": "6.6.6.6",
    "x-real-ip": "1.2.3.4",
  };
  const { data } = await app.makeClient().get("/", { headers });
  assert.equal(data.HTTP_PROXY, Deno.env.get("HTTP_PROXY"));
  assert.equal(data.HTTP_X_REAL_IP, "1.2.3.4");
});

Deno.test("REQ-07 REQ-08 an empty form has no members, and is no dict", async () => {
  const app = new Atila(here);
  app.route("/", (was) => was.response.API({ form: was.request.form(), dict: was.request.dict() }));
  const client = app.makeClient();
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  assert.deepEqual((await client.post("/", "", { headers })).data, { form: {} });
  assert.deepEqual((await client.post("/", {})).data, { dict: {} });
});

Deno.test("REQ-07 ATL-22 a form that is read late is seen by a request that was looked at before", async () => {
  const app = new Atila(here);
  app.route("/", { stream: true }, async (was) => {
    const before = [was.request.form(), was.request.args.get("a", "none")];
    await was.readForm();
    return was.response.API({ before, form: was.request.form(), a: was.request.args.a });
  });
  const form = new FormData();
  form.set("a", "1");
  const { data } = await app.makeClient().post("/", form);
  assert.deepEqual(data, { before: [null, "none"], form: { a: "1" }, a: "1" });
});

Deno.test("ATL-09 values of the store by index and property", () => {
  const { store } = new Atila(here);
  store.hits = 1;
  store["two words"] = 2;
  store.hits++;
  assert.equal(store.get("hits"), 2);
  assert.equal(store["two words"], 2);
  assert.equal(store.missing, undefined);
  assert.deepEqual(store.items(), [["hits", 2], ["two words", 2]]);
  assert.equal(store.size, 2);
});

Deno.test("ATL-09 the store keeps values, with and without an end", async () => {
  const { mock } = await import("node:test");
  mock.timers.enable({ apis: ["Date"], now: 1000 });
  try {
    const { store } = new Atila(here);
    store.set("a", 1);
    store.set("b", 2, 5);
    assert.equal(store.get("a"), 1);
    assert.equal(store.get("b"), 2);
    assert.equal(store.get("c", "fallback"), "fallback");
    mock.timers.setTime(6000);
    assert.equal(store.get("b"), undefined);
    assert.equal(store.has("b"), false);
    assert.deepEqual(store.keys(), ["a"]);
    assert.equal(store.delete("a"), true);
    assert.equal(store.get("a"), undefined);
    assert.throws(() => store.set("x", 1, -1), RangeError);
  } finally {
    mock.timers.reset();
  }
});
