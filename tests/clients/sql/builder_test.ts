import assert from "node:assert/strict";
import { sql } from "../../../src/clients/sql/template.ts";
import { sqlGenerator } from "../../../src/clients/sql/generator.ts";
import type { SqlStatement } from "../../../src/clients/sql/builder.ts";

const pg = sqlGenerator("postgresql", undefined);
const lite = sqlGenerator("sqlite3", undefined);

/** Text and values of a statement. */
const built = (statement: SqlStatement) => {
  const { sql, parameters } = statement.compile();
  return [sql, ...parameters];
};

Deno.test("DB-18 the generator writes select, insert, update and delete with values bound", () => {
  assert.deepEqual(built(pg.select("rc_file").get("id, name").filter({ id: 4 })), [
    'select "id", "name" from "rc_file" where "id" = $1',
    4,
  ]);
  assert.deepEqual(
    built(
      lite.select("public.files f").distinct()
        .get("f.id", "count(*) cnt", "count(distinct f.org) as orgs", sql`${1} + ${2} as three`)
        .join("orgs o", { "o.id": "f.org" }).leftJoin("tags t", sql`t.file = f.id`)
        .filter({ "f.kind": "pdf" }, pg.or({ a: 1 }, { b: null }), sql`size > ${10}`)
        .exclude({ hidden: true }).groupBy("f.id").having({ org__gt: 1 })
        .orderBy("-cnt, f.id").limit(10).offset(20),
    ),
    [
      'select distinct "f"."id", count(*) as "cnt", count(distinct "f"."org") as "orgs", ' +
      '? + ? as three from "public"."files" as "f" join "orgs" as "o" on "o"."id" = "f"."org" ' +
      'left join "tags" as "t" on t.file = f.id where "f"."kind" = ? and ("a" = ? or "b" is null) ' +
      'and (size > ?) and not ("hidden" = ?) group by "f"."id" having "org" > ? ' +
      'order by "cnt" desc, "f"."id" limit 10 offset 20',
      ...[1, 2, "pdf", 1, 10, true, 1],
    ],
  );
  assert.deepEqual(
    built(pg.select("recent").with("recent", pg.select("t").filter({ n__gt: 5 })).filter({ m: 1 })),
    [
      'with "recent" as (select * from "t" where "n" > $1) select * from "recent" where "m" = $2',
      5,
      1,
    ],
  );
  assert.deepEqual(
    built(
      pg.insert("cities").data([{ name: "Seoul", at: sql`now()` }, { at: null, name: "Busan" }])
        .onConflict("name", ["at"]).returning("id"),
    ),
    [
      'insert into "cities" ("name", "at") values ($1, now()), ($2, $3) ' +
      'on conflict ("name") do update set "at" = excluded."at" returning "id"',
      ...["Seoul", "Busan", null],
    ],
  );
  assert.deepEqual(built(lite.insert("t").data({ a: 1 }).onConflict(["a"])), [
    'insert into "t" ("a") values (?) on conflict ("a") do nothing',
    1,
  ]);
  assert.deepEqual(
    built(pg.update("t").data({ hits: sql`hits + ${1}`, x: "y" }).filter({ id: 3 }).returning("*")),
    ['update "t" set "hits" = hits + $1, "x" = $2 where "id" = $3 returning *', 1, "y", 3],
  );
  assert.deepEqual(built(pg.delete("t").filter({ id__in: [1, 2] })), [
    'delete from "t" where "id" in ($1, $2)',
    ...[1, 2],
  ]);
  assert.deepEqual(built(pg.delete("t").all()), ['delete from "t"']);
  assert.deepEqual(built(lite.select("t").offset(5)), ['select * from "t" limit -1 offset 5']);
  assert.equal(String(pg.select("t")), 'select * from "t"');
});

Deno.test("DB-18 objects of interfaces are values and conditions as well", () => {
  interface Item {
    name: string;
    price: number;
  }
  const item: Item = { name: "pen", price: 2 };
  // that this compiles is what counts
  assert.deepEqual(built(pg.insert("items").data([item])).slice(1), ["pen", 2]);
  assert.deepEqual(built(pg.update("items").data(item).filter(item)).slice(1), [
    ...["pen", 2, "pen", 2],
  ]);
});

