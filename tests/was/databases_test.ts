import assert from "node:assert/strict";
import { aliases } from "../../src/was/aliases.ts";
import { wac } from "../../src/was/wac.ts";
import type { MongoDatabase } from "../../src/was/mongodb.ts";
import type { RedisDatabase, RedisGroup } from "../../src/was/redis.ts";
import type { HttpBackend, HttpGroup } from "../../src/was/backend.ts";
import { Was } from "../../src/was/was.ts";
import { FERRETDB, noFerretdb, startFerretdb } from "../_support/ferretdb.ts";
import { recordLogs } from "../_support/log_recorder.ts";
import { noPostgresql, POSTGRESQL, startPostgresql } from "../_support/postgresql.ts";
import { rawBackend } from "../_support/raw_backend.ts";
import { noRedis, startRedis } from "../_support/redis.ts";

/** Runs a test with a service object, and leaves neither aliases nor connections. */
async function withWas(test: (was: Was) => Promise<void>): Promise<void> {
  using _logs = recordLogs();
  try {
    await test(new Was());
  } finally {
    await wac.backends[Symbol.asyncDispose]();
    for (const name of aliases.names()) aliases.delete(name);
  }
}

Deno.test({
  name:
    "DB-01 DB-07 DB-08 DB-09 DB-10 DB-11 DB-15 RES-14 was.postgresql: by alias, by server, statements, values, errors",
  ignore: noPostgresql,
  fn: async () => {
    await using server = await startPostgresql();
    await withWas(async (was) => {
      const { user, password, database } = POSTGRESQL;
      aliases.define("@shop", "postgresql", server.member);
      const db = was.postgresql("@shop");
      await db.execute(
        "create table stocks (id serial primary key, name text, tags text[], info jsonb, big bigint)",
      ).wait();
      await db.execute(
        "insert into stocks (name, tags, info, big) values ($1, $2, $3, $4)",
        ...["IBM", ["a", 'b"c', "d,e"], { ok: [1, null] }, 2n ** 60n],
      ).wait();
      await db.execute("insert into stocks (name, big) values (?, ?)", ["RHAT", 7]).wait();
      const result = await db.execute("select name, tags, info, big, id from stocks where id = 1");
      assert.deepEqual([result.status, result.statusCode, result.reason], [3, 200, "OK"]);
      assert.deepEqual(result.data, [{
        name: "IBM",
        tags: ["a", 'b"c', "d,e"],
        info: { ok: [1, null] },
        big: 2n ** 60n,
        id: 1,
      }]);
      assert.deepEqual(Object.keys(result.data[0]!), ["name", "tags", "info", "big", "id"]);
      assert.deepEqual([result.node, result.server, result.dbname, result.method], [
        `127.0.0.1:${server.port}`,
        `127.0.0.1:${server.port}`,
        database,
        "EXECUTE",
      ]);
      assert.deepEqual(
        await db.execute("select name from stocks where id = :id", { id: 2 }).oneOrThrow(),
        { name: "RHAT" },
      );
      assert.deepEqual((await db.execute("select count(*) n from stocks")).data, [{ n: 2 }]);
      assert.deepEqual((await db.execute("update stocks set big = 1 where id = 2")).data, []);
      assert.deepEqual(
        (await db.execute(["delete from stocks where id = 2", "select id from stocks"])).data,
        [{ id: 1 }],
        "the rows of the last statement",
      );
      const partly = await db.execute([
        { sql: "insert into stocks (name) values ($1)", params: ["lost"] },
        "select * from nowhere",
      ]);
      assert.equal(partly.status, 2);
      assert.deepEqual(
        (await db.execute("begin; delete from stocks; rollback; select count(*) n from stocks"))
          .data,
        [{ n: 1 }],
        "a list runs as a whole or not at all, transactions go in one call",
      );
      const open = await db.execute("begin");
      assert.match(open.error!.message, /left open and has been rolled back/);
      assert.match((await db.execute("copy stocks to stdout")).error!.message, /COPY/);

      const failed = await db.execute("select * from missing");
      assert.deepEqual([failed.status, failed.statusCode, failed.data], [2, 500, null]);
      assert.deepEqual([failed.reason], ['relation "missing" does not exist']);
      assert.throws(() => failed.reraise(), {
        name: "PostgresError",
        code: "42P01",
        alias: "@shop",
        member: `127.0.0.1:${server.port}`,
      });
      await assert.rejects(db.execute("select * from missing").wait(), { code: "42P01" });
      assert.equal((await db.execute("")).status, 2);
      assert.equal((await db.execute(7 as unknown as string)).status, 2);

      const direct = was.postgresql(`127.0.0.1:${server.port}`, database, [user, password]);
      assert.deepEqual((await direct.execute("select current_user u")).data, [{ u: user }]);
      const whole = was.postgresql(server.member, { timeout: 20, meta: { a: 1 } });
      const named = await whole.execute("select current_database() d");
      assert.deepEqual([named.data, named.meta], [[{ d: database }], { a: 1 }]);
      assert.ok(!named.url.includes(password));
      assert.deepEqual(wac.backends.stats().busy, 0);
    });
  },
});

