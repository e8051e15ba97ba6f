import { deepEqual, equal, ok } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { Step } from "../../../src/clients/sqlite3/execute.ts";
import { ShortReads } from "../../../src/clients/sqlite3/short_reads.ts";
import { sqlite3Ask } from "../../../src/clients/sqlite3/client.ts";
import { OffloadPool } from "../../../src/clients/offload/pool.ts";

interface Bench extends AsyncDisposable {
  readonly file: string;
  readonly db: DatabaseSync;
  readonly reads: ShortReads;
  /** Reads until the text is known well enough; the rows, or `undefined` where it is for a thread. */
  read(sql: string, params?: Step["params"], select?: boolean): readonly unknown[] | undefined;
}

async function bench(): Promise<Bench> {
  const directory = await Deno.makeTempDir({ prefix: "skitai-short-" });
  const file = `${directory}/short.db`;
  const db = new DatabaseSync(file);
  db.exec("pragma journal_mode = wal");
  db.exec(
    "create table items (id integer primary key, name text unique, price integer, kind text);" +
      "create unique index kinds on items (kind, price); create index prices on items (price);" +
      'create table "two words" (id integer primary key);' +
      'create table "CONSTANT ROW" (id integer primary key); create table keys (id integer primary key);' +
      "create view hexed as select id, hex(name) name from items;" +
      "create view cheap as select id, name || '!' loud from items;" +
      "create table made (id integer primary key, h text as (hex(id)));" +
      "create table pairs (a text collate nocase, b integer, c, primary key (a, b)) without rowid;" +
      "create unique index part on items (price) where kind = 'y';" +
      "insert into pairs values ('k', 1, 'one'), ('k', 2, 'two');" +
      "insert into items values (1, 'a', 10, 'x'), (2, 'b', 20, 'x'), (3, 'c', 9007199254740993, 'y')",
  );
  const reads = new ShortReads();
  return {
    file,
    db,
    reads,
    read(sql, params = [], select = true) {
      const script = { file, steps: [{ sql, params, select }], busyTimeoutMs: 1000 };
      let rows;
      for (let i = 0; i < 6; i++) rows = reads.read(script);
      return rows && [...rows.columns, ...rows.rows];
    },
    async [Symbol.asyncDispose]() {
      await reads[Symbol.asyncDispose]();
      db.close();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

Deno.test("DB-02 DB-16 rows found by a whole key are read at once, all else on a thread", async () => {
  await using under = await bench();
  const { read } = under;
  const row = ["id", "name", "price", "kind", [1, "a", 10, "x"]];
  deepEqual(read("select * from items where id = ?", [1]), row);
  deepEqual(read("select * from items where id = :id", { ":id": 1 }), row);
  deepEqual(read("select * from items where name = ?", ["a"]), row);
  deepEqual(read("select * from items i where kind = ? and price = ?", ["x", 10]), row);
  deepEqual(read("select name n from items where id in (1, 3)"), ["n", ["a"], ["c"]]);
  deepEqual(read("select 1 one"), ["one", [1]]);
  deepEqual(read("select * from items where id = 99"), ["id", "name", "price", "kind"]);
  deepEqual(read("select c from pairs where a = ? and b = ?", ["K", 2]), ["c", ["two"]]);
  deepEqual(read("select loud from cheap where id = 2"), ["loud", ["b!"]]);
  deepEqual(read("select * from items where name = ?", [null]), row.slice(0, 4));
  deepEqual(read("select name from items where name in (?, ?)", ["a", "c"]), ["name", ["a"], [
    "c",
  ]]);
  deepEqual(
    read(
      "select a.name, b.name other from items a left join items b on b.id = a.id + 1 where a.id = 1",
    ),
    ["name", "other", ["a", "b"]],
  );
  deepEqual(
    read("select name from items where id = ? and (price > 5 or kind is null) limit 1", [1]),
    ["name", ["a"]],
  );
  for (
    const sql of [
      "select * from items",
      "select * from items where price = 10",
      "select * from items where kind = 'x'",
      "select * from items where id > 1",
      "select * from items where name like 'a%'",
      "select * from items order by name limit 1",
      "select count(*) from items where id = 1",
      "select hex(zeroblob(9)) from items where id = 1",
      "select * from items where id in (select price from items)",
      "select a.id from items a, items b where a.id = 1",
      "select id from items where id = 1 union select id from items where id = 2",
      `select id from items where id = 1 ${" ".repeat(2000)}`,
      "select id from items where id = 3 and price = 1 or id = 2",
      "select id from items where name is 'a'",
      "select id from items where name is null",
      "select id from items where kind is 'x' and price is 10",
      'select * from "CONSTANT ROW"',
      'select * from items "CONSTANT ROW"',
      "select * from hexed where id = 1",
      "select * from made where id = 1",
      "select * from items where id in keys",
      "select * from items where id = 1 and name like '%a'",
      "select * from items where id = 1 and name glob 'a*'",
      "select id ->> '$' from items where id = 1",
      'select "hex"(name) from items where id = 1',
      "select hex/**/(name) from items where id = 1",
      "select (select max(id) from items) from items where id = 1",
      "select * from items where exists(select 1 from items where price = 10) and id = 1",
      "select a.id from items a, items b where a.id in (1, 2) and b.id in (1, 2)",
      "select id from items limit 1",
      "select distinct kind from items",
      "select * from items where id = 1 union all select * from items",
      "with recursive n(x) as (select 1 union all select x + 1 from n) select x from n limit 3",
      "values (1), (2)",
      "nonsense",
    ]
  ) equal(read(sql), undefined, sql);
  equal(read("select price from items where id = 3"), undefined, "a number too large");
  equal(read("select * from items where id = ?", [1], false), undefined, "what may write");
  equal(read("select * from items where id = ?", Array(17).fill(1)), undefined, "many values");
});

Deno.test("DB-16 columns that were added or renamed meanwhile are there in the next turn", async () => {
  await using under = await bench();
  const sql = "select * from items where id = 2";
  deepEqual(under.read(sql), ["id", "name", "price", "kind", [2, "b", 20, "x"]]);
  under.db.exec("alter table items rename column kind to sort");
  under.db.exec("alter table items add column more text default 'new'");
  await new Promise((resolve) => setTimeout(resolve));
  deepEqual(under.read(sql), ["id", "name", "price", "sort", "more", [2, "b", 20, "x", "new"]]);
  under.db.exec("drop table items");
  await new Promise((resolve) => setTimeout(resolve));
  equal(under.read(sql), undefined, "the thread will say what is wrong");
});

Deno.test("DB-16 a thread sees the tables as others have left them", async () => {
  await using under = await bench();
  await using pool = new OffloadPool({ threads: 1 });
  const rows = async () => {
    const sql = "select * from items where id = 2";
    const signal = AbortSignal.timeout(60_000);
    return (await sqlite3Ask(pool, undefined, under.file, sql, [], signal)).data;
  };
  deepEqual(await rows(), [{ id: 2, name: "b", price: 20, kind: "x" }]);
  under.db.exec("alter table items rename column kind to sort");
  deepEqual(await rows(), [{ id: 2, name: "b", price: 20, sort: "x" }]);
  under.db.exec("alter table items add column more text default 'new'");
  deepEqual(await rows(), [{ id: 2, name: "b", price: 20, sort: "x", more: "new" }]);
});

Deno.test("DB-16 a lock that another holds is waited for on a thread, not on the event loop", async () => {
  await using under = await bench();
  await using pool = new OffloadPool({ threads: 1 });
  under.db.exec("pragma journal_mode = delete");
  const ask = () =>
    sqlite3Ask(
      ...[pool, under.reads, under.file, "select name from items where id = ?", [2]] as const,
      AbortSignal.timeout(60_000),
    );
  for (let i = 0; i < 6; i++) await ask();
  const now = ask();
  ok(!(now instanceof Promise), "it needs no waiting");
  deepEqual(now.data, [{ name: "b" }]);
  under.db.exec("begin exclusive; update items set name = 'changed' where id = 2");
  const later = ask();
  ok(later instanceof Promise, "it waits elsewhere");
  await new Promise((resolve) => setTimeout(resolve, 50));
  under.db.exec("commit");
  deepEqual((await later).data, [{ name: "changed" }]);
});

Deno.test("DB-16 values that take long to read are left to the thread from then on", async () => {
  await using under = await bench();
  const sql = "select name from items where id = 4";
  under.db.exec("insert into items values (4, zeroblob(100000000), 1, 'z')");
  const script = (text: string) => ({
    file: under.file,
    steps: [{ sql: text, params: [], select: true }],
    busyTimeoutMs: 1000,
  });
  let last;
  for (let i = 0; i < 50; i++) last = under.reads.read(script(sql));
  equal(last, undefined);
  deepEqual(under.read("select name from items where id = 1"), ["name", ["a"]], "others are not");
});

Deno.test("DB-16 files that cannot be opened, and databases in memory, are for threads", async () => {
  await using reads = new ShortReads();
  for (const file of [":memory:", "/nowhere/at/all.db", "file::memory:?cache=shared"]) {
    const script = {
      file,
      steps: [{ sql: "select 1", params: [], select: true }],
      busyTimeoutMs: 1000,
    };
    for (let i = 0; i < 6; i++) equal(reads.read(script), undefined, file);
  }
  reads.maintain();
  deepEqual(reads.stats(), { open: 0, busy: 0 });
});
