import assert from "node:assert/strict";
import { Atila, type AtilaWas, REQUIRED } from "../../src/atila/mod.ts";

const here = import.meta.url;

Deno.test("ATL-01 ATL-04 ATL-05 an app knows its directory", () => {
  const app = new Atila(here);
  assert.equal(app.home, new URL(".", here).pathname.replace(/\/$/, ""));
  assert.equal(app.name, "routing_test");
  assert.equal(app.getResource("db", "x.db"), `${app.home}/resources/db/x.db`);
  assert.deepEqual(app.templateDirs, [`${app.home}/templates`]);
  assert.equal(new Atila(`${here}?v=2#x`).file, new URL(here).pathname);
  assert.throws(() => new Atila(""), TypeError);
});

Deno.test("ATL-02 ATL-03 MNT-25 MNT-26 properties and settings, overridden at mount", () => {
  const app = new Atila(here);
  app.config.mySetting = 1;
  app.attach({
    mountPoint: "/x/",
    host: "default",
    name: "renamed",
    apps: new Map(),
    pref: {
      debug: true,
      maxClientBodySize: 9,
      securekey: "k".repeat(32),
      config: { mySetting: 2, other: 3 },
    },
  });
  assert.equal(app.mountPoint, "/x/");
  assert.equal(app.name, "renamed");
  assert.equal(app.debug, true);
  assert.equal(app.securekey, "k".repeat(32));
  assert.equal(app.config.mySetting, 2);
  assert.equal(app.config["other"], 3);
  assert.equal(app.limits.maxPostBodySize, 9);
  assert.equal(app.limits.maxMultipartBodySize, 9);
  assert.equal(app.limits.maxUploadFileSize, 9);
  assert.throws(() => app.maxClientBodySize = -1, RangeError);
});

Deno.test("MNT-26 a single limit of the preferences wins over maxClientBodySize, and is a size", () => {
  const info = { mountPoint: "/x/", host: "default", name: "x", apps: new Map() };
  const app = new Atila(here);
  app.attach({ ...info, pref: { maxClientBodySize: 9, config: { maxMultipartBodySize: 100 } } });
  const { maxPostBodySize, maxMultipartBodySize, maxUploadFileSize } = app.limits;
  assert.deepEqual([maxPostBodySize, maxMultipartBodySize, maxUploadFileSize], [9, 100, 9]);
  for (const wrong of ["10MB", -1, NaN, null]) {
    assert.throws(
      () => new Atila(here).attach({ ...info, pref: { config: { maxPostBodySize: wrong } } }),
      /^ConfigError: mount\("\/x\/"\): config\.maxPostBodySize is a number of bytes, not /,
    );
  }
});

Deno.test("ATL-02 was.app is the app", async () => {
  const app = new Atila(here);
  app.config.title = "mine";
  app.route("/", (was) => was.app === app ? was.app.config.title : "other");
  assert.equal((await app.makeClient().get("/")).text, "mine");
});

