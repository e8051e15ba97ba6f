import assert from "node:assert/strict";
import { Atila, type UserRecord } from "../../src/atila/mod.ts";
import { curl, serveHandler } from "../_support/serve_handler.ts";

const here = import.meta.url;

/** Status, challenge and body that curl gets. */
async function ask(...args: string[]): Promise<[status: number, challenge: string, body: string]> {
  const text = await curl("-i", ...args);
  const blocks = text.split("\r\n\r\n");
  const body = blocks.pop()!;
  const head = blocks.pop()!;
  const challenge = /^www-authenticate: (.*)$/im.exec(head)?.[1] ?? "";
  return [Number(head.split(" ")[1]), challenge, body];
}

Deno.test("AUTH-05 AUTH-07 AUTH-08 basic: the challenge, the user, wrong and broken credentials", async () => {
  const app = new Atila(here);
  app.authenticate = "basic";
  app.users = new Map<string, UserRecord>([
    ["kim", "secret"],
    ["lee:", "x"],
    ["Zoë", ["pässword", false, { role: "admin" }]],
    ["hash", ["900150983cd24fb0d6963f7d28e17f72", true]],
  ]);
  app.route("/", (was) => JSON.stringify(was.request.user));
  await using server = serveHandler((req, ctx) => {
    ctx.mountPoint = "/";
    return app.handle(req, ctx);
  });
  const url = `${server.url}/`;
  assert.deepEqual((await ask(url)).slice(0, 2), [401, 'Basic realm="App"']);
  const [status, , body] = await ask("-u", "kim:secret", url);
  assert.deepEqual([status, JSON.parse(body)], [200, { name: "kim", realm: "App" }]);
  assert.deepEqual(JSON.parse((await ask("-u", "Zoë:pässword", url))[2]), {
    name: "Zoë",
    realm: "App",
    info: { role: "admin" },
  });
  for (const wrong of ["kim:Secret", "kim:", "kim:secret2", "nobody:secret", ":", "lee::x"]) {
    assert.equal((await ask("-u", wrong, url))[0], 401, wrong);
  }
  for (
    const header of [
      "Basic",
      "Basic !!!",
      "Basic a2lt",
      "Bearer kim",
      "basic",
      `Basic ${btoa("a\n:b")}`,
    ]
  ) {
    assert.equal((await ask("-H", `Authorization: ${header}`, url))[0], 401, header);
  }
  assert.equal(
    (await ask("-H", `Authorization: bAsIc  ${btoa("kim:secret")}`, url))[0],
    200,
    "the name of the scheme in any case",
  );
  assert.equal((await ask("-u", "hash:abc", url))[0], 500, "a hash cannot be checked");
  app.realm = 'My "shop"\r\nX: y';
  assert.deepEqual((await ask(url)).slice(0, 2), [401, 'Basic realm="My \\"shop\\" X: y"']);
});

Deno.test("AUTH-02 a guard that authenticates is never lost: to a service, an option, a guard", async () => {
  const app = new Atila(here);
  app.bearerHandler(() => "invalid_token");
  const guard = app.authorizationRequired("bearer");
  const service = {
    mount: (into: Atila) => void into.route("/guarded", { use: [guard] }, () => "in"),
  };
  await app.mountWith(service, { point: "/free", authenticate: null });
  await app.mountWith(service, { point: "/basic", authenticate: "basic" });
  await app.ready();
  const client = app.makeClient();
  for (const path of ["/free/guarded", "/basic/guarded"]) {
    const { statusCode, headers } = await client.get(path);
    assert.equal(statusCode, 401, path);
    assert.match(headers.get("www-authenticate")!, /^Bearer /, path);
  }
  assert.throws(
    () => app.route("/a", { authenticate: null, use: [guard] }, () => "in"),
    /authenticate is null, and a guard says bearer/,
  );
  app.route("/b", { authenticate: "bearer", use: [guard] }, () => "in");
  assert.throws(
    () => app.route("/c", { use: [(next) => guard(next)] }, () => "in"),
    /stands in `use` of a route itself/,
  );
});

Deno.test("AUTH-03 a record of a user that is none says whose it is", async () => {
  const app = new Atila(here);
  app.authenticate = "basic";
  app.debug = true;
  app.route("/", () => "in");
  for (const record of [5, {}, true, [5], []]) {
    app.users = { get: () => record as unknown as string };
    const { statusCode, text } = await app.makeClient().get("/", {
      headers: { authorization: `Basic ${btoa("kim:5")}`, accept: "application/json" },
    });
    assert.equal(statusCode, 500);
    assert.match(text, /The record of user .*kim.* is neither a password nor/);
  }
});

