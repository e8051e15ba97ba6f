import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { join } from "node:path";
import { Atila, type AtilaWas, events } from "../../src/atila/mod.ts";
import { HttpError } from "../../src/core/errors.ts";
import { deflu } from "../../src/was/shared.ts";
import { type Wac, wac } from "../../src/was/wac.ts";
import { listLog } from "../_support/list_log.ts";
import { tableOf } from "../_support/mounts.ts";

/** Runs code as it is run outside of requests. */
const outside = AsyncLocalStorage.snapshot();

const here = import.meta.url;

/** Runs a test with the app log kept in a list. */
async function logged(test: (lines: readonly string[]) => Promise<void> | void): Promise<void> {
  const log = listLog();
  const { logger } = wac;
  wac.logger = { get: () => log, rotate: () => {} } as unknown as typeof wac.logger;
  try {
    await test(log.lines);
  } finally {
    wac.logger = logger;
  }
}

Deno.test("EVT-01 EVT-02 handlers of one or more events get was and the arguments, in order", async () => {
  const app = new Atila(here);
  const seen: unknown[] = [];
  const first = app.on("sold", "returned", (was: AtilaWas, ...args) => {
    seen.push(["first", was.request.path, ...args]);
  });
  app.on("sold", async (was: AtilaWas, item: string) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    seen.push(["slow", was.request.path, item]);
  });
  app.on("sold", (_was, item) => seen.push(["last", item]));
  app.on("sold", first);
  app.route("/sell/<item>", async (was, { item }) => {
    await was.emit("sold", item, 3);
    app.emit("nobody listens", 1);
    return "ok";
  });
  app.route("/back", () => {
    app.emit("returned");
    return "ok";
  });
  const client = app.makeClient();
  assert.equal((await client.get("/sell/pen")).text, "ok");
  assert.deepEqual(
    seen.splice(0),
    [["first", "/sell/pen", "pen", 3], ["slow", "/sell/pen", "pen"], ["last", "pen"]],
    "in order, one that takes time before the next, and each subscribed once",
  );
  assert.equal((await client.get("/back")).text, "ok");
  assert.deepEqual(seen, [["first", "/back"]], "app.emit finds the running request");
});

Deno.test("EVT-01 what cannot be subscribed says so", () => {
  const app = new Atila(here);
  assert.throws(() => app.on(() => {}), /no event is named/);
  assert.throws(() => app.on("a", "b" as never), /a function/);
  assert.throws(() => app.on("", () => {}), /event name/);
});

