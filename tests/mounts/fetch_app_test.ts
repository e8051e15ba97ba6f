import assert from "node:assert/strict";
import type { FetchInfo } from "../../src/core/app.ts";
import { createContext, type RequestContext, runningContext } from "../../src/core/context.ts";
import { ConfigError } from "../../src/core/errors.ts";
import { ForeignApp, isFetchApp } from "../../src/mounts/fetch_app.ts";
import { was } from "../../src/was/current.ts";
import { currentWas, setWasClass, Was } from "../../src/was/was.ts";
import { tableOf } from "../_support/mounts.ts";

function infoOf(pref: Record<string, unknown> = {}, config: Record<string, unknown> = {}) {
  return {
    mountPoint: "/x/",
    host: "default",
    name: "x",
    pref: { ...pref, config },
    apps: new Map(),
  };
}

function call(
  app: ForeignApp,
  path = "/x/a?b=1",
  init?: RequestInit,
  ctx?: Partial<RequestContext>,
) {
  const req = new Request(`http://h.example${path}`, init);
  return app.handle(req, createContext({ mountPoint: "/x/", ...ctx, url: req.url }));
}

Deno.test("MNT-16 EXT-01 functions and objects with fetch are apps, other things are not", () => {
  assert.ok(isFetchApp(() => new Response()));
  assert.ok(isFetchApp({ fetch: () => new Response() }));
  for (const wrong of [null, undefined, 1, "x", {}, { fetch: 1 }]) assert.ok(!isFetchApp(wrong));
});

Deno.test("MNT-16 an app gets the request itself, its own this, and the facts", async () => {
  const kept: Promise<unknown>[] = [];
  class App {
    greeting = "hi";
    seen: [Request, FetchInfo][] = [];
    fetch(req: Request, info: FetchInfo): Response {
      this.seen.push([req, info]);
      info.waitUntil(Promise.resolve(1));
      return new Response(this.greeting);
    }
  }
  const app = new App();
  const req = new Request("http://h.example/x/a");
  const ctx = createContext({
    url: req.url,
    mountPoint: "/x/",
    remoteAddr: "10.1.2.3",
    remotePort: 99,
    waitUntil: (promise) => void kept.push(promise),
  });
  const res = new ForeignApp(app).handle(req, ctx);
  assert.ok(res instanceof Response);
  assert.equal(await res.text(), "hi");
  const [seen, info] = app.seen[0]!;
  assert.equal(seen, req);
  assert.equal(info.mountPoint, "/x/");
  assert.deepEqual(info.remoteAddr, { transport: "tcp", hostname: "10.1.2.3", port: 99 });
  assert.equal(kept.length, 1);
});

Deno.test("MNT-16 with stripPrefix the app sees the path below its prefix", async () => {
  const app = new ForeignApp(
    async (req) =>
      new Response(`${req.method} ${req.url} ${req.headers.get("x-a")} ${await req.text()}`),
    { stripPrefix: true },
  );
  const init = { method: "PUT", body: "body", headers: { "x-a": "1" } };
  assert.equal(
    await (await call(app, "/x/a?b=/x/", init)).text(),
    "PUT http://h.example/a?b=/x/ 1 body",
  );
  assert.equal(await (await call(app, "/x/")).text(), "GET http://h.example/ null ");
  assert.equal(
    await (await call(app, "/", undefined, { mountPoint: "/" })).text(),
    "GET http://h.example/ null ",
  );
});

Deno.test("EXT-04 what is no Response is an error that says so", async () => {
  const cases: [unknown, string][] = [
    [undefined, "undefined"],
    [null, "null"],
    ["text", "string"],
    [{ a: 1 }, "an object of Object"],
    [Object.create(null), "an object of no class"],
  ];
  for (const [value, what] of cases) {
    const message = `The app mounted at /x/ answered /x/a with ${what} instead of a Response`;
    assert.throws(() => call(new ForeignApp(() => value as Response)), { message });
    await assert.rejects(
      async () => await call(new ForeignApp(() => Promise.resolve(value as Response))),
      { message },
    );
  }
});

Deno.test("EXT-01 EXT-04 a Response of another class is taken over", async () => {
  const foreign = {
    status: 201,
    statusText: "Made",
    headers: new Map([["x-a", "1"]]),
    body: new Blob(["text"]).stream(),
  };
  const res = await call(new ForeignApp(() => foreign as unknown as Response));
  assert.ok(res instanceof Response);
  assert.equal(res.status, 201);
  assert.equal(res.statusText, "Made");
  assert.equal(res.headers.get("x-a"), "1");
  assert.equal(await res.text(), "text");
});

Deno.test("EXT-02 properties on the object and preferences are honoured", () => {
  const plain = new ForeignApp(() => new Response());
  assert.equal(plain.debug, false);
  assert.equal(plain.useReloader, false);
  assert.deepEqual(plain.watched, []);

  const own = Object.assign(() => new Response(), {
    debug: true,
    useReloader: true,
    config: { maxPostBodySize: 7, mine: 1 },
  });
  const config = own.config;
  const app = new ForeignApp(own, { file: "/srv/a.ts" });
  app.attach(infoOf({ title: "T" }, { maxCacheSize: 8 }));
  assert.equal(app.debug, true);
  assert.equal(app.useReloader, true);
  assert.deepEqual(app.watched, ["/srv/a.ts"]);
  assert.equal((own as unknown as { title: string }).title, "T");
  // The object the framework holds is completed, not replaced.
  assert.equal(own.config, config);
  assert.deepEqual(config, {
    maxPostBodySize: 7,
    maxMultipartBodySize: 20 * 1024 * 1024,
    maxUploadFileSize: 20_000_000,
    maxCacheSize: 8,
    mine: 1,
  });
  assert.equal(app.limits.maxPostBodySize, 7);

  const silenced = new ForeignApp(own);
  silenced.attach(infoOf({ debug: false }));
  assert.equal(silenced.debug, false);
});

