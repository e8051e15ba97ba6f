import assert from "node:assert/strict";
import { Atila } from "../../src/atila/mod.ts";
import { curl, serveHandler } from "../_support/serve_handler.ts";

const here = import.meta.url;
const PAGE = "https://pages.example";

Deno.test("COR-01 without a list only the same origin passes; no Origin header passes", async () => {
  const app = new Atila(here);
  app.route("/", () => "in");
  const client = app.makeClient();
  const status = async (headers: HeadersInit) => (await client.get("/", { headers })).statusCode;
  const host = "shop.example:8080";
  assert.equal(await status({}), 200);
  assert.equal(await status({ host, origin: "http://shop.example:8080" }), 200);
  assert.equal(
    await status({ host, origin: "https://shop.example:8080" }),
    200,
    "TLS ends before us",
  );
  assert.equal(await status({ host: "shop.example", origin: "https://shop.example" }), 200);
  assert.equal(await status({ host, origin: "http://SHOP.example:8080" }), 200);
  for (
    const origin of [
      PAGE,
      "null",
      "http://shop.example",
      "http://shop.example:8081",
      "http://shop.example.evil.example:8080",
      "http://evil.example/shop.example:8080",
      "nonsense",
      "",
    ]
  ) assert.equal(await status({ host, origin }), 403, origin);
  assert.equal(
    await status({ host: "127.0.0.1:9000", origin: PAGE, "sec-fetch-site": "same-origin" }),
    200,
    "the browser says so, behind a proxy that changes the host",
  );
  for (const site of ["cross-site", "same-site"]) {
    const origin = "http://shop.example:8080";
    assert.equal(await status({ host, origin, "sec-fetch-site": site }), 403, site);
  }
});

Deno.test("COR-01 COR-02 lists of the app and of routes, with the headers that go with them", async () => {
  const app = new Atila(here);
  app.accessControlAllowOrigin = [PAGE, "https://second.example/"];
  app.users = new Map([["kim", "secret"]]);
  app.route("/", () => "in");
  app.route("/auth", { authenticate: "basic" }, () => "in");
  app.route("/all", { accessControlAllowOrigin: ["*"] }, () => "in");
  app.route("/all-auth", { accessControlAllowOrigin: ["*"], authenticate: "basic" }, () => "in");
  app.route("/own", { accessControlAllowOrigin: ["https://own.example"] }, () => "in");
  app.route("/fails", () => {
    throw new Error("broken");
  });
  const client = app.makeClient();
  const ask = async (path: string, origin: string, more: Record<string, string> = {}) => {
    const { statusCode, headers } = await client.get(path, { headers: { origin, ...more } });
    return [
      statusCode,
      headers.get("access-control-allow-origin"),
      headers.get("access-control-allow-credentials"),
      /\borigin\b/i.test(headers.get("vary") ?? ""),
    ];
  };
  assert.deepEqual(await ask("/", PAGE), [200, PAGE, null, true]);
  assert.deepEqual(await ask("/", "https://second.example"), [
    200,
    "https://second.example",
    null,
    true,
  ]);
  assert.deepEqual(await ask("/", "https://other.example"), [403, null, null, true]);
  assert.deepEqual(await ask("/auth", PAGE), [401, PAGE, "true", true], "the page sees why");
  const authorization = `Basic ${btoa("kim:secret")}`;
  assert.deepEqual(await ask("/auth", PAGE, { authorization }), [200, PAGE, "true", true]);
  assert.deepEqual(await ask("/all", "https://any.example"), [200, "*", null, true]);
  assert.deepEqual(
    await ask("/all-auth", "https://any.example", { authorization }),
    [200, "*", null, true],
    "no credentials for everybody",
  );
  assert.deepEqual(await ask("/own", "https://own.example"), [
    200,
    "https://own.example",
    null,
    true,
  ]);
  assert.deepEqual((await ask("/own", PAGE))[0], 403, "the list of the route is the whole list");
  assert.deepEqual(await ask("/fails", PAGE), [500, PAGE, null, true]);
  assert.deepEqual(await ask("/nowhere", PAGE), [404, PAGE, null, true]);
  const { headers } = await client.get("/");
  assert.equal(headers.get("access-control-allow-origin"), null, "nobody asked");
  assert.equal(headers.get("vary"), "Origin", "a cache keeps it apart");
  assert.throws(() => app.accessControlAllowOrigin = ["example.com"], /no origin/);
  assert.throws(() => app.accessControlAllowOrigin = ["https://a.example/path"], /no origin/);
  assert.throws(
    () => app.route("/x", { accessControlAllowOrigin: "*" as never }, () => ""),
    /route\("\/x"\).*list/,
  );
});