Deno.test("DB-21 filter operators by suffix", () => {
  const where = (generator: typeof pg, filter: Record<string, unknown>) => {
    const [text, ...values] = built(generator.select("t").filter(filter));
    return [String(text).replace('select * from "t" where ', ""), ...values];
  };
  const cases: [Record<string, unknown>, unknown[]][] = [
    [{ a__eq: 1 }, ['"a" = $1', 1]],
    [{ a__exact: 1 }, ['"a" = $1', 1]],
    [{ a__neq: 1 }, ['"a" <> $1', 1]],
    [{ a__neq: null }, ['"a" is not null']],
    [{ a__lt: 1, b__lte: 2 }, ['"a" < $1 and "b" <= $2', 1, 2]],
    [{ a__gt: 1, b__gte: 2 }, ['"a" > $1 and "b" >= $2', 1, 2]],
    [{ a__between: [1, 2] }, ['"a" between $1 and $2', 1, 2]],
    [{ a__in: [] }, ["1 = 0"]],
    [{ a__notin: [] }, ["1 = 1"]],
    [{ a__notin: [7] }, ['"a" not in ($1)', 7]],
    [{ a__in: sql`select ${1}` }, ['"a" in (select $1)', 1]],
    [{ a__isnull: true, b__isnull: false }, ['"a" is null and "b" is not null']],
    [{ a__like: "x%" }, ['"a" like $1', "x%"]],
    [{ a__nilike: "x%" }, ['"a" not ilike $1', "x%"]],
    [{ a__contains: "50%_\\" }, [`"a" like $1 escape '\\'`, "%50\\%\\_\\\\%"]],
    [{ a__nistartswith: "x" }, [`"a" not ilike $1 escape '\\'`, "x%"]],
    [{ "t.a__endswith": "x" }, [`"t"."a" like $1 escape '\\'`, "%x"]],
  ];
  for (const [filter, expected] of cases) assert.deepEqual(where(pg, filter), expected);
  assert.deepEqual(where(lite, { a__contains: "5*?[" }), ['"a" glob ?', "*5[*][?][[]*"]);
  assert.deepEqual(where(lite, { a__icontains: "5%" }), [`"a" like ? escape '\\'`, "%5\\%%"]);
  assert.deepEqual(where(lite, { a__nstartswith: "x" }), ['"a" not glob ?', "x*"]);
});

Deno.test("DB-18 DB-21 what cannot be used says so where it is written", () => {
  const bad: [() => unknown, RegExp][] = [
    [() => pg.select("a; drop table b"), /as a table/],
    [() => pg.select(""), /as a table/],
    [() => pg.select("t").get("id; drop table t"), /as a column/],
    [() => pg.select("t").get("(select 1)"), /as a column/],
    [() => pg.select("t").get("pg_sleep(10) --"), /as a column/],
    [
      () => pg.select("t").filter({ a__unlike: 1 }),
      /unknown operator "unlike".* like, .* with i, n or ni in front$/,
    ],
    [() => pg.select("t").filter({ a__toString: 1 }), /unknown operator "toString"/],
    [() => pg.select("t").filter({ a: undefined }), /is undefined/],
    [() => pg.select("t").filter({ a__in: [1, undefined] }), /a__in: the value is undefined/],
    [() => pg.select("t").filter({ a__between: [undefined, 1] }), /is undefined/],
    [() => pg.select("t").filter({}), /empty object/],
    [() => pg.select("t").filter("a = 1" as never), /expected an object/],
    [() => pg.select("t").filter({ a__in: "x" }), /expected a list/],
    [() => pg.select("t").filter({ a__between: [1] }), /two values/],
    [() => pg.select("t").filter({ a__like: 1 }), /expected a text/],
    [() => pg.select("t").limit(-1), RangeError as never],
    [() => pg.select("t").limit("1; drop table t" as never), /limit/],
    [() => pg.insert("t").compile(), /no data/],
    [() => pg.insert("t").data([{ a: 1 }, { b: 1 }]).compile(), /different columns/],
    [() => pg.insert("t").data({ a: undefined }).compile(), /is undefined/],
    [() => pg.update("t").data({ a: 1 }).compile(), /every row/],
    [() => pg.delete("t").compile(), /every row/],
    [() => pg.select("t").execute(), /without a database/],
    [() => pg.nowhere, /Cannot find nowhere.sql/],
  ];
  for (const [call, expected] of bad) assert.throws(call, expected);
});

Deno.test("DB-16 the tag binds what stands in it, and pieces can be put into others", () => {
  const evil = "'; drop table t; --";
  const cond = sql`name = ${evil}`;
  const { sql: text, params } = sql`select ${sql.name('we"ird')} from t where ${cond} and id in (${
    sql.join([1, 2])
  })`.render((n) => `$${n}`);
  assert.equal(text, 'select "we""ird" from t where name = $1 and id in ($2, $3)');
  assert.deepEqual(params, [evil, 1, 2]);
  assert.throws(() => sql.join([]), /empty list/);
});
