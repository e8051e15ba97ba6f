import assert from "node:assert/strict";
import { join } from "node:path";
import { Atila, Atilary, AtilaWas, events } from "../../src/atila/mod.ts";
import { HttpError } from "../../src/core/errors.ts";
import { wac } from "../../src/was/wac.ts";

const here = import.meta.url;

Deno.test("SUB-01 a sub-app answers below its prefix, with arguments, methods and guards", async () => {
  const app = new Atila(here);
  const admin = new Atilary();
  admin.route("/", () => "start");
  admin.route(
    "/user/<int:id>",
    { methods: ["GET"], args: { full: false } },
    (_was, { id, full }) => {
      const known: number = id;
      return `user ${known} ${full}`;
    },
  );
  app.mount(admin, "/admin");
  admin.route("/late", { use: [app.testpassRequired(() => false)] }, () => "never");
  app.route("/", () => "home");
  const client = app.makeClient("/shop/");
  const ask = async (path: string) => {
    const { statusCode, text } = await client.get(path);
    return statusCode === 200 ? text : statusCode;
  };
  assert.deepEqual(
    await Promise.all(
      ["/", "/admin/", "/admin/user/3?full=yes", "/admin/late", "/user/3"].map(ask),
    ),
    ["home", "start", "user 3 true", 403, 404],
  );
  assert.equal(await ask("/admin"), 301, "like any path that lacks its slash");
  assert.equal((await client.post("/admin/user/3")).statusCode, 405);
  assert.throws(() => app.mount(new Atila(here) as unknown as Atilary, "/x"), /takes a sub-app/);
  assert.throws(() => app.mount(admin, "x"), /write it like/);
});

Deno.test("SUB-02 sub-apps nest and prefixes add up, whatever is mounted first", async () => {
  for (const outerFirst of [true, false]) {
    const app = new Atila(here);
    const [outer, inner] = [new Atilary(), new Atilary()];
    if (outerFirst) app.mount(outer, "/a/");
    outer.mount(inner, "/b");
    inner.route("/c/<x>", (was, { x }) => `${x} ${was.request.path}`);
    if (!outerFirst) app.mount(outer, "/a/");
    assert.equal((await app.makeClient().get("/a/b/c/1")).text, "1 /a/b/c/1");
    assert.throws(() => inner.mount(outer, "/"), /inside itself/);
  }
});

Deno.test("SUB-03 settings are those of the app, hooks its own; was.app and was.subapp", async () => {
  const app = new Atila(here);
  const [part, nested] = [new Atilary(), new Atilary()];
  assert.throws(() => part.config, /not mounted/);
  const ran: string[] = [];
  part.beforeRequest(() => void ran.push("part"));
  const handler = (was: AtilaWas) => {
    assert.equal(was.app, app);
    return was.subapp === part ? "part" : was.subapp === nested ? "nested" : "app";
  };
  part.route("/p", (was) => handler(was));
  nested.route("/n", (was) => handler(was));
  app.route("/", (was) => handler(was));
  part.mount(nested, "/x");
  app.mount(part, "/y");
  app.config.colour = "red";
  app.debug = true;
  assert.deepEqual([part.app, part.config.colour, nested.debug], [app, "red", app.debug]);
  const client = app.makeClient();
  assert.equal((await client.get("/")).text, "app");
  assert.deepEqual(ran, [], "its hooks do not run for others");
  assert.equal((await client.get("/y/p")).text, "part");
  assert.equal((await client.get("/y/x/n")).text, "nested");
  assert.deepEqual(ran, ["part", "part"]);
});

