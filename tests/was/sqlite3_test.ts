import assert from "node:assert/strict";
import { HttpError } from "../../src/core/errors.ts";
import { aliases } from "../../src/was/aliases.ts";
import { wac } from "../../src/was/wac.ts";
import { Was } from "../../src/was/was.ts";
import { recordLogs } from "../_support/log_recorder.ts";

/** Runs the test with threads and without, in a directory of its own. */
function both(name: string, test: (was: Was, directory: string) => Promise<void>): void {
  for (const threads of [4, 0]) {
    Deno.test(`${name} (threads: ${threads})`, async () => {
      using _logs = recordLogs();
      const directory = await Deno.makeTempDir();
      const before = wac.numthreads;
      wac.numthreads = threads;
      try {
        await test(new Was(), directory);
      } finally {
        await wac.backends[Symbol.asyncDispose]();
        wac.numthreads = before;
        for (const name of ["@files", "@web"]) aliases.delete(name);
        await Deno.remove(directory, { recursive: true });
      }
    });
  }
}

both(
  "DB-02 DB-07 DB-08 SRV-08 was.sqlite3() gives an object whose every statement is a future",
  async (was, directory) => {
    const db = was.sqlite3(`${directory}/sqlite3.db`);
    await db.execute("create table stocks (id integer primary key, name text)").wait();
    await db.execute("insert into stocks (name) values (?), (?)", "IBM", "RHAT").wait();
    const one = db.execute("select name, id from stocks where id = ?", [1]);
    const two = db.execute("select * from stocks order by id");
    const result = await two;
    assert.deepEqual([result.status, result.statusCode, result.reason], [3, 200, "OK"]);
    assert.equal(result.data[0]!.name, "IBM");
    assert.deepEqual(result.data, [{ id: 1, name: "IBM" }, { id: 2, name: "RHAT" }]);
    assert.deepEqual((await one.dispatch()).data, [{ name: "IBM", id: 1 }]);
    assert.deepEqual([result.method, result.server, result.params], [
      "EXECUTE",
      `${directory}/sqlite3.db`,
      [],
    ]);
    assert.deepEqual(await db.execute("select name from stocks where id = 2").oneOrThrow(), {
      name: "RHAT",
    });
    await assert.rejects(
      db.execute("select * from stocks where id = 9").oneOrThrow(),
      (error) => error instanceof HttpError && error.status === 404,
    );
  },
);

both(
  "DB-15 a failed statement has status 2 and code 500; reraise and wait throw the driver's error",
  async (was) => {
    const db = was.sqlite3(":memory:");
    const result = await db.execute("select * from missing");
    assert.deepEqual([result.status, result.statusCode, result.data], [2, 500, null]);
    const driver = { message: "no such table: missing", code: "ERR_SQLITE_ERROR" };
    assert.throws(() => result.reraise(), driver);
    await assert.rejects(db.execute("select * from missing").wait(), driver);
    await assert.rejects(
      db.execute("select * from missing").dispatch(20, { reraise: true }),
      driver,
    );
    await assert.rejects(
      db.execute("select * from missing").dataOrThrow("503 Busy"),
      (error) => error instanceof HttpError && error.status === 503,
    );
    assert.equal((await db.execute("")).status, 2, "DB-10");
    assert.equal((await db.execute(7 as unknown as string)).status, 2, "DB-10");
  },
);

both("DB-16 DB-09 statements of builders and values by name", async (was) => {
  const db = was.sqlite3(":memory:");
  await db.execute(["create table t (a, b)", {
    sql: "insert into t values (?, ?)",
    params: [1, 2],
  }]).wait();
  const forms = [
    { compile: () => ({ sql: "select a from t where b = ?", parameters: [2] }) },
    { toSQL: () => ({ sql: "select a from t where b = ?", params: [2] }) },
    { toSQL: () => ({ sql: "select a from t where b = ?", bindings: [2] }) },
    { sql: "select a from t where b = :b", params: { b: 2 } },
  ];
  for (const form of forms) assert.deepEqual((await db.execute(form)).data, [{ a: 1 }]);
  assert.deepEqual((await db.execute("select a from t where b = :b", { b: 2 })).data, [{ a: 1 }]);
});

