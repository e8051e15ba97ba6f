import assert from "node:assert/strict";
import { join } from "node:path";
import {
  Atila,
  type AtilaWas,
  type ServiceModule,
  type ServiceOptions,
} from "../../src/atila/mod.ts";
import { wac } from "../../src/was/wac.ts";
import { freePort } from "../_support/free_port.ts";
import { recordLogs } from "../_support/log_recorder.ts";
import { tableOf } from "../_support/mounts.ts";
import { until, Workshop } from "../_support/service_process.ts";

const here = import.meta.url;

/** A module as `import * as account from "./services/account.ts"` would give it. */
const account = {
  log: [] as string[],
  mount(app: Atila, options: ServiceOptions & { greeting?: string }): void {
    app.route("/signin", function signin(was) {
      return `${options.greeting ?? "hi"} ${was.ab("account.signin")} ${was.ab("account:signin")}`;
    });
    app.route("/free", { authenticate: null }, function free() {
      return "free";
    });
    app.beforeRequest((was) => void was.response.setHeader("x-account", "yes"));
    app.errorHandler(404, () => "account 404");
  },
  umount(app: Atila): void {
    account.log.push(`umount ${app.name}`);
  },
};

Deno.test("SUB-06 SUB-08 a module mounts with prefix, namespace and options of its own", async () => {
  const app = new Atila(here);
  app.mountWith(account, { point: "/account", ns: "account", greeting: "hello" });
  app.route("/signin", function signin() {
    return "the app's own";
  });
  const client = app.makeClient("/x/");
  assert.equal(
    (await client.get("/account/signin")).text,
    "hello /x/account/signin /x/account/signin",
  );
  assert.equal((await client.get("/signin")).text, "the app's own");
  assert.equal(
    (await client.get("/signin")).headers.get("x-account"),
    "yes",
    "hooks are the app's",
  );
  assert.equal(app.buildUrl("account.signin"), "/account/signin");
  assert.equal(app.buildUrl("signin"), "/signin");
});

Deno.test("SUB-08 authenticate protects the routes of a service that do not say otherwise", async () => {
  const app = new Atila(here);
  app.users = new Map([["kim", "secret"]]);
  app.route("/", () => "open");
  app.mountWith(account, { point: "/account", ns: "account", authenticate: "basic" });
  const client = app.makeClient();
  assert.equal((await client.get("/")).statusCode, 200);
  assert.equal((await client.get("/account/free")).statusCode, 200);
  assert.equal((await client.get("/account/signin")).statusCode, 401);
  const headers = { authorization: `Basic ${btoa("kim:secret")}` };
  assert.equal((await client.get("/account/signin", { headers })).statusCode, 200);
});

Deno.test("SUB-08 debugOnly mounts under debug only, also when the mount turns it on", async () => {
  const tool = { mount: (app: Atila) => void app.route("/tool", () => "tool") };
  const status = async (app: Atila) => (await app.makeClient().get("/tool")).statusCode;
  const off = new Atila(here);
  off.mountWith(tool, { debugOnly: true });
  assert.equal(await status(off), 404);
  const on = new Atila(here);
  on.debug = true;
  on.mountWith(tool, { debugOnly: true });
  assert.equal(await status(on), on.debug ? 200 : 404);
  const later = new Atila(here);
  later.mountWith(tool, { debugOnly: true });
  await tableOf([["/", later, { pref: { debug: true, config: {} } }]]);
  assert.equal(await status(later), later.debug ? 200 : 404);
  assert.equal(later.debug, true, "tests run in development");
});

Deno.test("SUB-08 options that cannot be used say so", () => {
  const app = new Atila(here);
  assert.throws(() => app.mountWith({} as typeof account), /exports no function "mount"/);
  assert.throws(() => app.mountWith(account, { point: "account" }), /no prefix/);
  assert.throws(() => app.mountWith(account, { ns: "a.b" }), /no namespace/);
  assert.throws(() => app.mountWith(account, { authenticate: "magic" as never }), /cannot auth/);
});

