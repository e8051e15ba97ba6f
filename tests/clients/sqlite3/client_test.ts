import assert from "node:assert/strict";
import { OffloadPool } from "../../../src/clients/offload/pool.ts";
import { sqlite3Send } from "../../../src/clients/sqlite3/client.ts";
import type { Outcome } from "../../../src/clients/contract.ts";
import { PoolExhaustedError } from "../../../src/core/errors.ts";

const MINUTE = 60_000;

interface Bench {
  readonly file: string;
  readonly pool: OffloadPool;
  run(sql: unknown, ...params: unknown[]): Promise<Outcome>;
  rows(sql: unknown, ...params: unknown[]): Promise<unknown>;
}

/** Runs the test with threads and without, each on a file of its own. */
function both(name: string, test: (bench: Bench) => Promise<void>): void {
  for (const threads of [2, 0]) {
    Deno.test(`${name} (threads: ${threads})`, async () => {
      const directory = await Deno.makeTempDir();
      try {
        await using pool = new OffloadPool({ threads });
        const file = `${directory}/test.db`;
        const run = (sql: unknown, ...params: unknown[]) =>
          sqlite3Send(pool, file, sql, params)(AbortSignal.timeout(MINUTE));
        await test({
          file,
          pool,
          run,
          rows: async (sql, ...params) => {
            const outcome = await run(sql, ...params);
            assert.equal(outcome.error, undefined);
            assert.equal(outcome.status, 3);
            return outcome.data;
          },
        });
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    });
  }
}

/** Runs a foreign program. */
async function foreign(program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}

both(
  "DB-02 DB-08 SRV-08 statements give rows as objects in column order, or empty data",
  async ({ run, rows }) => {
    const created = await run(
      "create table stocks (id integer primary key, name text, price real)",
    );
    assert.deepEqual(
      {
        status: created.status,
        code: created.statusCode,
        reason: created.reason,
        data: created.data,
      },
      { status: 3, code: 200, reason: "OK", data: [] },
    );
    assert.deepEqual(
      await rows("insert into stocks (name, price) values ('IBM', 1.5), ('RHAT', 35)"),
      [],
    );
    const data = await rows("select price, name, id from stocks order by id") as object[];
    assert.deepEqual(data, [{ price: 1.5, name: "IBM", id: 1 }, {
      price: 35,
      name: "RHAT",
      id: 2,
    }]);
    assert.deepEqual(Object.keys(data[0]!), ["price", "name", "id"]);
    assert.deepEqual(await rows("select * from stocks where id = 99"), []);
    assert.deepEqual(await rows("update stocks set price = 2 where id = 1 returning name, price"), [
      { name: "IBM", price: 2 },
    ]);
    assert.deepEqual(await rows("with a as (select 3 as n) select n from a"), [{ n: 3 }]);
    assert.deepEqual(await rows("values (1, 'x')"), [{ column1: 1, column2: "x" }]);
    assert.deepEqual(await rows('select 5 as "__proto__", 6 as b'), [
      Object.fromEntries([["__proto__", 5], ["b", 6]]),
    ]);
  },
);

both(
  "DB-02 DB-10 several statements run together, a select stands alone",
  async ({ run, rows }) => {
    assert.deepEqual(
      await rows("create table a (n); insert into a values (1); insert into a values (2);"),
      [],
    );
    assert.deepEqual(
      await rows([
        "insert into a values (3)",
        "insert into a values (4);",
        "delete from a where n = 1",
      ]),
      [],
    );
    assert.deepEqual(await rows("select sum(n) as s from a ; -- the end"), [{ s: 9 }]);
    assert.deepEqual(await rows(["select count(*) as c from a"]), [{ c: 3 }]);
    for (
      const sql of ["select 1; select 2", "select 1; delete from a", "delete from a; select 1", [
        "delete from a",
        "select 1",
      ]]
    ) {
      const { status, statusCode, error } = await run(sql);
      assert.deepEqual([status, statusCode], [2, 500]);
      assert.match(error!.message, /a select must stand alone/);
    }
    assert.deepEqual(await rows("select count(*) as c from a"), [{ c: 3 }], "nothing of it ran");
    assert.deepEqual(
      await rows([{ sql: "insert into a values (?)", params: [7] }, {
        sql: "delete from a where n = :n",
        params: { n: 2 },
      }]),
      [],
    );
    assert.deepEqual(await rows("select n from a order by n"), [{ n: 3 }, { n: 4 }, { n: 7 }]);
    assert.deepEqual(
      await rows(`create table log (n); create trigger t after insert on a begin
      insert into log values (new.n); insert into log values (-new.n); end; insert into a values (8)`),
      [],
    );
    assert.deepEqual(await rows("select n from log"), [{ n: 8 }, { n: -8 }]);
  },
);

both(
  "DB-09 values are bound in order or by name, converted, and counted",
  async ({ run, rows }) => {
    await rows("create table v (i, x)");
    const cases: [value: unknown, read: unknown, type: string][] = [
      [1, 1, "integer"],
      [1.5, 1.5, "real"],
      [2 ** 53, 2 ** 53, "real"],
      [10n, 10, "integer"],
      [9007199254740993n, 9007199254740993n, "integer"],
      [1n - 2n ** 63n, 1n - 2n ** 63n, "integer"],
      ["täxt €😀", "täxt €😀", "text"],
      ["", "", "text"],
      ["'; drop table v; --", "'; drop table v; --", "text"],
      [true, 1, "integer"],
      [false, 0, "integer"],
      [null, null, "null"],
      [undefined, null, "null"],
      [NaN, null, "null"],
      [new Date(0), "1970-01-01T00:00:00.000Z", "text"],
      [new Uint8Array([0, 255]), new Uint8Array([0, 255]), "blob"],
      [new Uint8Array(), new Uint8Array(), "blob"],
      [new Uint8Array([1, 2, 3]).subarray(1), new Uint8Array([2, 3]), "blob"],
      [new Uint8Array([4, 5]).buffer, new Uint8Array([4, 5]), "blob"],
    ];
    for (const [i, [value, read, type]] of cases.entries()) {
      await rows("insert into v values (?, ?)", [i, value]);
      assert.deepEqual(await rows("select x, typeof(x) as t from v where i = ?", i), [{
        x: read,
        t: type,
      }]);
      assert.deepEqual(await rows("select x from v where i = :i", { i }), [{ x: read }]);
    }
    assert.deepEqual(await rows("select ? as a, ? as b", 1, "x"), [{ a: 1, b: "x" }]);
    assert.deepEqual(await rows("select 'id' || ? as a", 7), [{ a: "id7" }]);
    assert.deepEqual(await rows("select i from v order by i limit ?", 1), [{ i: 0 }]);
    assert.deepEqual(await rows("select $2 as a, $1 as b", [1, 2]), [{ a: 2, b: 1 }]);
    assert.deepEqual(
      await rows("select :a as a, @b as b, $c as c, :a as d", { a: 1, "@b": 2, c: 3 }),
      [
        { a: 1, b: 2, c: 3, d: 1 },
      ],
    );
    const bad: [sql: string, params: unknown[], message: RegExp][] = [
      ["select ?", [], /0 values to a statement that takes 1/],
      ["select ?", [[1, 2]], /2 values to a statement that takes 1/],
      ["select 1", [1], /1 values to a statement that takes 0/],
      ["select :a", [{}], /no value is given for :a/],
      ["select :a", [{ a: 1, b: 2 }], /"b": the statement takes :a/],
      ["select ?", [{ a: 1 }], /placeholders without names/],
      ["select ?", [[{ a: 1 }]], /value 1: Object is no type of SQLite/],
      ["select ?", [[[1]]], /value 1: Array is no type/],
      ["select ?", [() => 1], /value 1: function/],
      ["select ?", [2n ** 63n], /does not fit into 64 bits/],
      ["select ?", ["a\0b"], /NUL/],
      ["select ?", [new Date(NaN)], /invalid date/],
      ["create table q (a); insert into q values (?)", [1], /a text of 2 statements/],
    ];
    for (const [sql, params, message] of bad) {
      const { status, statusCode, error } = await run(sql, ...params);
      assert.deepEqual([status, statusCode], [2, 500], sql);
      assert.match(error!.message, message);
    }
  },
);

both("DB-15 failures are outcomes with the driver's error", async ({ run, rows }) => {
  await rows("create table a (n unique)");
  await rows("insert into a values (1)");
  const cases: [sql: unknown, message: RegExp, code: string | undefined][] = [
    ["selec 1", /near "selec": syntax error/, "ERR_SQLITE_ERROR"],
    ["select * from missing", /no such table: missing/, "ERR_SQLITE_ERROR"],
    ["insert into a values (1)", /UNIQUE constraint failed: a\.n/, "ERR_SQLITE_ERROR"],
    ["", /empty SQL/, undefined],
    ["  ", /empty SQL/, undefined],
    ["-- only a comment", /only a comment/, undefined],
    [7, /Cannot execute number/, undefined],
    [null, /Cannot execute null/, undefined],
    [["insert into a values (2)", 7], /Cannot execute number/, undefined],
    ["begin; insert into a values (5)", /transaction was not ended/, undefined],
    [
      "begin; insert into a values (6); insert into a values (1); commit",
      /UNIQUE/,
      "ERR_SQLITE_ERROR",
    ],
  ];
  for (const [sql, message, code] of cases) {
    const outcome = await run(sql);
    assert.deepEqual(
      [outcome.status, outcome.statusCode, outcome.data],
      [2, 500, null],
      String(sql),
    );
    assert.match(outcome.error!.message, message);
    assert.match(outcome.reason, message);
    assert.equal((outcome.error as { code?: string }).code, code);
  }
  const { error } = await run("insert into a values (1)");
  assert.equal((error as unknown as { errcode: number }).errcode, 2067);
  assert.deepEqual(await rows("select n from a"), [{ n: 1 }], "open transactions were rolled back");
  assert.deepEqual(await rows("begin; insert into a values (8); commit"), []);
  assert.deepEqual(await rows("select count(*) as c from a"), [{ c: 2 }]);
});

both(
  "DB-02 columns added later are seen, and a file in no directory is an error",
  async ({ file, pool, rows }) => {
    await rows("create table a (n); insert into a values (1)");
    assert.deepEqual(await rows("select * from a"), [{ n: 1 }]);
    await rows("alter table a add m default 5");
    assert.deepEqual(await rows("select * from a"), [{ n: 1, m: 5 }]);
    const signal = AbortSignal.timeout(MINUTE);
    const missing = await sqlite3Send(pool, `${file}.d/none.db`, "select 1")(signal);
    assert.match(missing.error!.message, /unable to open database file: .*none\.db/);
    for (const bad of ["", undefined as unknown as string]) {
      assert.match(
        (await sqlite3Send(pool, bad, "select 1")(signal)).error!.message,
        /path of its file/,
      );
    }
  },
);

both("DB-02 :memory: is one database for all requests of the pool", async ({ pool }) => {
  const run = (sql: string, ...params: unknown[]) =>
    sqlite3Send(pool, ":memory:", sql, params)(AbortSignal.timeout(MINUTE));
  await run("create table a (n)");
  await Promise.all([1, 2, 3, 4, 5, 6].map((n) => run("insert into a values (?)", n)));
  pool.maintain();
  assert.deepEqual((await run("select sum(n) as s from a")).data, [{ s: 21 }]);
  const other = sqlite3Send(
    pool,
    "file:other?mode=memory",
    "select count(*) as n from sqlite_master",
  );
  assert.deepEqual((await other(AbortSignal.timeout(MINUTE))).data, [{ n: 0 }]);
});

both(
  "DB-02 python and the sqlite3 shell read what we wrote, and we read what they wrote",
  async ({ file, rows }) => {
    await rows("create table a (i integer, r real, t text, b blob, n)");
    await rows("insert into a values (?, ?, ?, ?, ?)", [
      9007199254740993n,
      0.1,
      "dü€😀",
      new Uint8Array([0, 1, 254]),
      null,
    ]);
    const script = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(db.execute("select * from a").fetchall())
db.execute("insert into a values (?, ?, ?, ?, ?)", (2**62, 2.5, "von Python ✓", bytes([9, 8]), None))
db.commit()`;
    assert.equal(
      await foreign("python3", "-c", script, file),
      "[(9007199254740993, 0.1, 'dü€😀', b'\\x00\\x01\\xfe', None)]",
    );
    assert.deepEqual(await rows("select * from a where r > 1"), [
      { i: 2n ** 62n, r: 2.5, t: "von Python ✓", b: new Uint8Array([9, 8]), n: null },
    ]);
    assert.equal(
      await foreign("sqlite3", file, "select count(*), typeof(b) from a; pragma integrity_check"),
      "2|blob\nok",
    );
    assert.equal(
      await foreign("sqlite3", file, "pragma journal_mode"),
      "wal",
      "a new file gets a write-ahead log",
    );
  },
);

both("DB-02 the journal of a file somebody else made stays as it is", async ({ file, rows }) => {
  await foreign("sqlite3", file, "create table a (n); insert into a values (1)");
  await rows("insert into a values (2)");
  assert.equal(
    await foreign("sqlite3", file, "pragma journal_mode; select sum(n) from a"),
    "delete\n3",
  );
});

Deno.test("DB-02 a long query does not hold up the event loop", async () => {
  await using pool = new OffloadPool({ threads: 1 });
  // Counts for about half a second; the timer has to fire many times before the answer comes.
  const sql = `with recursive c(i) as (select 1 union all select i + 1 from c where i < ?)
    select count(*) as n from c`;
  let ticks = 0;
  let done = false;
  const rows = 4_000_000;
  const query = sqlite3Send(pool, ":memory:", sql, [rows])(AbortSignal.timeout(MINUTE));
  query.then(() => done = true);
  const atEnd = new Promise<number>((resolve) => {
    const timer = setInterval(() => {
      if (!done) return void ticks++;
      clearInterval(timer);
      resolve(ticks);
    }, 1);
  });
  assert.deepEqual((await query).data, [{ n: rows }]);
  assert.ok(await atEnd >= 10, `${ticks} ticks`);
});

Deno.test("DB-02 writers of one file take turns and lose nothing, also across pools and processes", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const file = `${directory}/busy.db`;
    await using pool = new OffloadPool({ threads: 3 });
    await using other = new OffloadPool({ threads: 3 });
    const signal = AbortSignal.timeout(MINUTE);
    await sqlite3Send(pool, file, "create table a (n integer); insert into a values (0)")(signal);
    const python = foreign(
      "python3",
      "-c",
      `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
for i in range(50): db.execute("begin immediate"); db.execute("update a set n = n + 1"); db.execute("commit")`,
      file,
    );
    const writes = Array.from(
      { length: 100 },
      (_, i) =>
        sqlite3Send(i % 2 ? pool : other, file, "begin immediate; update a set n = n + 1; commit")(
          signal,
        ),
    );
    const reads = Array.from(
      { length: 20 },
      () => sqlite3Send(pool, file, "select n from a")(signal),
    );
    for (const outcome of await Promise.all([...writes, ...reads])) {
      assert.equal(outcome.error, undefined);
    }
    await python;
    const { data } = await sqlite3Send(pool, file, "select n from a")(signal);
    assert.deepEqual(data, [{ n: 150 }]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("DB-02 a query that is given up counts as timed out, and others go on", async () => {
  await using pool = new OffloadPool({ threads: 1, queueTimeoutMs: 20_000 });
  const abort = new AbortController();
  const slow = sqlite3Send(
    pool,
    "file:slow?mode=memory",
    "with recursive c(i) as (select 1 union all select i + 1 from c where i < 3000000) select count(*) as n from c",
  )(abort.signal);
  abort.abort(new Error("took too long"));
  const outcome = await slow;
  assert.deepEqual([outcome.status, outcome.statusCode, outcome.data], [1, 730, null]);
  assert.match(outcome.error!.message, /took too long/);
  const next = await sqlite3Send(pool, ":memory:", "select 1 as n")(AbortSignal.timeout(MINUTE));
  assert.deepEqual(next.data, [{ n: 1 }]);
});

Deno.test("DB-02 too many statements at once are refused with PoolExhaustedError", async () => {
  await using pool = new OffloadPool({ threads: 1, maxQueue: 0 });
  const signal = AbortSignal.timeout(MINUTE);
  const both = await Promise.all(
    [1, 2].map((n) => sqlite3Send(pool, ":memory:", "select ? as n", [n])(signal)),
  );
  assert.deepEqual(both[0]!.data, [{ n: 1 }]);
  assert.ok(both[1]!.error instanceof PoolExhaustedError);
  assert.deepEqual([both[1]!.status, both[1]!.statusCode], [2, 500]);
});

Deno.test("DB-02 a write that is given up runs to its end before the next write of its file", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const file = `${directory}/late.db`;
    await using pool = new OffloadPool({ threads: 2, queueTimeoutMs: 20_000 });
    const signal = AbortSignal.timeout(MINUTE);
    await sqlite3Send(pool, file, "create table a (n)")(signal);
    const abort = new AbortController();
    const slow = sqlite3Send(
      pool,
      file,
      `insert into a with recursive c(i) as (select 1 union all select i + 1 from c where i < 200000)
        select i from c`,
    )(abort.signal);
    abort.abort(new Error("took too long"));
    assert.equal((await slow).status, 1);
    const next = await sqlite3Send(
      pool,
      file,
      "insert into a values (0) returning (select count(*) from a) as n",
    )(signal);
    assert.equal(next.error, undefined);
    assert.deepEqual(next.data, [{ n: 200_001 }]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
