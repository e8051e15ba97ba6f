import assert from "node:assert/strict";
import { type TestClient, testClient } from "../../src/server/testing/mod.ts";
import { freePort } from "../_support/free_port.ts";
import { noPostgresql, startPostgresql } from "../_support/postgresql.ts";
import { noRedis, startRedis } from "../_support/redis.ts";

function start(name: string, args: string[]): Promise<TestClient> {
  const script = new URL(`../../examples/${name}`, import.meta.url);
  return testClient(script, freePort(), { args, startTimeoutMs: 60_000 });
}

Deno.test("DB-06 DB-01 the example of one alias runs on PostgreSQL in production", {
  ignore: noPostgresql,
}, async () => {
  await using server = await startPostgresql();
  await using client = await start("one_alias.ts", ["---production", "--database", server.member]);
  const { items } = client.api();
  assert.deepEqual(await items.post({ name: "tea", price: 4 }), { name: "tea", price: 4 });
  await items.post({ name: "cake", price: 30 });
  assert.deepEqual(await items.post({ name: "tea", price: 5 }), { name: "tea", price: 5 });
  assert.deepEqual(await items.get({ most: 10 }), { items: [{ name: "tea", price: 5 }] });
  assert.equal(await server.sql("select count(*) from items", "shop"), "2");
});

Deno.test("DB-01 DB-05 WAS-24 TPL-12 the dashboard asks PostgreSQL, Redis and HTTP for one page", {
  ignore: noPostgresql || noRedis,
}, async () => {
  await using database = await startPostgresql();
  await using redis = await startRedis();
  let rate: number | undefined = 2;
  await using rates = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    return rate === undefined ? new Response("", { status: 503 }) : Response.json({ USD: rate });
  });
  await using client = await start("dashboard/app.ts", [
    ...["--database", database.member, "--redis", redis.address],
    ...["--rates", `127.0.0.1:${rates.addr.port}`],
  ]);
  assert.match((await client.get("/")).text, /0 orders, 0 €[\s\S]*Seen 1 times/);
  for (const [customer, total] of [["ann", 10], ["<ben>", 20]] as const) {
    assert.equal((await client.post("/orders", { customer, total })).statusCode, 201);
  }
  const page = (await client.get("/")).text;
  assert.match(page, /<h1>2 orders, 30 € or 60(\.00)? \$<\/h1>/);
  assert.match(page, /<li>&lt;ben&gt;: 20 €<\/li>\s*<li>ann: 10 €<\/li>/);
  assert.match(page, /Seen 2 times/);

  rate = undefined;
  assert.match((await client.get("/")).text, /<h1>2 orders, 30 €<\/h1>/, "it does without rates");
  // One that is needed and away is an answer, and soon.
  await database.process.kill();
  const failed = await client.get("/");
  assert.equal(failed.statusCode, 502, failed.text);
});