Deno.test("SUB-07 SUB-10 umount runs once, what was registered is gone, the rest stays", async () => {
  const app = new Atila(here);
  app.route("/", () => "home");
  app.mountWith(account, { point: "/account", ns: "account" });
  const client = app.makeClient();
  assert.equal((await client.get("/nowhere")).text, "account 404");
  account.log.length = 0;
  assert.equal(await app.umountService(account), true);
  assert.deepEqual(account.log, ["umount services_test"]);
  assert.equal((await client.get("/account/signin")).statusCode, 404);
  assert.equal((await client.get("/")).headers.get("x-account"), null);
  assert.notEqual((await client.get("/nowhere")).text, "account 404");
  assert.throws(() => app.buildUrl("account.signin"), ReferenceError);
  assert.equal(await app.umountService(account), false);
  app.mountWith(account, { point: "/account" });
  await app.lifecycle("beforeUmount");
  assert.equal((await client.get("/account/free")).text, "free", "requests under way are answered");
  await app.lifecycle("umounted");
  assert.deepEqual(account.log, ["umount services_test", "umount services_test"]);
});

Deno.test("SUB-06 a module may take time; what fails leaves nothing behind", async () => {
  const app = new Atila(here);
  const slow = {
    async mount(app: Atila) {
      app.route("/early", () => "early");
      await new Promise((resolve) => setTimeout(resolve, 5));
      app.route("/late", () => "late");
    },
  };
  const done = app.mountWith(slow, { point: "/slow" });
  app.route("/meanwhile", () => "not part of it");
  await app.lifecycle("beforeMount");
  const client = app.makeClient();
  assert.equal((await client.get("/slow/late")).text, "late", "the start waited for it");
  assert.equal((await client.get("/meanwhile")).statusCode, 200);
  await done;
  await app.umountService(slow);
  assert.equal((await client.get("/slow/late")).statusCode, 404);
  assert.equal((await client.get("/meanwhile")).statusCode, 200);

  const broken = {
    mount(app: Atila) {
      app.route("/half", () => "half");
      throw new Error("no database");
    },
  };
  assert.throws(() => app.mountWith(broken), /no database/);
  const late = {
    mount: (app: Atila) => slow.mount(app).then(() => Promise.reject(new Error("no"))),
  };
  await assert.rejects(async () => await app.mountWith(late), /no/);
  for (const path of ["/half", "/early", "/late"]) {
    assert.equal((await client.get(path)).statusCode, 404, path);
  }
});