Deno.test({
  name: "DB-01 ALI-08 PostgreSQL over TLS: the certificate counts",
  ignore: noPostgresql,
  fn: async () => {
    await using server = await startPostgresql({ tls: true });
    await withWas(async (was) => {
      const { ca } = server.certificates!;
      aliases.define("@tls", "postgresql", server.member, { ssl: true, ca });
      aliases.define("@unknown", "postgresql", server.member, { ssl: true });
      aliases.define("@plain", "postgresql", server.member);
      const used = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
      assert.deepEqual((await was.postgresql("@tls").execute(used)).data, [{ ssl: true }]);
      const direct = was.postgresql(server.member, { ssl: true, ca });
      assert.deepEqual((await direct.execute(used)).data, [{ ssl: true }]);
      for (
        const [name, why] of [["@unknown", /certificate/], ["@plain", /no encryption/]] as const
      ) {
        const { status, error } = await was.postgresql(name).execute(used);
        assert.equal(status, 2);
        assert.match(error!.message, why);
        assert.match(error!.message, new RegExp(`${name} \\(127.0.0.1:${server.port}\\)`));
      }
    });
  },
});

Deno.test("DB-01 DB-03 DB-05 a database beside an alias is refused, not passed over", async () => {
  await withWas((was) => {
    aliases.define("@pg", "postgresql", "127.0.0.1/shop");
    aliases.define("@kv", "redis", "127.0.0.1");
    aliases.define("@docs", "mongodb", "127.0.0.1/shop");
    const calls: [() => unknown, RegExp][] = [
      [() => was.postgresql("@pg", "other"), /PostgreSQL @pg: its members bring the database/],
      [() => was.postgresql("@pg", "shop", ["kim", "pw"]), /PostgreSQL @pg/],
      [() => was.redis("@kv", 2), /Redis @kv: its members bring/],
      [() => was.mongodb("@docs", "other"), /MongoDB @docs: its members bring/],
      [() => was.mongodb("@docs", { auth: ["kim", "pw"] }), /MongoDB @docs/],
    ];
    for (const [call, expected] of calls) assert.throws(call, expected);
    return Promise.resolve();
  });
});