Deno.test("ATL-10 a rule starts with a slash, and the handler comes back unchanged", async () => {
  const app = new Atila(here);
  const hello = () => "hi";
  assert.equal(app.route("/hello", hello), hello);
  assert.equal((await app.makeClient().get("/hello")).text, "hi");
  assert.throws(() => app.route("hello", hello), /starts with \//);
  assert.throws(() => app.route("/<a>x", hello), /whole segment/);
  assert.throws(() => app.route("/<bool:a>", hello), /Unknown type "bool".*int, float/);
  assert.throws(() => app.route("/<path:a>/b", hello), /comes last/);
  assert.throws(() => app.route("/<a>/<int:a>", hello), /twice/);
  assert.throws(
    () => app.route("/", { method: ["GET"] } as never, hello),
    /unknown option "method"/,
  );
  assert.throws(() => app.route("/", { methods: ["FETCH"] }, hello), /unknown method "FETCH"/);
});

Deno.test("ATL-10 ATL-12 ATL-13 ATL-19 ATL-28 options that cannot work are refused with the rule", () => {
  const app = new Atila(here);
  const cases: [options: unknown, message: RegExp][] = [
    [null, /the options are not an object/],
    [{ name: 5 }, /the name is not a text/],
    [{ methods: "GET" }, /methods is a list/],
    [{ methods: [] }, /methods is a list/],
    [{ contentTypes: "text/xml" }, /contentTypes is a list/],
    [{ use: () => {} }, /use is a list of guards/],
    [{ use: [app.loginRequired, undefined] }, /use is a list of guards/],
    [{ use: [() => undefined] }, /guard 0 gave no handler/],
    [{ args: "id" }, /args is a record/],
    [{ args: ["id"] }, /args is a record/],
    [{ args: () => {} }, /args is a record/],
  ];
  for (const [options, message] of cases) {
    assert.throws(() => app.route("/x", options as never, () => ""), (error) => {
      assert(error instanceof TypeError);
      assert.match(error.message, message);
      assert.match(error.message, /^route\("\/x"\): /);
      return true;
    });
  }
  assert.equal(app.routes.length, 0);
});

Deno.test("ATL-01 an app is made of a file", () => {
  for (const module of ["", "https://example.com/app.ts", "npm:app", new URL(here), undefined]) {
    assert.throws(() => new Atila(module as string), TypeError);
  }
  assert.equal(new Atila("/srv/app.ts").home, "/srv");
});

Deno.test("ATL-10 ATL-12 one rule per method, others get 405 with Allow", async () => {
  const app = new Atila(here);
  app.route("/pets", { methods: ["GET"] }, () => "list");
  app.route("/pets", { methods: ["POST", "PUT"] }, () => "add");
  app.route("/any", () => "any");
  const client = app.makeClient();
  assert.equal((await client.get("/pets")).text, "list");
  assert.equal((await client.post("/pets", {})).text, "add");
  const refused = await client.delete("/pets");
  assert.equal(refused.statusCode, 405);
  assert.deepEqual(refused.headers.get("allow")?.split(", ").sort(), [
    "GET",
    "HEAD",
    "POST",
    "PUT",
  ]);
  for (const method of ["GET", "POST", "PATCH", "OPTIONS"]) {
    assert.equal((await client.request(method, "/any")).statusCode, 200, method);
  }
});

Deno.test("ATL-12 ATL-14 a rule for another method leaves the path to the rules behind it", async () => {
  const app = new Atila(here);
  app.route("/user/me", { methods: ["GET"] }, () => "me");
  app.route("/user/<int:id>", { methods: ["POST"] }, (_was, { id }) => `post ${id + 1}`);
  app.route("/user/<name>", { methods: ["PUT"] }, (_was, { name }) => `put ${name}`);
  app.route("/user/<path:rest>", { methods: ["PATCH"] }, (_was, { rest }) => `patch ${rest}`);
  app.route("/ü/a", { methods: ["GET"] }, () => "umlaut");
  app.route("/ü/<name>", { methods: ["PUT"] }, (_was, { name }) => `put ${name}`);
  const client = app.makeClient();
  const ask = async (method: string, path: string) => {
    const { statusCode, headers, text } = await client.request(method, path);
    return statusCode === 405 ? headers.get("allow") : text;
  };
  assert.equal(await ask("GET", "/user/me"), "me");
  assert.equal(await ask("PUT", "/user/me"), "put me");
  assert.equal(await ask("PATCH", "/user/me"), "patch me");
  assert.equal(await ask("POST", "/user/me"), "GET, HEAD, PUT, PATCH");
  assert.equal(await ask("POST", "/user/7"), "post 8");
  assert.equal(await ask("PUT", "/user/7"), "put 7");
  assert.equal(await ask("DELETE", "/user/7"), "POST, PUT, PATCH");
  assert.equal(await ask("PUT", "/%C3%BC/a"), "put a");
  assert.equal(await ask("POST", "/%C3%BC/a"), "GET, HEAD, PUT");
  assert.equal(await ask("GET", "/user/me"), "me", "nothing is left of the search");
});

Deno.test("ATL-12 ATL-14 a rule of its own answers HEAD, whatever was registered first", async () => {
  const app = new Atila(here);
  app.route("/", { methods: ["GET"] }, () => "get");
  app.route("/", { methods: ["HEAD"] }, (was) => was.response("200 OK", "", { "x-head": "own" }));
  app.route("/get", { methods: ["GET"] }, () => "get");
  const client = app.makeClient();
  assert.equal((await client.head("/")).headers.get("x-head"), "own");
  assert.equal((await client.get("/")).text, "get");
  assert.equal((await client.head("/get")).statusCode, 200);
});

Deno.test("ATL-18 ATL-19 a parameter that has to be given has no short form", async () => {
  const app = new Atila(here);
  app.route("/episode/<int:id>", { args: { id: REQUIRED } }, (_was, { id }) => String(id));
  const client = app.makeClient();
  assert.equal((await client.get("/episode")).statusCode, 404);
  assert.equal((await client.get("/episode/5")).text, "5");
});

Deno.test("ATL-14 ATL-18 an exact rule comes before the short form of another", async () => {
  for (const isFirst of [true, false]) {
    const app = new Atila(here);
    if (isFirst) app.route("/hello", () => "exact");
    app.route("/hello/<name>", { args: { name: "World" } }, (_was, { name }) => `short ${name}`);
    if (!isFirst) app.route("/hello", () => "exact");
    app.route("/by/<name>", { args: { name: "any" } }, (_was, { name }) => `short ${name}`);
    app.route("/by", { methods: ["GET"] }, () => "exact");
    const client = app.makeClient();
    assert.equal((await client.get("/hello")).text, "exact");
    assert.equal((await client.get("/hello/you")).text, "short you");
    assert.equal((await client.get("/by")).text, "exact");
    assert.equal((await client.delete("/by")).text, "short any");
  }
});

Deno.test("ATL-11 names identify handlers, the last one wins with a warning", () => {
  const app = new Atila(here);
  const logged: string[] = [];
  app.log = (text) => void logged.push(text);
  app.route("/a", { name: "same" }, () => "a");
  app.route("/b", { name: "same" }, () => "b");
  assert.equal(app.buildUrl("same"), "/b");
  assert.match(logged.join(), /"same"/);
  app.route("/c", function named() {
    return "c";
  });
  assert.equal(app.buildUrl("named"), "/c");
});

Deno.test("ATL-13 content types are compared without parameters", async () => {
  const app = new Atila(here);
  app.route("/xml", { contentTypes: ["Text/XML; charset=utf-8"] }, () => "ok");
  const client = app.makeClient();
  const send = (type: string) => client.post("/xml", "<a/>", { headers: { "content-type": type } });
  assert.equal((await send("text/xml; charset=utf-8")).statusCode, 200);
  assert.equal((await send("TEXT/XML")).statusCode, 200);
  assert.equal((await send("application/json")).statusCode, 415);
  assert.equal((await client.post("/xml", undefined)).statusCode, 415, "nor without any");
  assert.equal((await client.get("/xml")).text, "ok", "a question has no body");
});

Deno.test("ATL-13 COR-03 content types do not stand in the way of a preflight", async () => {
  const app = new Atila(here);
  const origin = "https://pages.example";
  app.route("/", {
    methods: ["POST", "OPTIONS"],
    contentTypes: ["application/json"],
    accessControlAllowOrigin: [origin],
  }, () => "ok");
  const { statusCode, headers } = await app.makeClient().options("/", {
    headers: { origin, "access-control-request-method": "POST" },
  });
  assert.equal(statusCode, 200);
  assert.equal(headers.get("access-control-allow-methods"), "POST, OPTIONS");
});

Deno.test("ATL-14 exact rules, then a redirect to the slash, then parameters by longest literal text", async () => {
  const app = new Atila(here);
  app.route("/user/<name>", (_was, { name }) => `name ${name}`);
  app.route("/user/me", () => "me");
  app.route("/user/<int:id>", (_was, { id }) => `id ${id}`);
  app.route("/user/<name>/posts", (_was, { name }) => `posts of ${name}`);
  app.route("/<path>", (_was, { path }) => `rest ${path}`);
  app.route("/docs/", () => "docs");
  const client = app.makeClient("/app");
  const text = async (path: string) => (await client.get(path)).text;
  assert.equal(await text("/user/me"), "me");
  assert.equal(await text("/user/5"), "id 5");
  assert.equal(await text("/user/5x"), "name 5x");
  assert.equal(await text("/user/bob/posts"), "posts of bob");
  assert.equal(await text("/user/bob/other"), "rest user/bob/other");
  const moved = await client.get("/docs?a=1");
  assert.equal(moved.statusCode, 301);
  assert.equal(moved.headers.get("location"), "/app/docs/?a=1");
});

Deno.test("ATL-14 MNT-15 no route is 404, also below a mount point", async () => {
  const app = new Atila(here);
  app.route("/hello", () => "hello");
  const client = app.makeClient("/x");
  assert.equal((await client.get("/hello")).text, "hello");
  assert.equal((await client.get("/nothing")).statusCode, 404);
});

Deno.test("ATL-15 ATL-17 typed parameters match what they can hold, or nothing", async () => {
  const app = new Atila(here);
  app.route("/int/<int:n>", (was, { n }) => was.response.API({ n: n + 1 }));
  app.route("/float/<float:n>", (was, { n }) => was.response.API({ n: n * 2 }));
  app.route("/text/<s>", (was, { s }) => was.response.API({ s }));
  app.route("/download/<int:major>/<path>", (was, args) => was.response.API(args));
  app.route("/named/<path:file>", (was, { file }) => was.response.API({ file }));
  const client = app.makeClient();
  const data = async (path: string) => {
    const answer = await client.get(path);
    return answer.statusCode === 200 ? answer.data : answer.statusCode;
  };
  assert.deepEqual(await data("/int/41"), { n: 42 });
  for (const bad of ["/int/", "/int/4.5", "/int/-1", "/int/x", "/int/99999999999999999999"]) {
    assert.equal(await data(bad), 404, bad);
  }
  assert.deepEqual(await data("/float/1.5"), { n: 3 });
  assert.deepEqual(await data("/float/2"), { n: 4 });
  assert.equal(await data("/float/1.2.3"), 404);
  assert.equal(await data("/text/a/b"), 404);
  assert.deepEqual(await data("/download/1/version/1.1/win32"), {
    major: 1,
    path: "version/1.1/win32",
  });
  assert.deepEqual(await data("/named/a_b/c%20d"), { file: "a_b/c d" });
});

Deno.test("ATL-16 an underscore is a blank in plain parameters only, percent-encoding is undone", async () => {
  const app = new Atila(here);
  app.route("/text/<s>", (was, { s }) => was.response.API({ s }));
  app.route("/cafés/<path:p>", (was, { p }) => was.response.API({ p }));
  const client = app.makeClient();
  assert.equal((await client.get("/text/Your_Name")).data.s, "Your Name");
  assert.equal((await client.get("/text/a%2Fb%20c")).data.s, "a/b c");
  assert.equal((await client.get("/caf%C3%A9s/x_y")).data.p, "x_y");
  assert.equal((await client.get("/text/%E0%A4%A")).statusCode, 400);
});

Deno.test("ATL-18 a single, last parameter with a default may be left out", async () => {
  const app = new Atila(here);
  app.route("/hello/<name>", { args: { name: "World" } }, (_was, { name }) => `Hello, ${name}`);
  app.route("/two/<a>/<b>", { args: { b: "x" } }, (_was, { a, b }) => a + b);
  const client = app.makeClient();
  assert.equal((await client.get("/hello")).text, "Hello, World");
  assert.equal((await client.get("/hello/You")).text, "Hello, You");
  assert.equal((await client.get("/two/a")).statusCode, 404);
});

Deno.test("ATL-30 handlers may be synchronous or asynchronous", async () => {
  const app = new Atila(here);
  app.route("/now", () => "now");
  app.route("/later", async () => {
    await Promise.resolve();
    return "later";
  });
  app.route("/throws", () => {
    throw new Error("inner");
  });
  app.route("/rejects", () => Promise.reject(new Error("inner")));
  const client = app.makeClient();
  assert.equal((await client.get("/now")).text, "now");
  assert.equal((await client.get("/later")).text, "later");
  assert.equal((await client.get("/throws")).statusCode, 500);
  assert.equal((await client.get("/rejects")).statusCode, 500);
});

Deno.test("ATL-15 ATL-19 TypeScript reads the arguments off rule and defaults", () => {
  const app = new Atila(here);
  app.route("/episode/<int:id>/<title>", (_was, { id, title }) => {
    const number: number = id;
    const text: string = title;
    // @ts-expect-error id is a number
    const wrong: string = id;
    return text + number + wrong;
  });
  app.route("/list", { args: { page: 1, all: false, q: REQUIRED, tags: [] } }, (_was, args) => {
    const { page, all, q, tags }: { page: number; all: boolean; q: string; tags: string[] } = args;
    // @ts-expect-error nothing of that name is declared
    const missing = args.missing;
    return `${page}${all}${q}${tags}${missing}`;
  });
  app.route("/free", (_was, args) => String(args.whatever));
  app.route("/numbers", { args: { of: [1, 2] } }, (_was, { of }) => {
    const given: (string | number)[] = of;
    // @ts-expect-error what a client sends is text, whatever the default is
    const wrong: number[] = of;
    return `${given}${wrong}`;
  });
});

Deno.test("ATL-30 RSP-11 RSP-15 TypeScript refuses what cannot be sent", async () => {
  const app = new Atila(here);
  // @ts-expect-error a handler returns something
  app.route("/nothing", () => undefined);
  // @ts-expect-error data goes through was.response.API
  app.route("/object", () => ({ a: 1 }));
  // @ts-expect-error also later
  app.route("/later", async () => await Promise.resolve({ a: 1 }));
  // @ts-expect-error a list of what can be sent, not of numbers
  app.route("/numbers", () => [1, 2]);
  // @ts-expect-error nor of objects
  app.route("/objects", () => [{ a: 1 }]);
  // @ts-expect-error an error is no answer
  app.route("/error", () => new Error("x"));
  // @ts-expect-error the same holds for a body
  app.route("/body", (was) => was.response("200 OK", { a: 1 }));
  // @ts-expect-error a list has no names
  app.route("/list", (was) => was.response.API([1, 2]));
  // @ts-expect-error nor has a map that is sent as JSON
  app.route("/map", (was) => was.response.API(new Map([["a", 1]])));
  interface Row {
    readonly id: number;
  }
  const row: Row = { id: 1 };
  app.route("/row", (was) => was.response.API(row));
  app.route("/futures", async (was) => await was.futures([Promise.resolve(1)]));
  const client = app.makeClient();
  for (
    const path of [
      "nothing",
      "object",
      "later",
      "numbers",
      "objects",
      "error",
      "body",
      "list",
      "map",
    ]
  ) assert.equal((await client.get(`/${path}`)).statusCode, 500, path);
  assert.deepEqual((await client.get("/row")).data, { id: 1 });
  assert.equal((await client.get("/futures")).statusCode, 205);
});

Deno.test("ATL-28 ATL-11 a guard around a handler leaves its type and its name as they are", async () => {
  const app = new Atila(here);
  app.loginHandler((was) => was.request.args.get("user") ? null : "log in first");
  app.permissionCheckHandler(() => null);
  app.route("/inline/<int:id>", app.loginRequired((_was, { id }) => `inline ${id + 1}`));
  const guarded = app.runBefore((was) => void (was.g.ran = "ran"))(
    app.runAfter(() => {})(app.permissionRequired("read")(app.loginRequired(named))),
  );
  function named(was: AtilaWas, { id }: { id: number }): string {
    return `${was.g.ran} ${id.toFixed(1)} ${was.ab("named", 5)}`;
  }
  app.route("/named/<int:id>", guarded);
  // @ts-expect-error it is a number still
  new Atila(here).route("/wrong/<id>", guarded);
  const client = app.makeClient();
  assert.equal((await client.get("/inline/1")).text, "log in first");
  assert.equal((await client.get("/inline/1?user=kim")).text, "inline 2");
  assert.equal((await client.get("/named/2?user=kim")).text, "ran 2.0 /named/5");
});
