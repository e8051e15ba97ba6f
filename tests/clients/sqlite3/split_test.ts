import assert from "node:assert/strict";
import { splitSql } from "../../../src/clients/sqlite3/split.ts";

const TRIGGER = `create trigger t after insert on a begin
  update b set n = case when n > 1 then 2 else 3 end; -- end;
  insert into c values (new.id, ';end;');
end`;

Deno.test("DB-02 DB-10 splitSql() finds the ends of statements as SQLite does", () => {
  const cases: [text: string, pieces: string[]][] = [
    ["", []],
    [" ;; -- nothing\n;/* at ; all */ ;\uFEFF", []],
    ["select 1", ["select 1"]],
    ["select 1;", ["select 1"]],
    ["a;b;c", ["a", "b", "c"]],
    ["select ';', \";\", `;`, [;] ; b", ["select ';', \";\", `;`, [;]", "b"]],
    ["select 'it''s; fine' ; b", ["select 'it''s; fine'", "b"]],
    ["select 1 -- ;\n, 2; b", ["select 1 -- ;\n, 2", "b"]],
    ["select 1 /* ; */; b /* open ;", ["select 1 /* ; */", "b /* open ;"]],
    ["select 'open ; b", ["select 'open ; b"]],
    [`${TRIGGER}; select 1`, [TRIGGER, "select 1"]],
    ["CREATE TEMP TRIGGER x BEGIN a; END; b", ["CREATE TEMP TRIGGER x BEGIN a; END", "b"]],
    ["create table end (a); b", ["create table end (a)", "b"]],
    ["begin; a; end; b", ["begin", "a", "end", "b"]],
    ["-- first\ninsert into a values (1);\n-- last\n", ["insert into a values (1)"]],
  ];
  for (const [text, pieces] of cases) {
    assert.deepEqual(splitSql(text).map((piece) => piece.sql), pieces, text);
  }
  assert.throws(() => splitSql("select 1\0; drop table a"), /NUL/);
});

Deno.test("DB-02 splitSql() names the verb, also behind a with clause", () => {
  const cases: [text: string, verb: string][] = [
    ["SELECT 1", "select"],
    ["/* c */ Values (1)", "values"],
    ["with a as (select 1) select * from a", "select"],
    ["with a as (select 1) insert into b select * from a", "insert"],
    ["with recursive a(x) as (values (1) union select x from a) update b set c = 1", "update"],
    ["explain select 1", "explain"],
    ["pragma user_version", "pragma"],
  ];
  for (const [text, verb] of cases) assert.equal(splitSql(text)[0]?.verb, verb, text);
});

Deno.test("DB-09 splitSql() counts placeholders and numbers PostgreSQL's the PostgreSQL way", () => {
  const cases: [text: string, sql: string, positional: number, names: string[]][] = [
    ["select ?, '?', ?", "select ?, '?', ?", 2, []],
    ["select ?3, ?1", "select ?3, ?1", 3, []],
    ["select $2, $1, $2", "select ?2, ?1, ?2", 2, []],
    ["x; select $2 where a = $1", "select ?2 where a = ?1", 2, []],
    ["select :a, @b, $c, :a", "select :a, @b, $c, :a", 3, [":a", "@b", "$c"]],
    ["select a$1, '$1' ->> '$.x'", "select a$1, '$1' ->> '$.x'", 0, []],
    ["select x /* $1 */ -- ?", "select x /* $1 */ -- ?", 0, []],
  ];
  for (const [text, sql, positional, names] of cases) {
    assert.deepEqual(
      { ...splitSql(text).at(-1)!, verb: "" },
      { sql, verb: "", positional, names },
      text,
    );
  }
});