Deno.test({
  name: "DB-13 DB-14 WAS-18 WAS-19 WAS-20 members of PostgreSQL: balanced, replaced, all at once",
  ignore: noPostgresql,
  fn: async () => {
    await using a = await startPostgresql();
    await using b = await startPostgresql();
    await withWas(async (was) => {
      aliases.define("@both", "postgresql", [a.member, `${b.member} 2`]);
      await was.postgresql.map("@both").execute("create table t (n int)").wait();
      for (const [i, { member }] of [a, b].entries()) {
        await was.postgresql(member).execute("insert into t values ($1)", i).wait();
      }
      const all = await was.postgresql.map("@both").execute("select n from t");
      assert.deepEqual([all.status, all.statusCode], [[3, 3], [200, 200]]);
      assert.deepEqual(all.data, [[{ n: 0 }], [{ n: 1 }]]);
      assert.deepEqual(
        (await was.backend.map("@both").execute("select n from t")).data,
        all.data,
      );
      for (const db of [was.postgresql("@both"), was.postgresql.lb("@both")]) {
        const asked = await Promise.all(
          Array.from(
            { length: 12 },
            () => db.execute("select n from t where pg_sleep(0.02) is not null"),
          ),
        );
        const second = asked.filter((one) => one.data[0]!.n === 1).length;
        assert.ok(second >= 6 && second <= 10, `${second} of 12 went to the heavier one`);
      }
      await was.postgresql(b.member).execute("drop table t").wait();
      const partly = await was.postgresql.map("@both").execute("select n from t");
      assert.deepEqual(partly.status, [3, 2], "a member that fails is among the results");
      assert.throws(() => partly.reraise(), /does not exist/);

      await b.process.kill();
      const results = await Promise.all(
        Array.from({ length: 8 }, () => was.postgresql.lb("@both").execute("select n from t")),
      );
      assert.deepEqual(new Set(results.map((one) => one.status)), new Set([3]));
      assert.equal(
        (await was.postgresql.lb("@both").execute("insert into t values (9)")).status,
        3,
      );
      assert.equal(await a.sql("select count(*) from t where n = 9", "shop"), "1");
      const gone = await was.postgresql.map("@both").execute("select n from t");
      assert.deepEqual(gone.status, [3, 2], "a request to all is not replaced");
    });
  },
});

Deno.test({
  name:
    "DB-04 DB-05 ALI-08 was.redis: commands as methods, numbers of databases, transactions, TLS",
  ignore: noRedis,
  fn: async () => {
    await using server = await startRedis({ password: "p@ss" });
    await using secure = await startRedis({ tls: true });
    await withWas(async (was) => {
      const address = `:p%40ss@${server.address}`;
      aliases.define("@cache", "redis", `${address}/2`);
      const redis = was.redis("@cache");
      const set = await redis.set("k", "v");
      assert.deepEqual([set.status, set.statusCode, set.data, set.method], [3, 200, "OK", "SET"]);
      assert.equal((await redis.get("k")).data, "v");
      assert.equal((await redis.get("none")).data, null);
      await redis.rpush("names", ["a", "b"], "c").wait();
      assert.deepEqual((await redis.lrange("names", 0, -1)).data, ["a", "b", "c"]);
      await redis.hset("user", { name: "Kim", age: 7 }).wait();
      assert.deepEqual((await redis.hgetall("user")).data, { name: "Kim", age: "7" });
      assert.deepEqual((await redis.multi([["incr", "n"], ["incrby", "n", 4]])).data, [1, 5]);
      assert.match(
        (await redis.multi([["incr", "n"], ["lpush", "n", 1]])).reason,
        /Command 2 of 2/,
      );
      assert.ok((await redis.call<string>("client", "list")).data.includes("db=2"));
      assert.equal((await was.redis(address, 3).get("k")).data, null, "another database");
      assert.equal((await was.redis(`${address}/2`).get("k")).data, "v");
      assert.equal((await was.redis("@cache").blpop("names", 1)).data[1], "a");

      const failed = await redis.incr("k");
      assert.deepEqual([failed.status, failed.statusCode], [2, 500]);
      assert.throws(() => failed.reraise(), { name: "ReplyError", alias: "@cache" });
      for (
        const [name, args] of [
          ["subscribe", ["x"]],
          ["select", [1]],
          ["set", ["a", undefined]],
          ["set", ["a", { b: 1 }]],
          ["set", ["a", null]],
          ["no such", []],
        ] as const
      ) {
        const { status, error } = await redis.call(name, ...args as unknown as never[]);
        assert.deepEqual([status, error instanceof TypeError], [2, true], name);
      }
      assert.equal(await Promise.resolve(redis), redis, "it is no promise");

      aliases.define("@tls", "redis", secure.address, { ssl: true, ca: secure.certificates!.ca });
      aliases.define("@unknown", "redis", secure.address, { ssl: true });
      assert.equal((await was.redis("@tls").ping()).data, "PONG");
      assert.match((await was.redis("@unknown").ping()).error!.message, /certificate/);
      assert.throws(() => was.redis("@nothing"), /no such alias/);
      assert.throws(() => was.redis.map(server.address), /expected @alias/);
    });
  },
});

