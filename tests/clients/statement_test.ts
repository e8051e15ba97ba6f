import assert from "node:assert/strict";
import {
  DummyDriver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import { toStatements } from "../../src/clients/statement.ts";

Deno.test("DB-16 toStatements() takes text, pairs, and what Kysely, Drizzle and Knex build", () => {
  const kysely = new Kysely<{ stocks: { id: number; name: string } }>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  });
  const query = kysely.selectFrom("stocks").select("name").where("id", "=", 7);
  const cases: [input: unknown, sql: string, params: unknown][] = [
    ["select 1", "select 1", []],
    [{ sql: "select ?", params: [1] }, "select ?", [1]],
    [{ sql: "select :a", params: { a: 1 } }, "select :a", { a: 1 }],
    [{ sql: "select 1" }, "select 1", []],
    [query, 'select "name" from "stocks" where "id" = ?', [7]],
    [query.compile(), 'select "name" from "stocks" where "id" = ?', [7]],
    [{ toSQL: () => ({ sql: "drizzle", params: [2] }) }, "drizzle", [2]],
    [{ toSQL: () => ({ sql: "knex", bindings: [3], method: "select" }) }, "knex", [3]],
    [{ toSQL: () => [{ sql: "knex schema", bindings: [] }] }, "knex schema", []],
  ];
  for (const [input, sql, params] of cases) {
    const [statement, ...more] = toStatements(input);
    assert.equal(statement!.sql, sql);
    assert.deepEqual(statement!.params, params);
    assert.equal(more.length, 0);
  }
  class Builder {
    #sql = "private";
    compile() {
      return { sql: this.#sql, parameters: [] };
    }
  }
  assert.equal(toStatements(new Builder())[0]!.sql, "private");
});

Deno.test("DB-09 toStatements() binds one list, one record, or each further argument", () => {
  const params = (...given: unknown[]) => toStatements("x", given)[0]!.params;
  const bytes = new Uint8Array([1]);
  const date = new Date(0);
  assert.deepEqual(params(), []);
  assert.deepEqual(params(undefined), []);
  assert.deepEqual(params([]), []);
  assert.deepEqual(params([1, "a"]), [1, "a"]);
  assert.deepEqual(params(1, "a"), [1, "a"]);
  assert.deepEqual(params({ a: 1 }), { a: 1 });
  assert.deepEqual(params(null), [null]);
  assert.deepEqual(params(bytes), [bytes]);
  assert.deepEqual(params(date), [date]);
  assert.deepEqual(params([1], 2), [[1], 2]);
});

Deno.test("DB-10 toStatements() rejects what is empty or no text", () => {
  for (const bad of ["", " \n", [], ["select 1", ""], 7, null, undefined, {}, { sql: 7 }, [3]]) {
    assert.throws(() => toStatements(bad), TypeError, JSON.stringify(bad));
  }
  assert.throws(() => toStatements({ sql: "x", params: 7 }), /expected a list of values/);
  assert.throws(() => toStatements(["a", "b"], [1]), /list of 2 statements/);
  assert.throws(() => toStatements({ sql: "x", params: [1] }, [2]), /brings its own/);
  assert.throws(() => toStatements({ compile: () => "text" }), TypeError);
});

Deno.test("DB-10 DB-16 what is no statement is named as what was given", () => {
  const given: [unknown, string][] = [
    [{}, "Object"],
    [new Set(["select 1"]), "Set"],
    [[["select 1"]], "Array"],
    [Promise.resolve("select 1"), "Promise"],
    [{ compile: () => Promise.resolve() }, "Promise"],
    [{ sql: 5, params: [] }, "Object"],
    [{ text: new String("select 1") }, "Object"],
  ];
  for (const [input, name] of given) {
    assert.throws(() => toStatements(input), {
      name: "TypeError",
      message: new RegExp(`^Cannot execute ${name}: expected SQL text`),
    });
  }
});
