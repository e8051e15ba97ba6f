import assert from "node:assert/strict";
import { createContext } from "../../src/core/context.ts";
import { alias, aliases } from "../../src/was/aliases.ts";
import { backends } from "../../src/was/backend_clients.ts";
import { resultCache, setMaxRcache } from "../../src/was/kept_outcome.ts";
import { deflu } from "../../src/was/shared.ts";
import { Was } from "../../src/was/was.ts";
import { until } from "../_support/raw_backend.ts";

deflu("result-cache-test");

const was = new Was();
// the state begins when it is first asked for, and everything below is later
was.getlu("result-cache-test");

/** A server that counts, and answers with the number of the request; `hold` keeps answers back. */
function counting() {
  let hold: Promise<void> = Promise.resolve();
  const seen: string[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (req) => {
    seen.push(req.headers.get("cache-control") ?? "");
    const count = seen.length;
    await req.arrayBuffer();
    await hold;
    const status = Number(new URL(req.url).searchParams.get("status") ?? 200);
    return Response.json({ count, list: [{ n: 1 }] }, { status });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    node: `127.0.0.1:${server.addr.port}`,
    seen,
    block() {
      const gate = Promise.withResolvers<void>();
      hold = gate.promise;
      return gate.resolve;
    },
    async [Symbol.asyncDispose]() {
      resultCache.clear();
      setMaxRcache(200);
      await backends[Symbol.asyncDispose]();
      await server.shutdown();
    },
  };
}

interface Counted {
  count: number;
  list: { n: number }[];
}

Deno.test("CACHE-06 CACHE-12 CACHE-13 a kept result answers the same request at once, until it ends", async () => {
  await using backend = counting();
  const get = () => was.get<Counted>(`${backend.url}/a`);
  const first = await get();
  assert.equal(first.cache(60), first);
  assert.equal(first.cached, false);
  const future = get();
  assert.equal(future.settled?.data.count, 1, "complete at once");
  await future.wait();
  assert.equal(future.settled?.cached, true);
  assert.equal((await was.get<Counted>(`${backend.url}/b`)).data.count, 2, "another one asks");
  (await get()).cache(0);
  assert.equal((await get()).data.count, 3);
  const again = await get();
  again.cache(0.05);
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.equal((await get()).data.count, 5);
  assert.equal((await get().dispatch(10)).expire().data.count, 6);
});

Deno.test("CACHE-06 keeping a kept result again does not make it live longer", async () => {
  await using backend = counting();
  const get = () => was.get<Counted>(`${backend.url}/a`).dispatch(10, { cache: 0.3 });
  const end = performance.now() + 10_000;
  let count = 1;
  while (count === 1 && performance.now() < end) {
    ({ count } = (await get()).data);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal(count, 2);
});

Deno.test("CACHE-06 CACHE-07 only listed codes are kept, and only results that are there", async () => {
  await using backend = counting();
  const get = (path: string) => was.get<Counted>(backend.url + path);
  await get("/?status=201").dispatch(10, { cache: 60 });
  assert.equal((await get("/?status=201")).data.count, 2);
  await get("/?status=201").dispatch(10, { cache: 60, cacheIf: [200, 201] });
  assert.equal((await get("/?status=201")).data.count, 3);
  await get("/").dispatch(10, { cache: 60 });
  assert.equal((await get("/")).cached, true);
  const gone = await was.get("http://127.0.0.1:1/").dispatch(10, { cache: 60, cacheIf: [714] });
  assert.equal(gone.status, 2);
  assert.equal((await was.get("http://127.0.0.1:1/")).cached, false);
  const stream = await was.get(`${backend.url}/s`, undefined, { stream: true });
  stream.cache();
  await stream.raw.cancel();
  const second = was.get(`${backend.url}/s`, undefined, { stream: true });
  assert.equal(second.settled, undefined);
  await (await second).raw.cancel();
});

Deno.test("CACHE-09 what differs in address, body, headers or credentials is another request; transactions are not", async () => {
  await using backend = counting();
  const ctx = createContext({ url: "http://a.test/" });
  const own = new Was(ctx);
  const { url } = backend;
  const kinds = [
    () => own.get(`${url}/x`),
    () => own.get(`${url}/x`, { a: 1 }),
    () => own.options(`${url}/x`),
    () => own.post(`${url}/x`, { a: 1 }),
    () => own.post(`${url}/x`, { a: 2 }),
    () => own.get(`${url}/x`, undefined, { headers: { authorization: "Bearer a" } }),
    () => own.get(`${url}/x`, undefined, { headers: { authorization: "Bearer b" } }),
    () => own.get(`${url}/x`, undefined, { auth: ["a"] }),
    () => own.get(`${url}/x`, undefined, { headers: { accept: "application/*" } }),
  ];
  for (const start of kinds) await start().dispatch(10, { cache: 60 });
  assert.equal(backend.seen.length, kinds.length);
  for (const [i, start] of kinds.entries()) {
    const result = await start();
    assert.deepEqual([result.cached, (result.data as Counted).count], [true, i + 1]);
  }
});

Deno.test("CACHE-11 useCache: false asks and refreshes, a time drops what was requested before", async () => {
  await using backend = counting();
  const get = (useCache?: boolean | number) =>
    was.get<Counted>(`${backend.url}/a`, undefined, { useCache }).dispatch(10, { cache: 60 });
  assert.equal((await get()).data.count, 1);
  assert.equal((await get(true)).data.count, 1);
  assert.equal((await get(false)).data.count, 2);
  assert.equal(backend.seen.at(-1), "no-cache");
  assert.equal((await get()).data.count, 2, "refreshed for the others");
  const lastUpdate = () => was.getlu("result-cache-test");
  assert.equal((await get(lastUpdate())).data.count, 2);
  was.setlu("result-cache-test");
  assert.equal((await get(lastUpdate())).data.count, 3);
  await until("the clock goes on", () => Date.now() > lastUpdate() + 2);
  const { count } = (await get(lastUpdate())).data;
  assert.ok(
    count === 3 || count === 4,
    "one asked in the very millisecond of the change is asked again",
  );
  assert.equal((await get(lastUpdate())).data.count, count);
});

Deno.test("CACHE-11 a request under way when the data changes is not what later requests get", async () => {
  await using backend = counting();
  const open = backend.block();
  const start = (useCache?: number) =>
    was.get<Counted>(`${backend.url}/a`, undefined, { useCache });
  const early = start().dispatch(10, { cache: 60 });
  await until("it is under way", () => backend.seen.length === 1);
  was.setlu("result-cache-test");
  const changed = was.getlu("result-cache-test");
  await until("the clock goes on", () => Date.now() > changed + 2);
  const late = start(changed).dispatch(10, { cache: 60 });
  await until("the second is under way", () => backend.seen.length === 2);
  open();
  assert.deepEqual([(await early).data.count, (await late).data.count].sort(), [1, 2]);
  const kept = await start(changed);
  assert.equal(kept.cached, true);
  assert.equal(kept.data.count, (await late).data.count);
});

Deno.test("CACHE-06 many at once are one request, from the moment it is to be kept", async () => {
  await using backend = counting();
  const open = backend.block();
  const get = () => was.get<Counted>(`${backend.url}/a`).dispatch(10, { cache: 0.05 });
  const all = [get(), get(), get(), get()];
  await until("it is under way", () => backend.seen.length > 0);
  open();
  const results = await Promise.all(all);
  assert.deepEqual(results.map(({ data }) => data.count), [1, 1, 1, 1]);
  results[0]!.data.list[0]!.n = 99;
  results[1]!.data.list.pop();
  assert.equal(results[2]!.data.list[0]!.n, 1, "nobody sees what others do to their data");
  await new Promise((resolve) => setTimeout(resolve, 60));
  const more = await Promise.all([1, 2, 3].map(() => was.get<Counted>(`${backend.url}/a`)));
  assert.deepEqual(more.map(({ data }) => data.count), [2, 2, 2], "what was kept once is shared");
});

Deno.test("CACHE-06 whoever gives up a shared request does not take it from the others", async () => {
  await using backend = counting();
  const open = backend.block();
  const leader = was.get(`${backend.url}/a`, undefined, { timeout: 0.2 });
  const kept = leader.dispatch(undefined, { cache: 60 });
  const other = was.get<Counted>(`${backend.url}/a`);
  await until("it is under way", () => backend.seen.length === 1);
  assert.equal((await kept).status, 1);
  open();
  assert.equal((await other).data.count, 1);
  assert.equal(backend.seen.length, 1);
});

Deno.test("CACHE-06 CACHE-07 who takes part in a request of another keeps its result all the same", async () => {
  await using backend = counting();
  const get = (path: string) => was.get<Counted>(backend.url + path);
  const open = backend.block();
  const first = get("/a").dispatch(0.05, { cache: 60 });
  const second = get("/a").dispatch(10, { cache: 60 });
  assert.equal((await first).status, 1, "gives up");
  open();
  assert.equal((await second).data.count, 1);
  assert.equal((await get("/a")).cached, true);

  // one that was kept before is shared, also by whoever does not want it kept
  await get("/b").dispatch(10, { cache: 0.001 });
  await new Promise((resolve) => setTimeout(resolve, 10));
  const [leader, other] = [get("/b"), get("/b").dispatch(10, { cache: 60 })];
  assert.equal((await leader).data.count, (await other).data.count);
  const kept = await get("/b").dispatch(10, { cache: 120 });
  assert.deepEqual([kept.cached, kept.data.count], [true, (await other).data.count]);
});

Deno.test("CACHE-08 Results.cache says what is wrong with its arguments", async () => {
  await using backend = counting();
  alias("@result-cache", "http", backend.node);
  try {
    const results = await was.get.map("@result-cache/");
    assert.throws(() => results.cache(60, 200 as never), /cacheIf is a list of codes, not 200/);
    assert.throws(() => results.cache(NaN), RangeError);
    const failed = await was.get.map("@result-cache/?status=500");
    assert.throws(() => failed.cache("60" as never), RangeError);
  } finally {
    aliases.delete("@result-cache");
  }
});

Deno.test("CACHE-08 CACHE-09 results of a map are kept when all are fine, and apart from single ones", async () => {
  await using one = counting();
  await using two = counting();
  alias("@result-cache", "http", [one.node, two.node]);
  try {
    const map = (path: string) => was.get.map<Counted>(`@result-cache${path}`);
    await map("/a").dispatch(10, { cache: 60 });
    const kept = await map("/a");
    assert.deepEqual([...kept].map(({ cached }) => cached), [true, true]);
    assert.equal((await was.get("@result-cache/a")).cached, false);
    (await map("/b?status=201")).cache(60);
    assert.deepEqual([...await map("/b?status=201")].map(({ cached }) => cached), [false, false]);
    kept.expire();
    assert.deepEqual([...await map("/a")].map(({ cached }) => cached), [false, false]);
    (await was.get("@result-cache/a")).cache();
    assert.equal((await was.get("@result-cache/a")).cached, true, "by alias, whoever answered");
  } finally {
    aliases.delete("@result-cache");
  }
});

Deno.test("CACHE-06 CACHE-09 CACHE-11 rows of a database are kept by statement and values, and cannot be spoiled", async () => {
  const file = await Deno.makeTempFile({ suffix: ".sqlite3" });
  try {
    const db = was.sqlite3<{ n: number }[]>(file);
    await db.execute("create table t (n integer)").wait();
    await db.execute("insert into t values (1), (2)").wait();
    const read = (least: number, useCache?: boolean | number) =>
      was.sqlite3<{ n: number }[]>(file, { useCache, filter: (result) => void result.data.push() })
        .execute("select n from t where n >= ? order by n", least)
        .dispatch(10, { cache: 60 });
    const first = await read(1);
    first.data[0]!.n = 99;
    await db.execute("insert into t values (3)").wait();
    const second = await read(1);
    assert.deepEqual([second.cached, second.data], [true, [{ n: 1 }, { n: 2 }]]);
    second.data.length = 0;
    assert.equal((await read(1)).data.length, 2);
    assert.deepEqual((await read(2)).data, [{ n: 2 }, { n: 3 }], "other values");
    assert.equal((await read(1, false)).data.length, 3);
    was.setlu("result-cache-test");
    assert.equal((await read(1, was.getlu("result-cache-test"))).cached, false);
    for (
      const insert of [
        "insert into t values (7)",
        "-- more\n with a as (select 7 as n) insert into t select n from a returning n",
        ["insert into t values (7)"],
      ]
    ) {
      const before = (await db.execute("select count(*) n from t").dispatch()).data[0]!.n;
      await db.execute(insert).dispatch(10, { cache: 60 });
      assert.equal((await db.execute(insert)).cached, false, "it is done again");
      assert.equal((await db.execute("select count(*) n from t")).data[0]!.n, before + 2);
    }
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    const refused = await db.execute("select ?", [circle]).dispatch(10, { cache: 60 });
    assert.match(refused.reason, /Cannot bind value 1/, "not an error thrown by the call");
  } finally {
    resultCache.clear();
    await backends[Symbol.asyncDispose]();
    await Deno.remove(file);
  }
});

Deno.test("CACHE-09 requests with other limits are other requests", async () => {
  await using backend = counting();
  const get = (options: { maxBytes?: number; maxRedirects?: number }) =>
    was.get<Counted>(`${backend.url}/limits?status=302`, undefined, options);
  await get({ maxRedirects: 0 }).dispatch(10, { cache: 60, cacheIf: [302] });
  assert.equal((await get({ maxRedirects: 0 })).cached, true);
  assert.equal((await get({})).cached, false, "this one would follow");
  assert.equal((await get({ maxRedirects: 0, maxBytes: 3 })).statusCode, 719);
});