Deno.test("EVT-01 EVT-12 a service that is reloaded replaces its handlers, of app and broadcast", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const file = join(directory, "greet.ts");
    const write = (word: string) =>
      Deno.writeTextFile(
        file,
        `export function mount(app, options) {
           app.on("greet", (_was, out) => out.push("${word} of app"));
           app.onBroadcast("greet", (_was, out) => out.push("${word} of all"));
         }`,
      );
    await write("hello");
    const app = new Atila(here);
    await app.mountWith(file);
    app.on("greet", (_was, out: string[]) => out.push("own"));
    const emit = async () => {
      const out: string[] = [];
      await app.emit("greet", out);
      await app.broadcast("greet", out);
      return out;
    };
    assert.deepEqual(await emit(), ["hello of app", "own", "hello of all"]);
    for (let round = 0; round < 3; round++) {
      await write(`bye ${round}`);
      await app.reloadService(file);
      assert.deepEqual(
        await emit(),
        ["own", `bye ${round} of app`, `bye ${round} of all`],
        "replaced, not duplicated",
      );
    }
    await app.mountWith(file);
    assert.equal((await emit()).length, 3, "mounting it once more replaces it, too");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("EVT-03 EVT-09 an event after what it wraps, in chains, and only after success", async () => {
  const app = new Atila(here);
  const seen: string[] = [];
  app.on(
    "saved",
    app.emitAfter("indexed")((_was, ...args) => void seen.push(`saved ${args.length}`)),
  );
  app.on("indexed", (was: AtilaWas) => void seen.push(`indexed ${was.request.path}`));
  app.onBroadcast("told", () => void seen.push("told"));
  app.route("/save", { use: [app.emitAfter("saved"), app.broadcastAfter("told")] }, () => "ok");
  app.route(
    "/wrapped",
    app.emitAfter("saved")(async function wrapped() {
      await Promise.resolve();
      return "fine";
    }),
  );
  app.route("/fails", { use: [app.emitAfter("saved")] }, () => {
    throw new HttpError(409);
  });
  const client = app.makeClient();
  assert.equal((await client.get("/save")).text, "ok");
  assert.deepEqual(seen.splice(0), ["told", "saved 0", "indexed /save"]);
  assert.equal((await client.get("/wrapped")).text, "fine");
  assert.deepEqual(seen.splice(0), ["saved 0", "indexed /wrapped"]);
  assert.equal(app.buildUrl("wrapped"), "/wrapped", "the name of the handler is kept");
  assert.equal((await client.get("/fails")).statusCode, 409);
  assert.deepEqual(seen, []);
});

Deno.test("EVT-04 life-cycle events come with wac or was, at start, reload and stop", async () => {
  const app = new Atila(here);
  const seen: string[] = [];
  const note = (name: string) =>
    app.on(name, (object: Wac | AtilaWas) => {
      seen.push(
        `${name} ${object === wac ? "wac" : (object as AtilaWas).app === app ? "was" : "?"}`,
      );
    });
  const { appStarting, appStarted, appRestarting, appRestarted, appMounted, appUnmounting } =
    events;
  for (
    const name of [appStarting, appStarted, appRestarting, appRestarted, appMounted, appUnmounting]
  ) note(name);
  for (const phase of ["beforeMount", "mounted", "mountedOrReloaded"] as const) {
    await app.lifecycle(phase);
  }
  assert.deepEqual(seen.splice(0), ["app:starting wac", "app:started wac", "app:mounted was"]);
  await app.lifecycle("beforeReload");
  assert.deepEqual(seen.splice(0), ["app:restarting wac"]);
  for (const phase of ["reloaded", "mountedOrReloaded", "beforeUmount", "umounted"] as const) {
    await app.lifecycle(phase);
  }
  assert.deepEqual(seen, ["app:restarted wac", "app:mounted was", "app:unmounting was"]);
});

Deno.test("EVT-05 request events in the order of the request", async () => {
  const app = new Atila(here);
  const seen: string[] = [];
  const { requestStarting, requestSuccess, requestFailed, requestTearingDown, requestFinished } =
    events;
  for (const name of [requestStarting, requestSuccess, requestTearingDown, requestFinished]) {
    app.on(name, async (was: AtilaWas) => {
      await Promise.resolve();
      seen.push(`${name} ${was.request.path}`);
    });
  }
  app.on(
    requestFailed,
    (_was, error: Error) => void seen.push(`${requestFailed} ${error.message}`),
  );
  app.beforeRequest(() => void seen.push("before"));
  app.finishRequest(() => void seen.push("finish"));
  app.failedRequest(() => void seen.push("failed"));
  app.teardownRequest(() => void seen.push("teardown"));
  app.route("/ok", () => "ok");
  app.route("/no", () => {
    throw new HttpError(409, "conflict");
  });
  const client = app.makeClient();
  await client.get("/ok");
  assert.deepEqual(seen.splice(0), [
    "request:started /ok",
    "before",
    "request:success /ok",
    "finish",
    "request:teardown /ok",
    "teardown",
    "request:finished /ok",
  ]);
  assert.equal((await client.get("/no")).statusCode, 409);
  assert.deepEqual(seen, [
    "request:started /no",
    "before",
    "request:failed conflict",
    "failed",
    "request:teardown /no",
    "teardown",
    "request:finished /no",
  ]);
});

Deno.test("EVT-06 TPL-11 template events; values may be changed before rendering", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(directory, "templates"));
    await Deno.writeTextFile(join(directory, "templates", "t.html"), "{{ a }} {{ b }}");
    await Deno.writeTextFile(join(directory, "templates", "t.vto"), "{{ a }}-{{ b }}");
    const app = new Atila(join(directory, "app.ts"));
    const texts: string[] = [];
    app.on(events.templateRendering, (_was, template: string, values: Record<string, unknown>) => {
      values.b = `${template}!`;
    });
    app.on(events.templateRendered, (was: AtilaWas, text: string) => {
      texts.push(`${was.request.path} ${text}`);
    });
    app.route("/<name>", (was, { name }) => was.render(name, { a: 1 }));
    const client = app.makeClient();
    assert.equal((await client.get("/t.html")).text, "1 t.html!");
    assert.equal((await client.get("/t.vto")).text, "1-t.vto!");
    assert.deepEqual(texts, ["/t.html 1 t.html!", "/t.vto 1-t.vto!"]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("EVT-07 EVT-08 EVT-13 a broadcast reaches all apps of the same host, and no other", async () => {
  const seen: string[] = [];
  const [one, two, foreign] = ["one", "two", "foreign"].map((name) => {
    const app = new Atila(`/srv/${name}.ts`);
    app.onBroadcast("user:gone", "user:new", (was: AtilaWas, id: number) => {
      seen.push(`${name} ${was.app.name} ${id}`);
    });
    app.on("user:gone", () => assert.fail("a broadcast is no event of the app"));
    return app;
  });
  two!.onSignal("models.Photo", (_was, sender: string) => void seen.push(`signal ${sender}`));
  one!.route("/go/<int:id>", (was, { id }) => {
    was.broadcast("user:gone", id);
    was.broadcast("models.Photo", "P");
    was.broadcast("nobody");
    return "ok";
  });
  const { ask } = await tableOf([
    ["/one", one],
    ["/two", two],
    ["/", foreign, { host: "other.example" }],
  ]);
  assert.equal((await ask("/one/go/7")).status, 200);
  assert.deepEqual(seen.splice(0), ["one one 7", "two one 7", "signal P"]);
  // The runtime may not have left the frame of the request above.
  await outside(() => two!.broadcast("user:new", 8));
  assert.deepEqual(seen, ["two two 8", "one two 8"], "the app itself first");
});

Deno.test("EVT-08 a function is either a route or a listener to broadcasts", () => {
  const app = new Atila(here);
  const both = () => "ok";
  app.onBroadcast("x", both);
  assert.throws(() => app.route("/x", both), /cannot be a route/);
  const routed = app.route("/y", () => "y");
  assert.throws(() => app.onBroadcast("y", routed), /cannot listen/);
});

Deno.test("EVT-10 a faulty handler is logged, and the others run", async () => {
  await logged(async (lines) => {
    const app = new Atila(here);
    const seen: string[] = [];
    for (const on of ["on", "onBroadcast"] as const) {
      app[on]("e", () => {
        throw new Error(`${on} is broken`);
      });
      app[on]("e", () => Promise.reject(new Error(`${on} is late`)));
      app[on]("e", () => void seen.push(on));
    }
    app.on(events.requestFinished, () => Promise.reject(new Error("finished is broken")));
    app.route("/", async (was) => {
      await was.emit("e");
      await was.broadcast("e");
      return "ok";
    });
    assert.equal((await app.makeClient().get("/")).text, "ok");
    assert.deepEqual(seen, ["on", "onBroadcast"]);
    const errors = lines.map((line) => line.split("\n")[0]);
    assert.deepEqual(errors, [
      "expt:events_test:e Error: on is broken",
      "expt:events_test:e Error: on is late",
      "expt:events_test:e Error: onBroadcast is broken",
      "expt:events_test:e Error: onBroadcast is late",
      "expt:events_test:request:finished Error: finished is broken",
    ]);
  });
});

Deno.test("EVT-10 a handler that takes time keeps the worker, not the response", async () => {
  const app = new Atila(here);
  const gate = Promise.withResolvers<void>();
  const waited: Promise<unknown>[] = [];
  app.on("slow", () => gate.promise);
  app.route("/", (was) => {
    (was.ctx as { waitUntil: unknown }).waitUntil = (promise: Promise<unknown>) => {
      waited.push(promise);
    };
    was.emit("slow");
    return "at once";
  });
  assert.equal((await app.makeClient().get("/")).text, "at once");
  assert.equal(waited.length, 1);
  gate.resolve();
  await Promise.all(waited);
});

Deno.test("EVT-14 setlu broadcasts the key, the change of the model, and that some model changed", async () => {
  deflu("tables.users");
  const seen: unknown[] = [];
  const [one, two] = ["one", "two"].map((name) => {
    const app = new Atila(`/srv/${name}.ts`);
    for (const event of ["tables.users", "model-changed:tables.users", "model-changed"]) {
      app.onBroadcast(event, (was: AtilaWas, ...args: unknown[]) => {
        seen.push([name, event, was.request.path, ...args]);
      });
    }
    return app;
  });
  one!.route("/save", (was) => {
    was.setlu("tables.users", "row", 7);
    return "ok";
  });
  one!.route("/unknown", (was) => {
    was.setlu("tables.unknown");
    return "ok";
  });
  const { ask } = await tableOf([["/one", one], ["/two", two]]);
  assert.equal((await ask("/one/save")).status, 200);
  assert.deepEqual(
    seen.splice(0),
    ["tables.users", "model-changed:tables.users", "model-changed"].flatMap((event) =>
      ["one", "two"].map((name) => [name, event, "/one/save", "row", 7])
    ),
  );
  assert.equal((await ask("/one/unknown")).status, 500, "a key nobody declared");
  assert.deepEqual(seen, []);
});