Deno.test("AUTH-01 AUTH-02 the app, its routes and guards say how; null frees", async () => {
  const app = new Atila(here);
  app.users = new Map([["kim", "secret"]]);
  app.bearerHandler((_was, token) => token === "t" ? undefined : "invalid_token");
  app.route("/open", { authenticate: null }, () => "open");
  app.route("/inherits", () => "in");
  app.route("/digest", { authenticate: "digest" }, () => "in");
  app.route("/default", { authenticate: true }, () => "in");
  app.route("/guard", { use: [app.authorizationRequired("bearer")] }, () => "in");
  app.route("/old", { use: [app.authRequired] }, () => "in");
  app.route("/old-free", { use: [app.authNotRequired] }, () => "open");
  const client = app.makeClient();
  const schemes = async () => {
    const seen: string[] = [];
    for (const { facts } of app.routes) {
      const { statusCode, headers } = await client.get(facts.rule);
      const scheme = headers.get("www-authenticate")?.split(" ")[0] ?? "";
      seen.push(`${facts.rule} ${statusCode} ${scheme}`.trim());
    }
    return seen;
  };
  const fixed = [
    "/digest 401 Digest",
    "/default 401 Digest",
    "/guard 401 Bearer",
    "/old 401 Digest",
  ];
  assert.deepEqual(await schemes(), ["/open 200", "/inherits 200", ...fixed, "/old-free 200"]);
  app.authenticate = "basic";
  assert.deepEqual(await schemes(), [
    "/open 200",
    "/inherits 401 Basic",
    ...fixed,
    "/old-free 200",
  ]);
  app.authenticate = true;
  app.authorization = "bearer";
  assert.deepEqual(await schemes(), [
    "/open 200",
    "/inherits 401 Bearer",
    "/digest 401 Digest",
    "/default 401 Bearer",
    "/guard 401 Bearer",
    "/old 401 Bearer",
    "/old-free 200",
  ]);
  app.authenticate = null;
  assert.equal((await client.get("/inherits")).statusCode, 200);
  assert.throws(() => app.authenticate = "magic" as never, /cannot authenticate by "magic"/);
  assert.throws(() => app.route("/x", { authenticate: "no" as never }, () => ""), /route\("\/x"\)/);
});

Deno.test("AUTH-01 AUTH-02 what is no scheme is refused when it is set, and lets nobody in", async () => {
  const app = new Atila(here);
  app.users = new Map([["kim", "secret"]]);
  app.authenticate = true;
  app.route("/", () => "in");
  for (const scheme of ["Digest", "none", "", true, null, undefined]) {
    assert.throws(() => app.authorization = scheme as "digest", {
      name: "TypeError",
      message: /^app\.authorization: cannot authenticate by .*known are "basic", "digest" and/,
    });
  }
  assert.throws(() => app.authenticate = "Digest" as "digest", /app\.authenticate: cannot/);
  const client = app.makeClient();
  assert.match((await client.get("/")).headers.get("www-authenticate")!, /^Digest /);
  app.authorization = "basic";
  assert.match((await client.get("/")).headers.get("www-authenticate")!, /^Basic /);
});

Deno.test("AUTH-03 AUTH-04 collections and callbacks, at once or later; mistakes let nobody in", async () => {
  const app = new Atila(here);
  app.authenticate = "basic";
  app.route("/", (was) => JSON.stringify([was.request.user!.name, was.request.user!.info ?? null]));
  const client = app.makeClient();
  const ask = async (user: string) => {
    const headers = { authorization: `Basic ${btoa(user)}` };
    const { statusCode, text } = await client.get("/", { headers });
    return statusCode === 200 ? text : statusCode;
  };
  assert.equal(await ask("kim:a"), 500, "nobody said who there is");
  app.user = "old";
  app.password = "single";
  assert.deepEqual([await ask("old:single"), await ask("kim:a")], ['["old",null]', 401]);
  app.users = {
    get: (name) => name === "kim" ? Promise.resolve(["a", false, 7] as const) : null,
  };
  assert.deepEqual([await ask("kim:a"), await ask("old:single")], ['["kim",7]', 401]);
  app.authorizationHandler(async (was, name) => {
    await Promise.resolve();
    return was.request.path === "/" && name === "call" ? "back" : undefined;
  });
  assert.deepEqual([await ask("call:back"), await ask("kim:a")], ['["call",null]', 401]);
  for (const bad of [true, 7, {}, [], ["a", "yes"]]) {
    app.authorizationHandler(() => bad);
    assert.equal(await ask("call:true"), 500, String(bad));
  }
  app.authorizationHandler(() => {
    throw new Error("the directory is down");
  });
  assert.equal(await ask("call:back"), 500);
});

Deno.test("AUTH-10 before the body is read and hooks run; a preflight is not challenged", async () => {
  const app = new Atila(here);
  app.authenticate = "basic";
  app.users = new Map([["kim", "secret"]]);
  app.accessControlAllowOrigin = ["https://pages.example"];
  const ran: string[] = [];
  app.beforeRequest(() => void ran.push("before"));
  app.failedRequest(() => void ran.push("failed"));
  app.teardownRequest(() => void ran.push("teardown"));
  app.errorHandler(401, (was, { code }) => `${was.request.path} ${code}`);
  app.route("/", { methods: ["POST", "OPTIONS"] }, () => "ok");
  let read = false;
  const body = new ReadableStream({
    pull(controller) {
      read = true;
      controller.enqueue(new Uint8Array(1));
      controller.close();
    },
  }, { highWaterMark: 0 });
  const refused = await app.fetch(new Request("http://h/", { method: "POST", body }));
  assert.deepEqual([refused.status, await refused.text()], [401, "/ 401"], "the app's own page");
  assert.deepEqual([read, ran], [false, []]);
  const preflight = await app.makeClient().options("/", {
    headers: {
      origin: "https://pages.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization",
    },
  });
  assert.equal(preflight.statusCode, 200);
  assert.equal(preflight.headers.get("access-control-allow-headers"), "authorization");
});