Deno.test("COR-02 a page of another origin is told that the type of its body is refused", async () => {
  const app = new Atila(here);
  app.users = new Map([["kim", "secret"]]);
  const options = { methods: ["POST"], contentTypes: ["application/json"] };
  app.route("/", { ...options, accessControlAllowOrigin: [PAGE], authenticate: "basic" }, () => "");
  app.route("/plain", options, () => "");
  const client = app.makeClient();
  const ask = async (path: string) => {
    const { statusCode, headers } = await client.post(path, "text", { headers: { origin: PAGE } });
    assert.equal(statusCode, 415);
    return ["origin", "credentials"].map((name) => headers.get(`access-control-allow-${name}`));
  };
  assert.deepEqual(await ask("/"), [PAGE, "true"]);
  assert.deepEqual(await ask("/plain"), [null, null]);
});

Deno.test("COR-02 ATL-14 the way to the path with its final slash is open to who may go it", async () => {
  const app = new Atila(here);
  app.route("/list/", { accessControlAllowOrigin: [PAGE] }, () => "in");
  app.route("/plain/", () => "in");
  const client = app.makeClient("/m/");
  const ask = async (path: string, origin: string) => {
    const { statusCode, headers } = await client.get(path, { headers: { origin } });
    assert.deepEqual([statusCode, headers.get("location")], [301, `/m${path}/`]);
    return [headers.get("access-control-allow-origin"), headers.get("vary")];
  };
  assert.deepEqual(await ask("/list", PAGE), [PAGE, "Origin"]);
  assert.deepEqual(await ask("/list", "https://other.example"), [null, "Origin"]);
  assert.deepEqual(await ask("/plain", PAGE), [null, null]);
  app.accessControlAllowOrigin = ["*"];
  assert.deepEqual(await ask("/plain", PAGE), ["*", "Origin"]);
  assert.deepEqual(await ask("/list", PAGE), [PAGE, "Origin"]);
});

Deno.test("COR-03 COR-04 preflight: methods of the path, headers echoed, max age, 405", async () => {
  const app = new Atila(here);
  app.accessControlAllowOrigin = [PAGE];
  app.accessControlMaxAge = 60;
  let ran = 0;
  app.beforeRequest(() => void ran++);
  app.route("/item", { methods: ["GET", "OPTIONS"] }, () => "get");
  app.route("/item", { methods: ["POST"], accessControlMaxAge: 5 }, () => "post");
  app.route("/short", { methods: ["PUT", "OPTIONS"], accessControlMaxAge: 0 }, () => "put");
  app.route("/none", { methods: ["GET"] }, () => "none");
  app.route("/every", () => "every");
  await using server = serveHandler((req, ctx) => {
    ctx.mountPoint = "/m/";
    return app.handle(req, ctx);
  });
  const preflight = async (path: string, method: string, origin = PAGE, headers = "x-a, x-b") => {
    const text = await curl(
      "-i",
      "-X",
      "OPTIONS",
      "-H",
      `Origin: ${origin}`,
      "-H",
      `Access-Control-Request-Method: ${method}`,
      ...(headers === "" ? [] : ["-H", `Access-Control-Request-Headers: ${headers}`]),
      `${server.url}/m${path}`,
    );
    const header = (name: string) => new RegExp(`^${name}: (.*)$`, "im").exec(text)?.[1];
    return [
      Number(text.split(" ")[1]),
      header("access-control-allow-origin"),
      header("access-control-allow-methods"),
      header("access-control-allow-headers"),
      header("access-control-max-age"),
    ];
  };
  assert.deepEqual(await preflight("/item", "POST"), [
    200,
    PAGE,
    "GET, HEAD, POST, OPTIONS",
    "x-a, x-b",
    "60",
  ]);
  assert.deepEqual(await preflight("/short", "PUT", PAGE, ""), [
    200,
    PAGE,
    "PUT, OPTIONS",
    undefined,
    undefined,
  ]);
  assert.equal((await preflight("/item", "DELETE"))[0], 405);
  assert.equal((await preflight("/item", "post"))[0], 405, "methods are case-sensitive");
  assert.equal((await preflight("/item", "POST", "https://other.example"))[0], 403);
  assert.equal((await preflight("/none", "GET"))[0], 405, "OPTIONS must be among the methods");
  assert.equal((await preflight("/nowhere", "GET"))[0], 404);
  assert.deepEqual((await preflight("/every", "PATCH")).slice(0, 2), [200, PAGE]);
  assert.equal(ran, 0, "no hook and no handler runs for a preflight");
  assert.equal(
    await curl("-X", "OPTIONS", "-H", `Origin: ${PAGE}`, `${server.url}/m/item`),
    "get",
    "OPTIONS without the question is the handler's",
  );
  assert.throws(() => app.accessControlMaxAge = -1, RangeError);
});