Deno.test("SUB-09 a changed file: routes replaced, others untouched; a broken one changes nothing", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(directory, "services"));
    const file = join(directory, "services", "shop.ts");
    const write = (body: string, more = "") =>
      Deno.writeTextFile(
        file,
        `export function mount(app, { ns }) { ${body} }
         export function umount(app) { app.store.set("left", (app.store.get("left") ?? 0) + 1); }
         ${more}`,
      );
    const app = new Atila(join(directory, "app.ts"));
    app.route("/", () => "home");
    await write(`app.route("/one", () => "1 " + ns); app.route("/gone", () => "x")`);
    await app.mountWith("services/shop.ts", { point: "/shop", ns: "shop" });
    const client = app.makeClient();
    const ask = async (path: string) => {
      const { statusCode, text } = await client.get(path);
      return statusCode === 200 ? text : statusCode;
    };
    assert.deepEqual([await ask("/shop/one"), await ask("/shop/gone")], ["1 shop", "x"]);

    await write(`app.route("/one", () => "2 " + ns); app.route("/two", () => "new")`);
    await app.reloadService("./services/shop.ts");
    assert.deepEqual(
      [await ask("/shop/one"), await ask("/shop/two"), await ask("/shop/gone"), await ask("/")],
      ["2 shop", "new", 404, "home"],
    );
    assert.equal(app.store.get("left"), 1);

    await write(`app.route(`);
    await assert.rejects(app.reloadService("./services/shop.ts"));
    assert.equal(await ask("/shop/two"), "new");
    assert.equal(app.store.get("left"), 1, "what cannot be imported unmounts nothing");

    await write(`app.route("/one", () => "3"); throw new Error("cannot mount")`);
    await assert.rejects(app.reloadService("./services/shop.ts"), /cannot mount/);
    assert.equal(await ask("/shop/one"), "2 shop", "the old one is back");
    await assert.rejects(app.reloadService("./other.ts"), /no service was mounted/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("SUB-07 SUB-09 a service whose umount fails is replaced all the same, and the failure told", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const file = join(directory, "shop.ts");
    const write = (text: string, umount = "") =>
      Deno.writeTextFile(
        file,
        `export const mount = (app) => void app.route("/", () => "${text}");
         export function umount() { ${umount} }`,
      );
    const app = new Atila(join(directory, "app.ts"));
    const client = app.makeClient();
    await write("one", `throw new Error("no umount")`);
    await app.mountWith("shop.ts", { point: "/shop" });
    await write("two");
    await assert.rejects(app.reloadService("shop.ts"), /no umount/);
    assert.equal((await client.get("/shop/")).text, "two");
    await write("three");
    await app.reloadService("shop.ts");
    assert.equal((await client.get("/shop/")).text, "three");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("SUB-07 SUB-09 of reloads at once, each unmounts what the one before has mounted", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      join(directory, "shop.ts"),
      `const note = (app, what) => app.store.set("log", (app.store.get("log") ?? "") + what);
       export async function mount(app) { note(app, "("); await null; app.route("/", () => "shop"); }
       export async function umount(app) { await null; note(app, ")"); }`,
    );
    const app = new Atila(join(directory, "app.ts"));
    await app.mountWith("shop.ts");
    await Promise.all([1, 2, 3].map(() => app.reloadService("shop.ts")));
    assert.equal(await app.umountService("shop.ts"), true);
    const log = app.store.get("log") as string;
    assert.match(log, /^(\(\))+$/, "none is mounted beside another, none unmounted twice");
    assert.equal((await app.makeClient().get("/")).statusCode, 404);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("SUB-07 SUB-10 a service is taken away, or mounted again, while it is being mounted", async () => {
  const app = new Atila(here);
  const client = app.makeClient();
  const log: string[] = [];
  let open = Promise.withResolvers<void>();
  const slow = {
    async mount(app: Atila) {
      await open.promise;
      app.route("/slow", () => "slow");
      log.push("mount");
    },
    umount: () => void log.push("umount"),
  };
  const mounted = app.mountWith(slow);
  const taken = app.umountService(slow);
  open.resolve();
  await mounted;
  assert.equal(await taken, true);
  assert.deepEqual(log.splice(0), ["mount", "umount"]);
  assert.equal((await client.get("/slow")).statusCode, 404);

  await Promise.all([app.mountWith(slow), app.mountWith(slow)]);
  assert.deepEqual(log.splice(0), ["mount", "umount", "mount"]);
  assert.equal((await client.get("/slow")).text, "slow");
  await app.umountService(slow);
  assert.deepEqual(log.splice(0), ["umount"]);

  open = Promise.withResolvers();
  const failing = app.mountWith(slow);
  const gone = app.umountService(slow);
  open.reject(new Error("no database"));
  await assert.rejects(async () => await failing, /no database/);
  assert.equal(await gone, true);
  assert.deepEqual(log, [], "what was never mounted is not unmounted");
});

Deno.test("SUB-06 the failure of a mount that nobody waits for stands in the log", async () => {
  using recorded = recordLogs();
  const app = new Atila(here);
  app.mountWith("services/nowhere.ts");
  app.mountWith({ mount: () => Promise.reject(new Error("no database")) });
  await app.lifecycle("beforeMount");
  const told = recorded.entries.map(({ type, text }) => `${type} ${text}`).join("\n");
  assert.match(told, /^expt Error: no database$/m);
  assert.match(told, /Module not found .*nowhere\.ts/);
});

Deno.test("SUB-06 SUB-09 an app that lacks a service is not mounted, and does not replace one that is", async () => {
  using _recorded = recordLogs();
  const appWith = (target: string | ServiceModule): Atila => {
    const app = new Atila(here);
    app.route("/", () => "unguarded");
    app.mountWith(target);
    return app;
  };
  const failing = { mount: () => Promise.reject(new Error("no database")) };
  const fine: ServiceModule = {
    async mount(app: Atila) {
      await Promise.resolve();
      app.route("/service", () => `at ${app.mountPoint}`);
    },
  };

  const { table, text, ask } = await tableOf([["/a", appWith(failing)], ["/b", appWith(fine)]]);
  assert.deepEqual(table.missing, ["default /a"]);
  assert.equal((await ask("/a/")).status, 404);
  assert.equal(await text("/b/service"), "at /b/");

  await assert.rejects(
    tableOf([["/a", appWith("services/nowhere.ts")], ["/b", appWith(fine)]], { mayMiss: [] }),
    /mount\("\/a".*could not be loaded again: .*nowhere\.ts/,
  );
  await assert.rejects(tableOf([["/", appWith(failing)]]), /nothing could be mounted: no database/);
});

Deno.test("SUB-06 a failure that somebody waits for is theirs", async () => {
  using _recorded = recordLogs();
  const failing = { mount: () => Promise.reject(new Error("no database")) };
  const app = new Atila(here);
  await assert.rejects(async () => await app.mountWith(failing), /no database/);
  await app.ready();
  const caught = Promise.resolve(app.mountWith(failing)).catch(() => "without it");
  await app.ready();
  assert.equal(await caught, "without it");
  app.mountWith(failing);
  await assert.rejects(app.ready(), /no database/);
});

Deno.test("SUB-09 SUB-10 HOOK-19 HOOK-20 EVT-11 services in a real server with the reloader", async () => {
  await using workshop = await Workshop.open();
  const root = new URL("../../", import.meta.url);
  const services = join(workshop.appPath, "services");
  await Deno.mkdir(services);
  const service = (word: string) =>
    Deno.writeTextFile(
      join(services, "news.ts"),
      `import { writeFileSync } from "node:fs";
       export function mount(app) {
         app.route("/news", () => "${word}");
         app.on("tick", (was) => was.app.store.set("ticks", (was.app.store.get("ticks") ?? 0) + 1));
       }
       export function umount(app) {
         writeFileSync(${
        JSON.stringify(join(workshop.path, "umounted"))
      }, "${word}", { append: true });
       }`,
    );
  await service("old");
  await Deno.writeTextFile(
    join(services, "unused.ts"),
    `export const mount = (app) => app.route("/unused", () => "no");`,
  );
  const port = freePort();
  const script = join(workshop.appPath, "app.ts");
  await Deno.writeTextFile(
    script,
    `import * as skitai from "${new URL("mod.ts", root)}";
     import { Atila } from "${new URL("src/atila/mod.ts", root)}";
     import * as news from "./services/news.ts";
     export const app = new Atila(import.meta.url);
     app.debug = true;
     app.useReloader = true;
     app.config.maintainInterval = 0.05;
     app.mountWith(news);
     app.mounted((was) => was.app.store.set("cache", "filled at mounted"));
     app.reloaded((was) => was.app.store.set("cache", "filled at reloaded"));
     app.maintain((was, now) => was.app.store.set("maintained", Math.abs(Date.now() - now) < 5000));
     app.route("/cache", (was) => was.app.store.get("cache"));
     app.route("/maintained", (was) => String(was.app.store.get("maintained")));
     app.route("/tick", async (was) => { await was.emit("tick"); return String(was.app.store.get("ticks")); });
     skitai.mount("/", app);
     skitai.run({ port: ${port}, name: "news", threads: 0 });`,
  );
  const process = workshop.start(script, {
    flags: ["--unstable-net", "--config", new URL("deno.json", root).pathname],
    env: { SKITAI_ENV: "DEVEL" },
  });
  const get = async (path: string): Promise<string | number> => {
    try {
      const res = await fetch(`http://127.0.0.1:${port}${path}`);
      const text = await res.text();
      return res.status === 200 ? text : res.status;
    } catch {
      // Not listening yet.
      return 0;
    }
  };
  await until(() => get("/news"), (text) => text === "old", process.lines.join("\n"));
  assert.equal(await get("/cache"), "filled at mounted");
  assert.equal(await get("/unused"), 404, "a module nobody imports is not active");
  assert.deepEqual([await get("/tick"), await get("/tick")], ["1", "2"]);
  await until(() => get("/maintained"), (text) => text === "true", "maintain did not run");

  await service("new");
  await until(() => get("/news"), (text) => text === "new", "the service was not reloaded");
  assert.equal(await get("/cache"), "filled at reloaded");
  assert.equal(await get("/tick"), "1", "one handler, in a worker of its own");
  await until(
    () => Deno.readTextFile(join(workshop.path, "umounted")).catch(() => ""),
    (text) => text === "old",
    "the old service was not unmounted",
  );
});

Deno.test("XAPP-01 URL-09 apps of a host find each other by file name", async () => {
  const [shop, search, elsewhere] = ["shop", "search", "elsewhere"].map((name) =>
    new Atila(`/srv/${name}.ts`)
  );
  search!.config.savePath = "/var/search";
  search!.store.set("size", 5);
  search!.mountWith({
    mount: (app: Atila) =>
      void app.route("/in/<q>", function inside() {
        return "in";
      }),
  }, { ns: "deep" });
  search!.route("/query", { args: { q: "" } }, function query() {
    return "found";
  });
  search!.route("/tags/<tag>/<int:page>", function tags() {
    return "tags";
  });
  const run = (fn: (was: AtilaWas) => unknown) => {
    shop!.route("/", (was) => JSON.stringify(fn(was)));
    return "/shop/";
  };
  const { text } = await tableOf([
    ["/shop", shop],
    ["/find", search],
    ["/", elsewhere, { host: "other.example" }],
  ]);
  assert.deepEqual(
    JSON.parse(
      await text(run((was) => {
        const app = was.apps.get("search");
        return [
          app.config.savePath,
          app.store.get("size"),
          app.buildUrl("query", "a b"),
          was.ab("search.query", "Your Name"),
          was.ab("search:query", { named: { q: "x" } }),
          was.ab("search:deep.inside", "q"),
          was.ab("search.deep.inside", "q"),
          was.basepath("search.tags"),
          was.apps.get("shop").store === was.app.store,
          was.apps.names().sort(),
          was.apps.has("elsewhere"),
        ];
      })),
    ),
    [
      "/var/search",
      5,
      "/find/query?q=a+b",
      "/find/query?q=Your+Name",
      "/find/query?q=x",
      "/find/in/q",
      "/find/in/q",
      "/find/tags/",
      true,
      ["search", "shop"],
      false,
    ],
  );
  for (
    const [fn, message] of [
      [(was: AtilaWas) => was.apps.get("elsewhere"), /No app of this host is called "elsewhere"/],
      [(was: AtilaWas) => was.ab("search.nothing"), /no handler "search.nothing"/],
      [(was: AtilaWas) => was.ab("elsewhere.x"), /no handler "elsewhere.x"/],
    ] as const
  ) {
    let thrown: unknown;
    await text(run((was) => {
      try {
        return fn(was);
      } catch (error) {
        thrown = error;
        return "";
      }
    }));
    assert.ok(thrown instanceof ReferenceError);
    assert.match(thrown.message, message);
  }
});

Deno.test("XAPP-02 what is registered on wac is in was of every app and host", async () => {
  const searcher = { query: (text: string) => `found ${text}` };
  wac.register("searcher", searcher);
  try {
    const apps = ["one", "two"].map((name) => {
      const app = new Atila(`/srv/${name}.ts`);
      app.route("/", (was) => {
        return (was as AtilaWas & { searcher: typeof searcher }).searcher.query(was.app.name);
      });
      return app;
    });
    const { text } = await tableOf([["/", apps[0]], ["/", apps[1], { host: "two.example" }]]);
    assert.equal(await text("/"), "found one");
    assert.equal(await text("http://two.example/"), "found two");
  } finally {
    wac.unregister("searcher");
  }
});