both(
  "ALI-07 files of an alias form a group: each statement goes to one of them, or to all",
  async (was, directory) => {
    const files = [`${directory}/a.db`, `${directory}/b.db`];
    aliases.define("@files", "sqlite3", [files[0]!, `${files[1]} 2`]);
    await was.sqlite3.map("@files").execute("create table t (n)").wait();
    for (const [i, file] of files.entries()) {
      await was.sqlite3(file).execute("insert into t values (?)", i).wait();
    }
    const results = await was.sqlite3.map("@files").execute("select n from t");
    assert.deepEqual(results.status, [3, 3]);
    assert.deepEqual(results.statusCode, [200, 200]);
    assert.deepEqual([...results].flatMap((result) => result.data), [{ n: 0 }, { n: 1 }]);
    assert.deepEqual([...results].map((result) => result.node), files);
    assert.deepEqual(await was.sqlite3.map("@files").execute("select n from t").dataOrThrow(), [[{
      n: 0,
    }], [{ n: 1 }]]);
    for (const db of [was.sqlite3("@files"), was.sqlite3.lb("@files")]) {
      const futures = Array.from({ length: 12 }, () => db.execute("select n from t"));
      const asked = (await Promise.all(futures)).map((result) => result.node);
      assert.equal(
        asked.filter((node) => node === files[1]).length,
        8,
        "twice the weight, twice the statements",
      );
    }
    await was.sqlite3(files[1]!).execute("drop table t").wait();
    const partly = await was.sqlite3.map("@files").execute("select n from t");
    assert.deepEqual(partly.status, [3, 2]);
    assert.throws(() => partly.reraise(), /no such table/);
    await assert.rejects(
      was.sqlite3.map("@files").execute("select n from t").dispatchOrThrow("500 Sorry"),
      HttpError,
    );
  },
);

both(
  "DB-02 options of WAS-06 are accepted: meta, filter, callback, useCache, timeout",
  async (was) => {
    const calls: unknown[] = [];
    const db = was.sqlite3(":memory:", {
      useCache: false,
      meta: { at: 1 },
      timeout: 20,
      filter: (result) => void (result.data[0]!.n = 7),
      callback: [(result, extra) => calls.push([result.data, extra]), "x"],
    });
    const result = await db.execute("select 1 as n");
    assert.deepEqual([result.data, result.meta], [[{ n: 7 }], { at: 1 }]);
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.deepEqual(calls, [[[{ n: 7 }], "x"]]);
    aliases.define("@web", "http", "127.0.0.1:80");
    aliases.define("@files", "sqlite3", "x.db");
    const bad: [() => unknown, RegExp][] = [
      [() => was.sqlite3(""), /no file or alias was given/],
      [() => was.sqlite3(undefined as unknown as string), /no file or alias/],
      [() => was.sqlite3("@nope"), /no such alias/],
      [() => was.sqlite3("@web"), /of type http/],
      [() => was.sqlite3.lb("x.db"), /expected @alias/],
      [() => was.sqlite3.map("x.db"), /expected @alias/],
      [
        () => was.sqlite3.map("@files", { callback: () => {} } as object),
        /callback is not possible/,
      ],
      [() => was.sqlite3("x.db", { tiemout: 3 } as object), /unknown option "tiemout"/],
      [() => was.sqlite3("x.db", { meta: { reqid: 1 } }), /reserved/],
    ];
    for (const [call, message] of bad) assert.throws(call, message);
  },
);

Deno.test("DB-02 a statement over its time has status 1, and the next ones go on", async () => {
  using _logs = recordLogs();
  const was = new Was();
  try {
    const sql = `with recursive c(i) as (select 1 union all select i + 1 from c where i < 4000000)
      select count(*) as n from c`;
    const slow = await was.sqlite3("file:slow?mode=memory", { timeout: 0.05 }).execute(sql);
    assert.deepEqual([slow.status, slow.statusCode], [1, 730]);
    const next = await was.sqlite3(":memory:").execute("select 1 as n");
    assert.deepEqual(next.data, [{ n: 1 }]);
  } finally {
    await wac.backends[Symbol.asyncDispose]();
  }
});

both(
  "SRV-07 SRV-08 was.offload() runs a function of a module, in a thread where there are some",
  async (was) => {
    const jobs = new URL("../_support/offload_jobs.ts", import.meta.url);
    assert.equal(await was.offload(jobs, "add", 2, 3), 5);
    const here = (globalThis as { __isolate?: string }).__isolate ??= "main";
    assert.equal(await was.offload(jobs.href, "where") === here, wac.numthreads === 0);
    await assert.rejects(was.offload(jobs, "fail", "no"), { name: "RangeError", message: "no" });
    await assert.rejects(was.offload("./jobs.ts", "x"), TypeError);
  },
);
