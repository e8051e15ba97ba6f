import assert from "node:assert/strict";
import { integer, pgTable, text as pgText } from "drizzle-orm/pg-core";
import { drizzle } from "drizzle-orm/pg-proxy";
import { eq } from "drizzle-orm";
import knex from "knex";
import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from "kysely";
import { SqlMaps } from "../../src/clients/sql/maps.ts";
import { sql } from "../../src/clients/sql/template.ts";
import { aliases } from "../../src/was/aliases.ts";
import type { SqlDatabase } from "../../src/was/sql_database.ts";
import { wac } from "../../src/was/wac.ts";
import { Was } from "../../src/was/was.ts";
import { recordLogs } from "../_support/log_recorder.ts";
import { noPostgresql, type PostgresqlServer, startPostgresql } from "../_support/postgresql.ts";

class MapWas extends Was {
  readonly #maps: SqlMaps;
  constructor(directory: string) {
    super();
    this.#maps = new SqlMaps(directory);
  }
  override get sqlMaps(): SqlMaps {
    return this.#maps;
  }
}

/** One test over both databases: a table of items in each. */
function onBoth(name: string, body: (db: SqlDatabase, kind: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore: noPostgresql,
    fn: async (t) => {
      using _logs = recordLogs();
      const directory = await Deno.makeTempDir();
      const was = new MapWas(`${directory}/sqlmaps`);
      let server: PostgresqlServer | undefined;
      try {
        server = await startPostgresql();
        await Deno.mkdir(`${directory}/sqlmaps`);
        await Deno.writeTextFile(
          `${directory}/sqlmaps/items.sql`,
          '<sql name="cheap">select name from items where price < :max and {_filters} {_orderBy} {_limit}</sql>',
        );
        aliases.define("@pg", "postgresql", server.member);
        aliases.define("@lite", "sqlite3", `${directory}/items.db`);
        for (const kind of ["@pg", "@lite"]) {
          await t.step(kind, async () => {
            const db = was.backend(kind);
            await db.execute(
              "create table items (id integer primary key, name text, price integer, note text)",
            ).wait();
            await db.insert("items").data([
              { id: 1, name: "pen", price: 2, note: null },
              { id: 2, name: "INK 50%", price: 9, note: "a_b" },
              { id: 3, name: "ink", price: 5, note: "axb" },
            ]).execute().wait();
            await body(db, kind);
          });
        }
      } finally {
        await wac.backends[Symbol.asyncDispose]();
        for (const alias of ["@pg", "@lite"]) aliases.delete(alias);
        await server?.[Symbol.asyncDispose]();
        await Deno.remove(directory, { recursive: true });
      }
    },
  });
}

onBoth("DB-18 DB-20 DB-21 the generator on real databases", async (db) => {
  const names = async (filter: Record<string, unknown>) =>
    (await db.select("items").get("name").filter(filter).orderBy("id").execute().dataOrThrow())
      .map((row) => row.name);
  assert.deepEqual(await names({ name__contains: "50%" }), ["INK 50%"]);
  assert.deepEqual(await names({ name__contains: "ink" }), ["ink"]);
  assert.deepEqual(await names({ name__icontains: "INK" }), ["INK 50%", "ink"]);
  assert.deepEqual(await names({ note__contains: "_" }), ["INK 50%"]);
  assert.deepEqual(await names({ name__startswith: "p" }), ["pen"]);
  assert.deepEqual(await names({ name__nendswith: "n" }), ["INK 50%", "ink"]);
  assert.deepEqual(await names({ note__isnull: true }), ["pen"]);
  assert.deepEqual(await names({ price__between: [3, 9], id__notin: [3] }), ["INK 50%"]);
  assert.deepEqual(
    (await db.sql.items.cheap({ max: 9 }).filter({ id__gt: 0 }).orderBy("-price").limit(1)
      .execute())
      .data,
    [{ name: "ink" }],
  );
  const one = await db.update("items").data({ price: sql`price + ${1}` }).filter({ id: 1 })
    .returning("price").execute();
  assert.deepEqual(one.data, [{ price: 3 }]);
  await db.insert("items").data({ id: 1, name: "pencil", price: 7, note: null })
    .onConflict("id", ["name"]).execute().wait();
  assert.deepEqual(
    (await db.delete("items").filter({ id: 1 }).returning("name, price").execute())
      .data,
    [{ name: "pencil", price: 3 }],
  );
  assert.deepEqual(
    (await db.select("items").get("count(*) n", "max(price) top").execute()).data,
    [{ n: 2, top: 9 }],
  );
  assert.deepEqual(
    (await db.execute(db.sql`select name from items where ${sql.name("id")} = ${3}`)).data,
    [{ name: "ink" }],
  );
});

