import assert from "node:assert/strict";
import { readText, valuesOf } from "../../../src/clients/postgresql/text.ts";

Deno.test("DB-09 placeholders of other databases become those of PostgreSQL, and only they", () => {
  const cases: [string, readonly unknown[], string][] = [
    ["select ?, ?", [1, 2], "select $1, $2"],
    [
      "select '?', \"?\", ? -- ?\n /* ? /* ? */ ? */",
      [1],
      "select '?', \"?\", $1 -- ?\n /* ? /* ? */ ? */",
    ],
    ["select $1 where a ? 'b'", [1], "select $1 where a ? 'b'"],
    ["select a ? 'b'", [], "select a ? 'b'"],
    ["select $x$ ? $x$, ?", [1], "select $x$ ? $x$, $1"],
    ["select E'\\'?', ?", [1], "select E'\\'?', $1"],
  ];
  for (const [sql, params, expected] of cases) assert.equal(readText(sql, params).sql, expected);
  const named = readText("select :a::int, ':b', :b, :a, x::text, y @> '{}'", { a: 1, b: 2 });
  assert.equal(named.sql, "select $1::int, ':b', $2, $1, x::text, y @> '{}'");
  assert.deepEqual(valuesOf(named, { a: 1, b: 2 }), [1, 2]);
  assert.equal(readText("select :이름, @é", { 이름: 1, é: 2 }).sql, "select $1, $2");
  assert.throws(() => readText("select :a", {}), /no value is given for :a/);
  assert.throws(() => readText("select :a", { a: 1, b: 2 }), /Cannot bind "b"/);
});

Deno.test("DB-12 what only reads is told from what may write", () => {
  const reads = (sql: string) => readText(sql, []).read;
  for (
    const sql of [
      "select 1",
      " select 1 ;",
      "-- c\nselect 1; -- done",
      "values (1)",
      "with a as (select 1) select * from a",
      "select ';' , 'insert'",
    ]
  ) assert.equal(reads(sql), true, sql);
  for (
    const sql of [
      "insert into t values (1)",
      "select 1; delete from t",
      "select 1; select 2;",
      "select 1; drop table t;",
      "with a as (delete from t returning *) select * from a",
      "select * into b from a",
      "select nextval('s')",
      "select * from t for update",
      "select * from t for share",
      "",
    ]
  ) assert.equal(reads(sql), false, sql);
  assert.equal(readText("begin; select 1; commit", []).control, true);
  assert.equal(readText("select 'begin'", []).control, false);
  assert.equal(readText("select 1; commit and chain", []).control, true);
  // columns of such names: to end a transaction that is none is a warning in the server's log
  assert.equal(readText("select start, commit from t; select abort from t", []).control, false);
  for (
    const sql of [
      "set search_path = x",
      "create temp table x (a int)",
      "begin; set role x; select 1; commit",
      "select 1; create local temporary table x (a int)",
      "create or replace temp view x as select 1",
      "select 1 as a into temp x",
      "select 1; prepare x as select 1",
      "select set_config('app.user', $1, false)",
      "select pg_try_advisory_lock(1)",
    ]
  ) assert.equal(readText(sql, []).session, true, sql);
  for (
    const sql of [
      "begin; set local role x; commit",
      "set transaction read only",
      "select set_config('app.user', $1, true), true, false",
      "select temp from temperatures",
      "insert into temp values (1)",
      "select pg_advisory_xact_lock(1)",
    ]
  ) assert.equal(readText(sql, []).session, false, sql);
});