Deno.test({
  name: "DB-01 DB-02 DB-03 DB-05 values are those of the call, also of the very first one",
  ignore: noRedis || noPostgresql || noFerretdb,
  fn: async () => {
    await using redis = await startRedis();
    await using postgresql = await startPostgresql();
    await using mongodb = await startFerretdb();
    const file = await Deno.makeTempFile({ suffix: ".db3" });
    const TEXT = new TextDecoder();
    try {
      await withWas(async (was) => {
        aliases.define("@sql", "postgresql", postgresql.member);
        // the second time there are connections, and others wait for them
        for (const round of ["first", "second"]) {
          const bytes = () => new TextEncoder().encode(`${round} right`);
          const given = Array.from({ length: 4 }, bytes);
          const list = [1, 2];
          const document = { round, tags: ["right"], inner: { value: "right" } };
          const db = was.mongodb(mongodb.address, "shop");
          const futures = [
            was.redis(redis.address).set(round, given[0]!),
            was.redis(redis.address).multi([["set", `${round} in multi`, given[1]!]]),
            was.postgresql("@sql").execute("select $1::bytea as b, $2::int[] as l", given[2], list),
            was.sqlite3(file).execute("select ? as b", given[3]),
            db.insert("things", document),
          ];
          for (const one of given) one.fill(120);
          list.push(3);
          document.tags[0] = document.inner.value = "wrong";
          const [, , row, blob, inserted] = await Promise.all(futures.map((one) => one.dispatch()));
          const text = `${round} right`;
          assert.equal((await was.redis(redis.address).get(round)).data, text);
          assert.equal((await was.redis(redis.address).get(`${round} in multi`)).data, text);
          const [{ b, l }] = row!.data as [{ b: Uint8Array; l: number[] }];
          assert.deepEqual([TEXT.decode(b), l], [text, [1, 2]]);
          assert.equal(TEXT.decode((blob!.data as [{ b: Uint8Array }])[0].b), text);
          assert.equal(inserted!.error, undefined);
          const found = (await db.findone("things", { round })).data as typeof document;
          assert.deepEqual([found.tags, found.inner], [["right"], { value: "right" }]);
        }
      });
    } finally {
      await Deno.remove(file);
    }
  },
});

Deno.test({
  name: "DB-13 DB-14 WAS-20 members of Redis: all at once, and another one when one is away",
  ignore: noRedis,
  fn: async () => {
    await using a = await startRedis();
    await using b = await startRedis();
    await withWas(async (was) => {
      aliases.define("@shards", "redis", [a.address, b.address]);
      await was.redis(a.address).set("who", "a").wait();
      await was.redis(b.address).set("who", "b").wait();
      assert.deepEqual((await was.redis.map("@shards").get("who")).data, ["a", "b"]);
      assert.deepEqual(
        (await was.backend.map<RedisGroup>("@shards").get("who")).data,
        ["a", "b"],
      );
      await a.process.kill();
      for (let i = 0; i < 4; i++) {
        assert.equal((await was.redis.lb("@shards").get("who")).data, "b");
        assert.equal((await was.redis.lb("@shards").incr("n")).data, i + 1);
      }
    });
  },
});