onBoth("DB-18 DB-21 DB-09 injection: text stays text, names stay names", async (db) => {
  const evil = [
    "'; drop table items; --",
    '" or "1"="1',
    "x' or '1'='1",
    "\\'; delete from items; --",
    "%' or 1=1 --",
    "$1",
    "?",
    ":a",
    "/*",
  ];
  for (const text of evil) {
    for (
      const filter of [
        { name: text },
        { name__in: [text] },
        { name__contains: text },
        { name__istartswith: text },
      ]
    ) {
      assert.deepEqual((await db.select("items").filter(filter).execute()).data, [], text);
    }
    const bound = await db.execute("select id from items where name = ?", text);
    assert.deepEqual([bound.error, bound.data], [undefined, []], text);
    assert.deepEqual((await db.execute`select id from items where name = ${text}`).data, []);
    await db.insert("items").data({ id: 100, name: text, price: 0, note: text }).execute().wait();
    assert.deepEqual(
      (await db.select("items").get("note").filter({ name: text }).execute()).data,
      [{ note: text }],
    );
    await db.delete("items").filter({ id: 100 }).execute().wait();
    // as a name it is quoted: there is no such column, and nothing else happens
    const column = await db.select("items").filter({ [text.replaceAll(".", "")]: 1 }).execute();
    assert.deepEqual([column.status, column.statusCode], [2, 500], text);
    const order = await db.select("items").orderBy(text).execute();
    assert.equal(order.status, 2, text);
  }
  assert.deepEqual((await db.select("items").get("count(*) n").execute()).data, [{ n: 3 }]);
});

onBoth(
  "DB-16 DB-17 ORM-03 statements of Kysely, Drizzle and Knex, built without a connection",
  async (db, kind) => {
    const kysely = new Kysely<{ items: { id: number; name: string; price: number } }>({
      dialect: {
        createAdapter: () => new PostgresAdapter(),
        createDriver: () => new DummyDriver(),
        createIntrospector: (one) => new PostgresIntrospector(one),
        createQueryCompiler: () => new PostgresQueryCompiler(),
      },
    });
    const items = pgTable("items", {
      id: integer("id").primaryKey(),
      name: pgText("name"),
      price: integer("price"),
      note: pgText("note"),
    });
    const orm = drizzle(() => Promise.resolve({ rows: [] }));
    const builder = knex({
      client: kind === "@pg" ? "pg" : "better-sqlite3",
      useNullAsDefault: true,
    });
    if (kind === "@pg") {
      assert.deepEqual(
        (await db.execute(kysely.selectFrom("items").select("name").where("id", "=", 3))).data,
        [{ name: "ink" }],
      );
      assert.deepEqual(
        (await db.execute(
          kysely.insertInto("items").values({ id: 4, name: "x", price: 1 }).returning("id"),
        ))
          .data,
        [{ id: 4 }],
      );
      assert.deepEqual(
        (await db.execute(
          orm.update(items).set({ name: "y" }).where(eq(items.id, 4)).returning({
            name: items.name,
          }),
        ))
          .data,
        [{ name: "y" }],
      );
      assert.deepEqual(
        (await db.execute(orm.delete(items).where(eq(items.id, 4)).returning({ id: items.id })))
          .data,
        [{ id: 4 }],
      );
      assert.deepEqual(
        (await db.execute(orm.select({ name: items.name }).from(items).where(eq(items.id, 3))))
          .data,
        [{ name: "ink" }],
      );
    }
    const query = builder("items").select("name").where({ id: 3, name: "ink" });
    assert.deepEqual((await db.execute(query)).data, [{ name: "ink" }]);
    assert.deepEqual((await db.execute({ query })).data, [{ name: "ink" }], "DB-17");
    await db.execute(builder("items").insert({ id: 5, name: "z?", price: 2 })).wait();
    await db.execute(builder("items").where({ id: 5 }).update({ name: "zz" })).wait();
    assert.deepEqual(
      (await db.execute({ query: "select name from items where id = ?", params: [5] })).data,
      [{ name: "zz" }],
    );
    const printed = { query: { toString: () => "select name from items where id = 5" } };
    assert.deepEqual((await db.execute(printed)).data, [{ name: "zz" }]);
    assert.deepEqual(
      (await db.execute({ text: "select name from items where id = ?", values: [5] })).data,
      [{ name: "zz" }],
    );
    await db.execute(builder("items").where({ id: 5 }).delete()).wait();
    assert.deepEqual((await db.execute("select count(*) as n from items")).data, [{ n: 3 }]);
    assert.equal((await db.execute({ query: 7 } as never)).status, 2);
    await builder.destroy();
  },
);

Deno.test("DB-21 LOG-18 a statement of the generator that fails is noted with the place it was run at", async () => {
  using logs = recordLogs();
  try {
    const failed = await new Was().sqlite3(":memory:").select("nowhere").execute();
    assert.equal(failed.statusCode, 500);
    assert.match(logs.entries[0]!.text, /requested at file:.*sql_test\.ts:\d+:\d+\)$/);
  } finally {
    await wac.backends[Symbol.asyncDispose]();
  }
});
