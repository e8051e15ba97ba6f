import assert from "node:assert/strict";
import { eq } from "drizzle-orm";
import { integer, pgTable, serial, text } from "drizzle-orm/pg-core";
import { drizzle } from "drizzle-orm/postgres-js";
import { Hono } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import postgres from "postgres";
import { Atila, type AtilaWas, type ModelSignal } from "../../src/atila/mod.ts";
import { alias, aliases, DB_SQLITE3, ORM } from "../../src/was/aliases.ts";
import { drizzleEvents, ModelChanges } from "../../src/was/model_events.ts";
import { deflu } from "../../src/was/shared.ts";
import { wac } from "../../src/was/wac.ts";
import { Was } from "../../src/was/was.ts";
import { recordLogs } from "../_support/log_recorder.ts";
import { tableOf } from "../_support/mounts.ts";
import { noPostgresql, POSTGRESQL, startPostgresql } from "../_support/postgresql.ts";

const here = import.meta.url;

/** Last updates are compared by the millisecond, and the start of a request is rounded down by more. */
async function nextMillisecond(): Promise<void> {
  for (const end = Date.now() + 3; Date.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** A whole app of another framework: its own routes, its own session, its own users. */
function admin() {
  const app = new Hono();
  app.post("/login", async (c) => {
    const { name, pw } = await c.req.json<{ name: string; pw: string }>();
    if (pw !== "sesame") return c.text("no", 403);
    setCookie(c, "sid", name, { httpOnly: true });
    return c.text("welcome");
  });
  app.get("/", (c) => c.text(`admin of ${getCookie(c, "sid") ?? "nobody"}`));
  app.get("/logout", (c) => {
    deleteCookie(c, "sid");
    return c.text("bye");
  });
  return app;
}

Deno.test("ORM-01 a framework with routes, session and users of its own is mounted as it is", async () => {
  const { ask } = await tableOf([["/admin", admin(), { stripPrefix: true }]]);
  const post = (value: unknown) => {
    const body = JSON.stringify(value);
    return { method: "POST", body, headers: { "content-length": String(body.length) } };
  };
  assert.equal(await (await ask("/admin/")).text(), "admin of nobody");
  assert.equal((await ask("/admin/login", post({ name: "Kim", pw: "x" }))).status, 403);
  const login = await ask("/admin/login", post({ name: "Kim", pw: "sesame" }));
  const cookie = login.headers.get("set-cookie")!;
  assert.match(cookie, /^sid=Kim;.*HttpOnly/);
  const page = await ask("/admin/", { headers: { cookie: cookie.split(";")[0]! } });
  assert.equal(await page.text(), "admin of Kim");
  assert.equal((await ask("/admin/nowhere")).status, 404);
});

Deno.test("ORM-08 a route calls a view of another framework with the current request", async () => {
  const app = new Atila(here);
  const views = admin();
  app.route("/<path:rest>", { methods: ["GET", "POST"] }, (was) => {
    const { raw } = was.request;
    return was.request.path === "/own" ? "own" : views.fetch(raw) as Promise<Response>;
  });
  const client = app.makeClient();
  assert.equal((await client.get("/own")).text, "own");
  const login = await client.post("/login", { name: "Lee", pw: "sesame" });
  assert.deepEqual([login.statusCode, login.text], [200, "welcome"]);
  assert.match(login.headers.get("set-cookie")!, /^sid=Lee/);
});

Deno.test("ORM-02 aliases of what the settings of an ORM connect to", async () => {
  const directory = await Deno.makeTempDir();
  const given = (settings: Record<string, unknown> | string) => {
    const made = alias("@orm", ORM, settings);
    aliases.delete("@orm");
    const [{ node, user, password, database }] = made.members as [typeof made.members[number]];
    return [made.type, node, user, password, database, made.tls];
  };
  try {
    const url = "postgres://kim:p%40ss@db.local:6000/shop%20x?sslmode=require";
    const pg = ["postgresql", "db.local:6000", "kim", "p@ss", "shop x", true];
    const parts = { host: "db.local", port: 6000, database: "shop x", password: "p@ss", ssl: true };
    for (
      const settings of [
        { dialect: "postgresql", dbCredentials: { url } },
        { dialect: "postgresql", dbCredentials: { ...parts, user: "kim" } },
        { client: "pg", connection: url },
        { client: "pg", connection: { ...parts, user: "kim" } },
        { client: "pg", connection: { connectionString: url } },
        { type: "postgres", ...parts, username: "kim" },
        { options: { type: "postgres", url } },
        { dialect: "pg", dialectConfig: { pool: { ...parts, user: "kim" } } },
        { url },
      ]
    ) assert.deepEqual(given(settings), pg, JSON.stringify(settings));
    for (
      const settings of [
        { dialect: "sqlite", dbCredentials: { url: "file:./shop.db" } },
        { client: "better-sqlite3", connection: { filename: "./shop.db" } },
        { type: "sqlite", database: "./shop.db" },
      ]
    ) assert.deepEqual(given(settings).slice(0, 2), ["sqlite3", "./shop.db"]);
    assert.deepEqual(
      given({ type: "postgres", host: "::1", username: "kim", database: "shop" }).slice(1, 3),
      ["[::1]:5432", "kim"],
    );
    await Deno.writeTextFile(
      `${directory}/orm.config.ts`,
      `const url: string = ${JSON.stringify(url)};
       export default { dialect: "postgresql", dbCredentials: { url } };`,
    );
    await Deno.writeTextFile(
      `${directory}/orm.json`,
      JSON.stringify({ client: "pg", connection: url }),
    );
    assert.deepEqual(given(`${directory}/orm.config.ts`), pg);
    assert.deepEqual(given(`${directory}/orm.json`), pg);
    assert.throws(
      () => given({ dialect: "mysql", dbCredentials: { url: "mysql://x/y" } }),
      /not compatible/,
    );
    assert.throws(() => given({ client: "pg", connection: { host: "h" } }), /names no database/);
    assert.throws(() => given({ client: "sqlite3", connection: {} }), /no file is named/);
    assert.throws(
      () => given({ dialect: "turso", dbCredentials: { url: "libsql://shop.turso.io" } }),
      /has to be a file on this machine/,
    );
    assert.throws(
      () => given({ client: "pg", connection: "not a url" }),
      /Cannot use the settings of the ORM: its address is no URL/,
    );
    assert.throws(() => given(`${directory}/none.ts`), /none\.ts/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test({
  name:
    "ORM-02 ORM-04 ORM-05 ORM-06 saves and deletes of Drizzle become events, keys and fresh results",
  ignore: noPostgresql,
  fn: async () => {
    using _logs = recordLogs();
    await using server = await startPostgresql();
    const connection = {
      ...{ host: "127.0.0.1", port: server.port, database: POSTGRESQL.database },
      ...{ user: POSTGRESQL.user, password: POSTGRESQL.password },
    };
    const client = postgres({ ...connection, max: 2 });
    try {
      alias("@orm", ORM, { dialect: "postgresql", dbCredentials: connection });
      const users = pgTable("users", {
        id: serial("id").primaryKey(),
        name: text("name"),
        age: integer("age"),
      });
      const logs = pgTable("logs", { id: serial("id").primaryKey(), line: text("line") });
      await client.unsafe(
        "create table users (id serial primary key, name text, age int); " +
          "create table logs (id serial primary key, line text)",
      );
      deflu("shop.models.User");
      const { db, events } = drizzleEvents(drizzle(client), {
        "shop.models.User": users,
        "shop.models.Log": logs,
      });
      const app = new Atila(here);
      const stop = app.redirectSignal(events);
      const seen: unknown[] = [];
      const any: string[] = [];
      let mounted = 0;
      const onUser = app.onSignal(
        "shop.models.User",
        "shop.models.Log",
        (_was: AtilaWas, signal?: ModelSignal) => {
          if (signal === undefined) return void mounted++;
          seen.push([signal.x_operation, signal.x_model_class, signal.instance, signal.fields]);
        },
      );
      app.onSignal("model-changed", (_was: AtilaWas, signal: ModelSignal) => {
        any.push(signal.x_operation);
      });
      onUser(new Was() as AtilaWas);
      assert.equal(mounted, 1, "also without a sender, as at the start");

      const was = new Was();
      const before = was.getlu("shop.models.User");
      await db.insert(users).values({ name: "Kim", age: 7 });
      assert.deepEqual(seen.splice(0), [
        ["C", "shop.models.User", { name: "Kim", age: 7 }, ["name", "age"]],
      ]);
      assert.ok(was.getlu("shop.models.User") >= before);
      const back = await db.update(users).set({ age: 8 }).where(eq(users.id, 1)).returning();
      assert.deepEqual(back, [{ id: 1, name: "Kim", age: 8 }]);
      assert.deepEqual(seen.splice(0), [["U", "shop.models.User", { age: 8 }, ["age"]]]);
      await db.insert(logs).values({ line: "not declared" });
      assert.deepEqual(seen, [], "models that are not declared are ignored");
      assert.deepEqual(await db.select().from(users), [{ id: 1, name: "Kim", age: 8 }]);
      await assert.rejects(async () => await db.insert(users).values({ id: 1 }));
      assert.deepEqual(seen, [], "what fails is not told");
      await db.insert(users).values({ id: 1 }).catch(() => "caught");
      assert.deepEqual(seen, [], "nor when somebody has caught it");
      const caught = db.delete(users).where(eq(users.id, 99)).catch(() => []);
      assert.ok(caught instanceof Promise, "it runs, whether or not somebody waits for it");
      await caught;
      assert.equal(seen.splice(0).length, 1);
      await db.update(users).set({ age: 8 }).where(eq(users.id, 99)).finally(() => {});
      assert.equal(seen.splice(0).length, 1);
      const old = db.$with("old").as(db.select().from(logs));
      await db.with(old).delete(users).where(eq(users.id, 99));
      assert.equal(seen.splice(0).length, 1);

      await assert.rejects(db.transaction(async (tx) => {
        await tx.insert(users).values({ name: "lost" });
        throw new Error("no");
      }));
      assert.deepEqual(seen, [], "nor what is rolled back");
      await db.transaction(async (tx) => {
        await tx.insert(users).values({ name: "Lee" });
        assert.deepEqual(seen, [], "nor what is not committed");
      });
      assert.equal(seen.splice(0).length, 1);

      const count = async () => {
        const useCache = was.getlu("shop.models.User");
        const future = was.backend("@orm", { useCache }).execute("select count(*) n from users");
        const { data } = await future.dispatch(20, { cache: 60 });
        return data[0]!.n;
      };
      await nextMillisecond();
      assert.equal(await count(), 2);
      await client.unsafe("insert into users (name) values ('behind')");
      assert.equal(await count(), 2, "kept, since nobody told");
      await nextMillisecond();
      await db.delete(users).where(eq(users.name, "Kim"));
      assert.deepEqual(seen.splice(0), [["D", "shop.models.User", undefined, undefined]]);
      assert.equal(await count(), 2, "asked again: one less, and the one from behind");
      await nextMillisecond();
      await db.delete(users).execute();
      assert.equal(await count(), 0);
      assert.deepEqual(any, ["C", "U", "D", "U", "D", "C", "D", "D"]);
      stop();
      await db.insert(users).values({ name: "quiet" });
      assert.equal(any.length, 8);
    } finally {
      await client.end();
      await wac.backends[Symbol.asyncDispose]();
      aliases.delete("@orm");
    }
  },
});

Deno.test("ORM-04 ORM-05 any source of changes may be redirected", () => {
  deflu("shop.models.Any");
  const changes = new ModelChanges();
  const app = new Atila(here);
  const seen: unknown[] = [];
  app.redirectSignal(changes);
  app.onSignal("shop.models.Any", (_was: AtilaWas, signal: ModelSignal) => seen.push(signal));
  changes.tell({ operation: "U", model: "shop.models.Any", instance: { id: 1 }, fields: ["a"] });
  assert.deepEqual(seen, [
    { x_operation: "U", x_model_class: "shop.models.Any", instance: { id: 1 }, fields: ["a"] },
  ]);
});

Deno.test("ORM-07 users and sessions of another framework behind was.framework", async () => {
  const app = new Atila(here);
  const sessions = new WeakMap<AtilaWas, { user?: { name: string }; hash?: string }>();
  const sessionOf = (was: AtilaWas) => {
    if (!sessions.has(was)) sessions.set(was, {});
    return sessions.get(was)!;
  };
  assert.throws(() => app.setAuthAdapter({} as never), /has no method user/);
  app.route("/early", (was) => {
    assert.throws(() => was.framework, /has no adapter/);
    return "ok";
  });
  app.route("/flow", async (was) => {
    const { framework } = was;
    assert.equal(framework.user, undefined);
    assert.equal(await framework.authenticate("kim", "wrong"), null);
    const user = await framework.authenticate("kim", "sesame");
    await framework.login(user);
    assert.deepEqual(framework.user, { name: "kim" });
    await framework.updateSessionAuthHash(user);
    assert.equal((framework.session as { hash: string }).hash, "new");
    await framework.logout();
    assert.equal(framework.user, undefined);
    return "done";
  });
  const client = app.makeClient();
  assert.equal((await client.get("/early")).text, "ok");
  app.setAuthAdapter<{ name: string }>({
    user: (was) => sessionOf(was).user,
    session: (was) => sessionOf(was),
    authenticate: (_was, name, pw) => Promise.resolve(pw === "sesame" ? { name } : undefined),
    login: (was, user) => void (sessionOf(was).user = user),
    logout: (was) => void delete sessionOf(was).user,
    updateSessionAuthHash: (was) => void (sessionOf(was).hash = "new"),
  });
  assert.equal((await client.get("/flow")).text, "done");
});

Deno.test("DB-18 DB-19 DB-20 was.sql of an app: its engine, its directory, its files", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${directory}/sqlmaps`);
    await Deno.mkdir(`${directory}/statements`);
    await Deno.writeTextFile(`${directory}/sqlmaps/a.sql`, '<sql name="x">select :n</sql>');
    await Deno.writeTextFile(`${directory}/statements/b.sql`, '<sql name="y">select :n</sql>');
    const app = new Atila(`${directory}/app.ts`);
    app.route("/", (was) => {
      const built = was.sql.select("rc_file").get("id, name").filter({ id: 4 }).compile();
      return was.response.API({
        text: built.sql,
        values: built.parameters,
        dialect: was.sql.dialect,
        file: "a" in was.sql || was.sql.dialect === "postgresql"
          ? was.sql.a.x({ n: 1 }).compile().sql
          : was.sql.b.y({ n: 1 }).compile().sql,
        tagged: was.sql`select ${1}`.render(() => "?").sql,
      });
    });
    const client = app.makeClient();
    assert.deepEqual(JSON.parse((await client.get("/")).text), {
      text: 'select "id", "name" from "rc_file" where "id" = $1',
      values: [4],
      dialect: "postgresql",
      file: "select $1",
      tagged: "select ?",
    });
    app.setupSqlphile(DB_SQLITE3, "statements");
    assert.deepEqual(JSON.parse((await client.get("/")).text), {
      text: 'select "id", "name" from "rc_file" where "id" = ?',
      values: [4],
      dialect: "sqlite3",
      file: "select ?",
      tagged: "select ?",
    });
    assert.throws(() => app.setupSqlphile("mysql" as never), /Cannot write SQL for "mysql"/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