Deno.test({
  name: "DB-03 DB-04 was.mongodb: documents in and out, conditions, credentials, TLS",
  ignore: noFerretdb,
  fn: async () => {
    await using server = await startFerretdb({ auth: true });
    await using secure = await startFerretdb({ tls: true });
    await withWas(async (was) => {
      const { user, password } = FERRETDB;
      aliases.define(
        "@docs",
        "mongodb",
        `${user}:${encodeURIComponent(password)}@${server.address}/shop`,
      );
      const db = was.mongodb("@docs");
      const added = await db.insert("tokens", [{ token: "a", n: 1 }, { token: "b", n: 2 }]);
      assert.deepEqual([added.status, added.data.insertedCount], [3, 2]);
      await db.insert("tokens", { token: "c", n: 3 }).wait();
      for (const document of [undefined, null, "abc", [null], [[1]], 7] as never[]) {
        const refused = await db.insert("tokens", document);
        assert.match(refused.reason, /Cannot insert .*: expected a document or a list of them/);
      }
      const found = await db.find("tokens", { n: { $gt: 1 } }, {
        sort: { n: -1 },
        projection: { _id: 0 },
      });
      assert.deepEqual(found.data, [{ token: "c", n: 3 }, { token: "b", n: 2 }]);
      assert.deepEqual([found.dbname, found.method, found.node], ["shop", "FIND", server.address]);
      assert.equal((await db.findone("tokens", { token: "b" }).oneOrThrow())!.n, 2);
      await assert.rejects(db.findone("tokens", { token: "x" }).oneOrThrow(), { status: 404 });
      assert.equal((await db.count("tokens")).data, 3);
      assert.deepEqual(
        (await db.update("tokens", { n: { $lt: 3 } }, { $set: { old: true } })).data,
        { matchedCount: 2, modifiedCount: 2, upsertedId: null },
      );
      assert.deepEqual((await db.distinct("tokens", "token")).data, ["a", "b", "c"]);
      assert.deepEqual((await db.delete("tokens", { token: "a" })).data, { deletedCount: 1 });
      assert.equal(
        (await db.aggregate("tokens", [{ $match: { old: true } }])).data.length,
        1,
      );
      const none = await db.delete("tokens", undefined as never);
      assert.match(none.error!.message, /no condition/);
      assert.equal((await db.count("tokens")).data, 2);
      const id = (await db.insert("tokens", { _id: 1 })).data.insertedIds[0];
      const twice = await db.insert("tokens", { _id: id });
      assert.deepEqual([twice.status, twice.statusCode], [2, 500]);
      assert.throws(() => twice.reraise(), { code: 11000, alias: "@docs" });
      const other = was.mongodb(server.address, "other", { auth: [user, password] });
      assert.equal((await other.count("tokens")).data, 0);
      assert.throws(() => db.find(""), /no collection/);

      const { ca } = secure.certificates!;
      aliases.define("@tls", "mongodb", `${secure.address}/shop`, { ssl: true, ca });
      aliases.define("@unknown", "mongodb", `${secure.address}/shop`, { ssl: true });
      await was.mongodb("@tls").insert("t", { n: 1 }).wait();
      assert.equal((await was.mongodb("@tls").count("t")).data, 1);
      assert.match((await was.mongodb("@unknown").count("t")).error!.message, /certificate/);
    });
  },
});

