import assert from "node:assert/strict";
import { MapBuilder, parseMaps, SqlMaps } from "../../../src/clients/sql/maps.ts";
import { sqlGenerator } from "../../../src/clients/sql/generator.ts";

const FILE = `
-- statements about files
<sql name="totals">
  select org, count(*) cnt, ':no' as lit, now()::date from files -- not :this
  where kind = :kind and {_filters} group by org {_orderBy} {_limit} {_offset}
</sql>

<sql name="twice">select :a::int + :a::int as n</sql>
`;

Deno.test("DB-20 statements of files take values by name and generated parts in their places", () => {
  const maps = parseMaps(FILE, "file.sql");
  assert.deepEqual([...maps.keys()], ["totals", "twice"]);
  const totals = new MapBuilder("postgresql", maps.get("totals")!, { kind: "p'df" })
    .filter({ name__endswith: "OCD" }).orderBy("org", "-cnt").limit(10).offset(10).compile();
  assert.deepEqual(totals.parameters, ["p'df", "%OCD"]);
  assert.match(totals.sql, /where kind = \$1 and "name" like \$2 escape '\\' group by org/);
  assert.match(totals.sql, /order by "org", "cnt" desc limit 10 offset 10$/);
  assert.match(totals.sql, /':no' as lit, now\(\)::date from files -- not :this/);
  const bare = new MapBuilder("sqlite3", maps.get("totals")!, { kind: 1 }).compile();
  assert.match(bare.sql, /where kind = \? and 1 = 1 group by org {3}$/);
  const twice = new MapBuilder("sqlite3", maps.get("twice")!, { a: 4 }).compile();
  assert.deepEqual([twice.sql, ...twice.parameters], ["select ?::int + ?::int as n", 4, 4]);
  const names = parseMaps('<sql name="a">select :이름, :é</sql>', "x.sql").get("a")!;
  const named = new MapBuilder("postgresql", names, { 이름: 1, é: 2 }).compile();
  assert.deepEqual([named.sql, ...named.parameters], ["select $1, $2", 1, 2]);
  const bad: [() => unknown, RegExp][] = [
    [() => new MapBuilder("sqlite3", maps.get("totals")!), /no value is given for :kind/],
    [() => new MapBuilder("sqlite3", maps.get("twice")!, { a: 1, b: 2 }), /takes no "b", only a/],
    [() => new MapBuilder("sqlite3", maps.get("twice")!, { a: 1 }).limit(1), /no {_limit}/],
    [() => parseMaps("select 1", "x.sql"), /^SyntaxError: x.sql:1: text outside/],
    [
      () => parseMaps('<sql name="a">select 1</sql>\n-- b\n\n  oops\n', "x.sql"),
      /^SyntaxError: x.sql:4: text outside of .*: "oops"$/,
    ],
    [() => parseMaps('\n<sql name="a-b">select 1</sql>', "x.sql"), /x.sql:2: "a-b" is not a name/],
    [() => parseMaps('<sql name="a"> </sql>', "x.sql"), /is empty/],
    [() => parseMaps('<sql name="a">select {limit}</sql>', "x.sql"), /unknown place {limit}/],
    [
      () => parseMaps('<sql name="a">select 1</sql><sql name="a">select 1</sql>', "x.sql"),
      /twice/,
    ],
  ];
  for (const [call, expected] of bad) assert.throws(call, expected);
});

Deno.test("DB-20 files are found by name, and read again when they change and the reloader is on", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/report.sql`, '<sql name="one">select 1 as n</sql>');
    let reload = false;
    const maps = new SqlMaps(directory, () => reload);
    const sql = sqlGenerator("sqlite3", maps);
    assert.equal(sql.report.one().compile().sql, "select 1 as n");
    assert.throws(() => sql.nothing, /Cannot find nothing.sql in/);
    assert.throws(() => sql.report.two, /Cannot find two in report.sql; it has one/);
    assert.equal(maps.get("../../etc/passwd"), undefined);

    await Deno.writeTextFile(`${directory}/report.sql`, '<sql name="one">select 22 as n</sql>');
    assert.equal(sql.report.one().compile().sql, "select 1 as n", "not looked at");
    reload = true;
    const end = performance.now() + 10_000;
    while (sql.report.one().compile().sql !== "select 22 as n") {
      assert.ok(performance.now() < end, "it was never read again");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("DB-20 what looks like a value is none in text with escapes", () => {
  const text = String.raw`select E'it\'s :no, it''s \\' a, e'' b, like'\' c, :x d`;
  const [source] = parseMaps(`<sql name="a">${text}</sql>`, "a.sql").values();
  assert.deepEqual([...source!.names], ["x"]);
});