Deno.test("SUB-04 URLs across parts, by name and by function", async () => {
  const app = new Atila(here);
  const part = new Atilary();
  const show = (was: AtilaWas, { id }: { id: string }): string => {
    return `${id} ${was.ab("home")} ${was.ab("show", 2)} ${was.ab(show, 3)}`;
  };
  part.route("/item/<id>", show);
  app.route("/", function home(was) {
    return was.ab("show", "x");
  });
  app.mount(part, "/part");
  const client = app.makeClient("/shop/");
  assert.equal((await client.get("/")).text, "/shop/part/item/x");
  assert.equal(
    (await client.get("/part/item/1")).text,
    "1 /shop/ /shop/part/item/2 /shop/part/item/3",
  );
});

Deno.test("SUB-05 TPL-13 templates of the app for all; those of a part through render2", async () => {
  const directory = await Deno.makeTempDir();
  const write = async (path: string, text: string) => {
    await Deno.mkdir(join(directory, path, ".."), { recursive: true });
    await Deno.writeTextFile(join(directory, path), text);
  };
  try {
    await write("templates/show.html", "app {{ v }}");
    await write("more/extra.html", "extra {{ v }}{% include 'show.html' %}");
    await write(
      "part/templates/show.html",
      "part {{ v | loud }} {{ was.request.path }} {{ who() }}",
    );
    const app = new Atila(join(directory, "app.ts"));
    app.templateDirs.push(join(directory, "more"));
    app.templateFilter("loud", (text: string) => `${text}!`);
    app.templateGlobal("who", (was) => was.app.name);
    const part = new Atilary(new URL(`file://${directory}/part/part.ts`).href);
    part.route("/shared", (was) => was.render("show.html", { v: 1 }));
    part.route("/own", (was) => part.render2(was, "show.html", { v: "x<" }));
    part.route("/more", (was) => was.render("extra.html", { v: 2 }));
    app.mount(part, "/p");
    const client = app.makeClient();
    assert.equal((await client.get("/p/shared")).text, "app 1");
    assert.equal((await client.get("/p/own")).text, "part x&lt;! /p/own app");
    assert.equal((await client.get("/p/more")).text, "extra 2app 2");
    const homeless = new Atilary();
    assert.throws(() => homeless.render2({} as AtilaWas, "x.html"), /has no directory/);
    const was = new AtilaWas(app);
    const render2 = part.render2.bind(part) as (...args: unknown[]) => unknown;
    for (const values of [[[1]], ["text"], [null], [{}, {}]]) {
      assert.throws(
        () => render2(was, "show.html", ...values),
        /TypeError: Cannot render show\.html: values are one object/,
      );
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("HOOK-21 the hooks of the app around those of the part around the handler", async () => {
  const app = new Atila(here);
  const part = new Atilary();
  const inner = new Atilary();
  const ran: string[] = [];
  for (const [name, level] of [["app", app], ["part", part], ["inner", inner]] as const) {
    level.beforeRequest(() => void ran.push(`${name} before`));
    level.finishRequest(() => void ran.push(`${name} finish`));
    level.failedRequest(() => void ran.push(`${name} failed`));
    level.teardownRequest(() => void ran.push(`${name} teardown`));
  }
  inner.route("/ok", () => {
    ran.push("handler");
    return "ok";
  });
  inner.route("/no", () => {
    ran.push("handler");
    throw new HttpError(409);
  });
  part.mount(inner, "/i");
  app.mount(part, "/p");
  const client = app.makeClient();
  assert.equal((await client.get("/p/i/ok")).text, "ok");
  assert.deepEqual(ran.splice(0), [
    "app before",
    "part before",
    "inner before",
    "handler",
    "inner finish",
    "inner teardown",
    "part finish",
    "part teardown",
    "app finish",
    "app teardown",
  ]);
  assert.equal((await client.get("/p/i/no")).statusCode, 409);
  assert.deepEqual(ran, [
    "app before",
    "part before",
    "inner before",
    "handler",
    "inner failed",
    "inner teardown",
    "part failed",
    "part teardown",
    "app failed",
    "app teardown",
  ]);
});

Deno.test("HOOK-02 HOOK-03 HOOK-21 EVT-05 a handler that returns nothing has failed, and only failed", async () => {
  const calls: string[] = [];
  const note = (call: string) => () => void calls.push(call);
  const app = new Atila(import.meta.url);
  app.finishRequest(note("finish"));
  app.failedRequest(note("failed"));
  app.on(events.requestSuccess, note("success"));
  app.on(events.requestFailed, note("failure"));
  const part = new Atilary();
  part.finishRequest(note("part finish"));
  part.failedRequest(note("part failed"));
  part.teardownRequest(note("part teardown"));
  for (const place of [app, part]) {
    place.route("/nothing", (() => undefined) as never);
    place.route("/later", (() => Promise.resolve(null)) as never);
    place.route("/empty", () => "");
    place.route("/status", (was) => was.response("204 No Content"));
  }
  app.mount(part, "/part");
  const client = app.makeClient();
  const ask = async (path: string) => {
    calls.length = 0;
    return [(await client.get(path)).statusCode, ...calls];
  };
  const failed = ["failure", "failed"];
  const finished = ["success", "finish"];
  for (const path of ["/nothing", "/later"]) {
    assert.deepEqual(await ask(path), [500, ...failed]);
    assert.deepEqual(await ask(`/part${path}`), [500, "part failed", "part teardown", ...failed]);
  }
  assert.deepEqual(await ask("/empty"), [200, ...finished]);
  assert.deepEqual(await ask("/status"), [204, ...finished]);
  for (const [path, status] of [["/part/empty", 200], ["/part/status", 204]] as const) {
    assert.deepEqual(await ask(path), [status, "part finish", "part teardown", ...finished]);
  }
});

Deno.test("HOOK-21 what a hook of a part returns is the response", async () => {
  const app = new Atila(here);
  const part = new Atilary();
  let gate: string | undefined = undefined;
  part.beforeRequest(() => gate);
  part.failedRequest((was, error) =>
    error instanceof HttpError ? undefined : was.response("200 OK", "saved")
  );
  part.route("/ok", () => "ok");
  part.route("/bug", () => {
    throw new Error("bug");
  });
  part.route("/no", () => {
    throw new HttpError(410);
  });
  app.mount(part, "/p");
  const client = app.makeClient();
  assert.equal((await client.get("/p/bug")).text, "saved");
  assert.equal((await client.get("/p/no")).statusCode, 410);
  gate = "stopped";
  assert.equal((await client.get("/p/ok")).text, "stopped");
});

Deno.test("HOOK-03 HOOK-21 a failed hook of a part answers from the start, and the error is logged", async () => {
  const app = new Atila(here);
  const part = new Atilary();
  const traced: string[] = [];
  let closed = 0;
  part.failedRequest(() => "sorry");
  part.finishRequest((was) => {
    if (was.request.path.endsWith("/stream")) throw new Error("the hook broke");
  });
  part.route("/bug", (was) => {
    was.response.setStatus(201);
    was.cookie.set("a", "1");
    throw new Error("bug");
  });
  part.route("/backend", (was) => was.response.throw(502, "no backend"));
  part.route("/conflict", (was) => was.response.throw(409));
  part.route("/stream", () => ({ read: () => "x", close: () => void closed++ }));
  app.mount(part, "/p");
  const before = wac.logger;
  const log = {
    log: () => {},
    trace: (error: unknown) => void traced.push((error as Error).message),
  };
  wac.logger = { ...before, get: () => log } as unknown as typeof before;
  try {
    const client = app.makeClient();
    for (const path of ["/p/bug", "/p/backend", "/p/conflict", "/p/stream"]) {
      const { statusCode, text, headers } = await client.get(path);
      assert.deepEqual([statusCode, text, headers.get("set-cookie")], [200, "sorry", null], path);
    }
  } finally {
    wac.logger = before;
  }
  assert.deepEqual(traced, ["bug", "no backend", "the hook broke"]);
  assert.equal(closed, 1, "what was not sent is closed");
});