Deno.test({
  name: "DB-06 DB-22 was.backend: the same code on SQLite and PostgreSQL, and every other type",
  ignore: noPostgresql || noRedis || noFerretdb,
  fn: async () => {
    await using postgresql = await startPostgresql();
    await using redis = await startRedis();
    await using ferretdb = await startFerretdb();
    await using web = rawBackend(async (conn) => {
      const request = await conn.request();
      const path = request!.head.split(" ")[1]!;
      await conn.write(
        `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${path.length}\r\n\r\n${path}`,
      );
    });
    const file = await Deno.makeTempFile({ suffix: ".db" });
    await withWas(async (was) => {
      aliases.define("@dev", "sqlite3", file);
      aliases.define("@prod", "postgresql", postgresql.member);
      aliases.define("@cache", "redis", redis.address);
      aliases.define("@docs", "mongodb", `${ferretdb.address}/shop`);
      aliases.define("@web", "http", `127.0.0.1:${web.port}/base`);
      aliases.define("@socket", "ws", "127.0.0.1:1");
      for (const name of ["@dev", "@prod"]) {
        const calls: unknown[] = [];
        const db = was.backend(name, {
          timeout: 20,
          meta: { name },
          useCache: false,
          filter: (result) =>
            void (result.data as { seen?: boolean }[]).forEach((row) => row.seen = true),
          callback: (result) => calls.push(result.status),
        });
        await db.execute("create table items (id integer primary key, name text, price integer)")
          .wait();
        await db.execute("insert into items values (?, ?, ?), (?, ?, ?)", 1, "pen", 2, 2, "ink", 9)
          .wait();
        const result = await db.execute("select name from items where price > :min", { min: 5 });
        assert.deepEqual([result.data, result.meta], [[{ name: "ink", seen: true }], { name }]);
        assert.deepEqual(
          (await db.select("items").get("id").filter({ name__contains: "e" }).execute()).data,
          [{ id: 1, seen: true }],
        );
        assert.deepEqual(
          (await db.execute`select name from items where id = ${1} and name = ${"pen"}`).data,
          [{ name: "pen", seen: true }],
        );
        assert.equal(calls.length, 5);
      }
      const cache = was.backend<RedisDatabase>("@cache");
      await cache.set("a", 1).wait();
      assert.equal((await cache.get("a")).data, "1");
      const docs = was.backend<MongoDatabase>("@docs");
      await docs.insert("t", { n: 1 }).wait();
      assert.equal((await docs.count("t")).data, 1);
      const http = was.backend<HttpBackend>("@web");
      assert.equal((await http.get("items", { a: 1 })).data, "/base/items?a=1");
      const group = was.backend.map<HttpGroup>("@web", { timeout: 20 });
      assert.deepEqual((await group.get("/items")).data, ["/base/items"]);
      assert.throws(() => was.backend("@socket"), /of type ws/);
      assert.throws(() => was.backend.map("@socket"), /of type ws/);
      assert.throws(() => was.backend("x.db"), /expected @alias/);
      assert.throws(() => was.backend("@prod", { tiemout: 1 } as object), /unknown option/);
      assert.throws(() => was.backend.map("@prod", { callback: () => {} } as object), /callback/);
    });
    await Deno.remove(file);
  },
});

Deno.test({
  name: "DB-22 CACHE-09 results of every database may be kept, by what was asked and of whom",
  ignore: noPostgresql || noRedis || noFerretdb,
  fn: async () => {
    await using postgresql = await startPostgresql();
    await using redis = await startRedis();
    await using ferretdb = await startFerretdb();
    await withWas(async (was) => {
      aliases.define("@kept", "postgresql", postgresql.member);
      const db = was.backend("@kept");
      await db.execute("create table t (n int, at timestamptz)").wait();
      await db.execute("insert into t values (1, '2024-01-01T00:00:00Z')").wait();
      const count = (options = {}) =>
        was.backend("@kept", options).execute("select count(*) n, min(at) at from t where n < ?", 9)
          .dispatch(20, { cache: 60 });
      const first = (await count()).data[0]!;
      await db.execute("insert into t values (2)").wait();
      const kept = (await count()).data[0]!;
      assert.deepEqual([kept.n, kept.at], [1, new Date("2024-01-01")]);
      assert.deepEqual(kept, first);
      assert.equal((await count({ useCache: false })).data[0]!.n, 2);
      const other = await was.backend("@kept").execute(
        "select count(*) n from t where n < ?",
        2,
      );
      assert.equal(other.data[0]!.n, 1, "another value is another request");

      const cache = was.redis(redis.address);
      await cache.set("k", "old").wait();
      assert.equal((await cache.get("k").dispatch(20, { cache: 60 })).data, "old");
      await cache.set("k", "new").wait();
      assert.equal((await cache.get("k")).data, "old");
      assert.equal((await was.redis(redis.address, { useCache: false }).get("k")).data, "new");
      assert.equal((await cache.incr("n").dispatch(20, { cache: 60 })).data, 1);
      assert.equal((await cache.incr("n")).data, 2, "what writes is never kept");

      const docs = was.mongodb(ferretdb.address, "shop");
      const { insertedIds: [id] } = await docs.insert("t", { n: 1 }).dataOrThrow();
      const found = () => docs.find("t", { _id: id }).dispatch(20, { cache: 60 });
      const [one] = (await found()).data;
      await docs.update("t", { _id: id }, { $set: { n: 2 } }).wait();
      const [again] = (await found()).data;
      assert.equal(again!.n, 1);
      assert.equal(String(again!._id), String(one!._id));
      const [fresh] = (await docs.find("t", { _id: again!._id }).dispatch(20)).data;
      assert.ok(fresh !== undefined, "an id out of a kept result can be asked with");
    });
  },
});