Deno.test("EXT-02 MNT-26 without a config the app gets the preset limits", async () => {
  const bare = (() => new Response()) as { (): Response; config?: Record<string, unknown> };
  const app = new ForeignApp(bare);
  app.attach(infoOf({ maxClientBodySize: 5 }));
  assert.equal(bare.config?.maxPostBodySize, 5);
  assert.equal(bare.config?.maxCacheSize, 5 * 1024 * 1024);
  assert.throws(() => app.attach(infoOf()), /attached already/);
  await app.lifecycle("mounted");
});

Deno.test("EXT-02 an object that cannot be changed is mounted as it is", () => {
  const frozen = () => Object.freeze({ fetch: () => new Response() });
  new ForeignApp(frozen()).attach(infoOf());
  assert.throws(() => new ForeignApp(frozen()).attach(infoOf({ debug: true })), ConfigError);
  assert.throws(
    () => new ForeignApp(() => new Response()).attach(infoOf({}, { maxPostBodySize: "1" })),
    ConfigError,
  );
});

Deno.test("EXT-03 parallel requests never see each other's context", async () => {
  const gates: (() => void)[] = [];
  const app = new ForeignApp(async (req) => {
    const before = currentWas();
    await new Promise<void>((resolve) => gates.push(resolve));
    await Promise.resolve();
    assert.equal(currentWas(), before);
    assert.equal(before.ctx, runningContext());
    return new Response(`${req.headers.get("x-n")} ${before.txnid()}`);
  });
  const pending = Array.from(
    { length: 20 },
    (_, n) =>
      call(app, "/x/", { headers: { "x-n": String(n) } }, { gtxnid: `g${n}`, ltxnid: 1000 + n }),
  );
  for (const open of gates.toReversed()) open();
  const texts = await Promise.all(pending.map(async (res) => await (await res).text()));
  assert.deepEqual(texts, Array.from({ length: 20 }, (_, n) => `${n} g${n}/${1000 + n}`));
  assert.equal(runningContext(), undefined);
  assert.throws(() => currentWas(), /no request is running/);
});

Deno.test("EXT-06 a subclass of the service object may be supplied", async () => {
  class MyWas extends Was {
    get tenant(): string {
      return `tenant of ${this.ctx?.path}`;
    }
  }
  setWasClass(MyWas);
  try {
    const app = new ForeignApp(() => new Response((currentWas() as MyWas).tenant));
    assert.equal(await (await call(app, "/x/y")).text(), "tenant of /x/y");
    const typed = new ForeignApp(() => new Response(was instanceof MyWas ? was.tenant : "none"));
    assert.equal(await (await call(typed, "/z")).text(), "tenant of /z");
    for (
      const [wrong, name] of [
        [class {}, "a nameless class"],
        [class Other {}, "Other"],
        [undefined, "undefined"],
        [{}, "{}"],
      ] as const
    ) {
      assert.throws(
        () => setWasClass(wrong as unknown as typeof Was),
        new TypeError(`Cannot use ${name} as the class of was: it does not extend Was`),
      );
    }
  } finally {
    setWasClass(Was);
  }
});

Deno.test("EXT-05 authentication and CORS of the server stay out of foreign apps", async () => {
  const seen: (string | null)[] = [];
  const { ask } = await tableOf([["/", (req: Request) => {
    seen.push(req.headers.get("authorization"), req.headers.get("origin"), req.method);
    return new Response("own decision", { status: 203 });
  }]]);
  const res = await ask("/", {
    method: "OPTIONS",
    headers: { authorization: "Basic eDp5", origin: "http://elsewhere.example" },
  });
  assert.equal(res.status, 203);
  assert.equal(res.headers.get("access-control-allow-origin"), null);
  assert.equal(res.headers.get("www-authenticate"), null);
  assert.deepEqual(seen, ["Basic eDp5", "http://elsewhere.example", "OPTIONS"]);
});

Deno.test("OPS-28 MNT-16 a header with a control character is an error, and its body is let go", async () => {
  for (const value of ["a\x01b", "a\x0bb", "\x7f"]) {
    const ended = Promise.withResolvers<void>();
    const body = new ReadableStream({ cancel: () => ended.resolve() });
    const app = new ForeignApp(() => new Response(body, { headers: { "x-a": value } }));
    await assert.rejects(async () => await call(app), {
      name: "TypeError",
      message: "Cannot send header x-a: its value has a line break or another control character",
    });
    await ended.promise;
  }
  const fine = new ForeignApp(() => new Response("x", { headers: { "x-a": "a\tb\x80\xff" } }));
  assert.equal((await call(fine)).headers.get("x-a"), "a\tb\x80\xff");
});

Deno.test("OPS-28 MNT-16 too many header fields, or a name too long, are an error as well", async () => {
  const named = (count: number) =>
    new ForeignApp(() =>
      new Response("x", {
        headers: Array.from({ length: count }, (_, i): [string, string] => [`x-${i}`, "v"]),
      })
    );
  // The type of the body is one more.
  assert.equal((await call(named(511))).status, 200);
  await assert.rejects(async () => await call(named(512)), {
    name: "TypeError",
    message: "Cannot send a response of 513 header fields: 512 are possible",
  });
  const long = new ForeignApp(() => new Response("x", { headers: { ["x".repeat(65536)]: "v" } }));
  await assert.rejects(async () => await call(long), {
    name: "TypeError",
    message: `Cannot send header ${"x".repeat(40)}…: its name has 65536 characters, ` +
      "1024 are possible",
  });
});