Deno.test({
  name:
    "DB-13 WAS-18 WAS-20 ALI-13 a member that is dead is left out, and asked again when it is back",
  ignore: noPostgresql,
  fn: async () => {
    await using a = await startPostgresql();
    await using b = await startPostgresql();
    await withWas(async (was) => {
      const nodes = [a, b].map(({ port }) => `127.0.0.1:${port}`);
      const alias = aliases.define("@pair", "postgresql", [a.member, b.member], {
        eject: { fails: 2, baseMs: 300 },
      });
      const db = was.postgresql("@pair");
      const stateOf = (node: string) =>
        alias.balancer.status().find((one) => one.node === node)?.state;
      const ask = async () => {
        const result = await db.execute("select 1 as n");
        assert.deepEqual([result.status, result.data], [3, [{ n: 1 }]], result.reason);
        return result.node;
      };
      for (let i = 0; i < 5; i++) {
        assert.equal((await db.execute("select * from nowhere")).status, 2);
      }
      assert.deepEqual(nodes.map(stateOf), ["active", "active"], "bad SQL is no fault of a member");
      await b.process.kill();
      await until("it is out", async () => (await ask(), stateOf(nodes[1]!) === "ejected"));
      await b.process.start();
      await until("it is asked again", async () => await ask() === nodes[1]);
      assert.deepEqual(nodes.map(stateOf), ["active", "active"]);

      // both are away: the failure names the alias, a member and the cause
      await Promise.all([a.process.kill(), b.process.kill()]);
      const gone = await db.execute("select 1");
      assert.deepEqual([gone.status, gone.statusCode], [2, 500]);
      assert.match(gone.error!.message, /@pair/);
      await Promise.all([a.process.start(), b.process.start()]);
      await until("they are asked again", async () => (await db.execute("select 1")).status === 3);
    });
  },
});

Deno.test({
  name: "DB-15 the log says which member of which alias failed, why, and who asked; no password",
  ignore: noPostgresql,
  fn: async () => {
    await using server = await startPostgresql();
    using logs = recordLogs();
    try {
      aliases.define("@logged", "postgresql", server.member);
      await new Was().postgresql("@logged").execute("select * from nowhere where pw = ?", "secret");
      const [entry] = logs.entries;
      assert.match(
        entry!.text,
        /EXECUTE @logged at 127\.0\.0\.1:\d+ status 2, 500 relation "nowhere" does not exist.*databases_test\.ts:\d+/,
      );
      assert.ok(!entry!.text.includes("secret") && !entry!.text.includes(POSTGRESQL.password));
    } finally {
      await wac.backends[Symbol.asyncDispose]();
      aliases.delete("@logged");
    }
  },
});

/** Tries until it is so, at most half a minute. */
async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 30_000;
  while (!await condition()) {
    if (performance.now() > end) throw new Error(`Waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
