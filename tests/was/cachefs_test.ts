import assert from "node:assert/strict";
import { alias, aliases } from "../../src/was/aliases.ts";
import type { Outcome } from "../../src/clients/contract.ts";
import { Stop, type StopSignal } from "../../src/core/stop.ts";
import { enableCachefs, throughCache } from "../../src/was/cachefs.ts";
import type { ReqOptions } from "../../src/was/http_requests.ts";
import { wac } from "../../src/was/wac.ts";
import { Was } from "../../src/was/was.ts";
import { until } from "../_support/raw_backend.ts";

const was = new Was();

/** A backend that counts; `?cc=` is its Cache-Control, `hold` keeps answers back. */
function backend() {
  let hold: Promise<void> = Promise.resolve();
  let seen = 0;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (req) => {
    const count = ++seen;
    const { searchParams } = new URL(req.url);
    const auth = req.headers.get("authorization");
    if (searchParams.has("closed") && auth === null) {
      return new Response("", { status: 401, headers: { "www-authenticate": "Basic realm=x" } });
    }
    await hold;
    return new Response(JSON.stringify({ count, auth }), {
      headers: {
        "content-type": "application/json",
        "cache-control": searchParams.get("cc") ?? "max-age=60",
        ...(searchParams.has("vary") ? { vary: searchParams.get("vary")! } : {}),
        ...(searchParams.has("zstd") ? { "content-encoding": "zstd" } : {}),
      },
    });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    node: `127.0.0.1:${server.addr.port}`,
    get seen() {
      return seen;
    },
    block() {
      const gate = Promise.withResolvers<void>();
      hold = gate.promise;
      return gate.resolve;
    },
    async [Symbol.asyncDispose]() {
      enableCachefs({});
      await wac.backends[Symbol.asyncDispose]();
      await server.shutdown();
    },
  };
}

interface Counted {
  count: number;
  auth: string | null;
}

const LOOKUP = "X-Skitaid-Cache-Lookup";

Deno.test("CACHE-01 CACHE-02 CACHE-03 CACHE-05 requests of was are answered from memory while they are fresh", async () => {
  await using server = backend();
  const get = (path: string, options = {}) =>
    was.get<Counted>(server.url + path, undefined, options);
  assert.equal((await get("/")).getHeader(LOOKUP), undefined);
  assert.equal((await get("/")).data.count, 2, "off until it is enabled");
  enableCachefs({ memmax: 100_000 });
  assert.equal((await get("/")).data.count, 3);
  const hit = await get("/");
  assert.deepEqual([hit.data.count, hit.getHeader(LOOKUP), hit.status, hit.statusCode], [
    ...[3, "MEM_HIT", 3, 200],
  ]);
  assert.equal(hit.getHeader("content-type"), "application/json");
  assert.equal((await get("/", { useCache: false })).data.count, 4);
  assert.equal((await get("/")).data.count, 4, "refreshed");
  assert.equal((await get("/?cc=no-store")).data.count, 5);
  assert.equal((await get("/?cc=no-store")).data.count, 6);
  const mine = { headers: { cookie: "a=1" } };
  assert.equal((await get("/", mine)).data.count, 7);
  assert.equal((await get("/", { auth: ["token"] })).data.auth, "Bearer token");
  assert.equal((await get("/")).data.count, 4);
  assert.equal((await get("/", { headers: { accept: "application/*" } })).data.count, 4, "no Vary");
  await was.post(`${server.url}/`, {});
  assert.equal(server.seen, 9);
  assert.throws(() => enableCachefs({ memMax: 1 } as never), /known are memmax, diskmax, path/);
  assert.throws(() => enableCachefs({ memmax: 1.5 }), RangeError);
});

Deno.test("CACHE-01 CACHE-04 the disk of one worker serves the next, by alias too", async () => {
  const path = await Deno.makeTempDir();
  try {
    await using server = backend();
    alias("@cachefs", "http", server.node);
    enableCachefs({ diskmax: 1_000_000, path });
    assert.equal((await was.get<Counted>("@cachefs/x")).data.count, 1);
    await wac.backends[Symbol.asyncDispose]();
    const again = await was.get<Counted>("@cachefs/x");
    assert.deepEqual([again.data.count, again.getHeader(LOOKUP)], [1, "HIT"]);
  } finally {
    aliases.delete("@cachefs");
    await Deno.remove(path, { recursive: true });
  }
});

/** Waits until something holds: the disk is written in the background. */
async function eventually(holds: () => Promise<boolean>, what: string): Promise<void> {
  for (const end = performance.now() + 20_000; !await holds();) {
    assert.ok(performance.now() < end, `in time ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

Deno.test("CACHE-01 CACHE-03 what was sent to a URL ends what is kept of it, unless it was refused", async () => {
  const path = await Deno.makeTempDir();
  try {
    for (const sizes of [{ memmax: 100_000 }, { diskmax: 1_000_000, path }]) {
      await using server = backend();
      alias("@cachefs", "http", server.node);
      enableCachefs(sizes);
      for (const url of [`${server.url}/x`, "@cachefs/x"]) {
        const get = async () => (await was.get<Counted>(url)).getHeader(LOOKUP) !== undefined;
        const calls = [() => was.post(url, {}), () => was.put(url, {}), () => was.delete(url)];
        for (const call of calls) {
          await eventually(get, "it is kept");
          assert.equal((await call()).statusCode, 200);
          assert.equal(await get(), false);
        }
        await eventually(get, "it is kept");
        await was.options(url);
        await was.head(url);
        await was.post(`${url}/y`, {});
        assert.equal(await get(), true);
      }
      const closed = `${server.url}/x?closed=1&cc=public,max-age=60`;
      await was.get(closed, undefined, { auth: ["token"] });
      const isKept = async () => (await was.get(closed)).statusCode === 200;
      await eventually(isKept, "others get the kept one");
      assert.equal((await was.post(closed, {})).statusCode, 401);
      assert.equal((await was.get(closed)).statusCode, 200, "the kept one");
      aliases.delete("@cachefs");
    }
  } finally {
    aliases.delete("@cachefs");
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("OPS-08 the same request many times at once is one upstream request", async () => {
  await using server = backend();
  enableCachefs({ memmax: 100_000 });
  const open = server.block();
  const get = (path: string, options = {}) =>
    was.get<Counted>(server.url + path, undefined, options);
  const impatient = get("/a");
  await until("it is under way", () => server.seen === 1);
  const all = Array.from({ length: 20 }, () => get("/a"));
  const own = get("/a", { headers: { cookie: "me=1" } });
  // its time counts from the start, and is over
  assert.equal((await impatient.dispatch(0.001)).status, 1, "whoever started it may give up");
  open();
  assert.deepEqual(new Set((await Promise.all(all)).map(({ data }) => data.count)), new Set([1]));
  assert.equal((await own).data.count, 2, "one with a cookie is asked for itself");
  assert.equal(server.seen, 2);
});

Deno.test("OPS-08 a request given up while the cache is looked through has nobody who ends it, and is not sent", async () => {
  enableCachefs({ memmax: 100_000 });
  const stop = new Stop();
  const request = { method: "GET", url: "http://example.test/", headers: [], body: null };
  const signals: StopSignal[] = [];
  const failed: Outcome = {
    ...{ status: 1, statusCode: 730, reason: "", headers: new Headers(), content: null },
    error: new Error("given up"),
  };
  const asked = throughCache(request, "", 0, (signal) => {
    signals.push(signal);
    return Promise.resolve(failed);
  }, stop);
  stop.abort();
  assert.equal((await asked).status, 1);
  assert.deepEqual(signals.map(({ aborted }) => aborted), [true]);
  enableCachefs({});
  await wac.backends[Symbol.asyncDispose]();
});

Deno.test("OPS-08 what may not be kept is not shared, and nobody waits for it a second time", async () => {
  await using server = backend();
  enableCachefs({ memmax: 100_000 });
  let open = server.block();
  const get = () => was.get<Counted>(`${server.url}/b?cc=private`);
  const first = [get(), get(), get()];
  await until("one is under way", () => server.seen === 1);
  open();
  const counts = (await Promise.all(first)).map(({ data }) => data.count);
  assert.equal(new Set(counts).size, 3, "each has its own");
  open = server.block();
  const second = [get(), get(), get()];
  await until("all are under way at once", () => server.seen === 6);
  open();
  await Promise.all(second);
});

Deno.test("CACHE-03 an answer to the user of a member or of a URL is for no other user", async () => {
  await using server = backend();
  enableCachefs({ memmax: 100_000 });
  const names = ["@fs-ada", "@fs-bob", "@fs-nobody"];
  const members = [`ada:a@${server.node}`, `bob:b@${server.node}`, server.node];
  for (const [i, name] of names.entries()) alias(name, "http", members[i]!);
  const whose = async (uri: string) => {
    const result = await was.get<Counted>(`${uri}/private?closed`);
    return result.statusCode === 401 ? "nobody" : atob(result.data.auth!.slice("Basic ".length));
  };
  try {
    assert.deepEqual(await Promise.all(names.map(whose)), ["ada:a", "bob:b", "nobody"], "at once");
    assert.equal(await whose("@fs-bob"), "bob:b");
    assert.equal(await whose("@fs-nobody"), "nobody");
  } finally {
    for (const name of names) aliases.delete(name);
  }
  const url = server.url.replace("//", "//cy:c@");
  const get = (cc: string) => was.get<Counted>(`${url}/url?closed&cc=${cc}`);
  await get("max-age=60");
  assert.equal((await get("max-age=60")).getHeader(LOOKUP), undefined, "only public ones are kept");
  await get("public,max-age=60");
  assert.equal((await get("public,max-age=60")).getHeader(LOOKUP), "MEM_HIT");
});

Deno.test("CACHE-11 a time of change holds for the cache file system, also for what is under way", async () => {
  await using server = backend();
  enableCachefs({ memmax: 100_000 });
  const get = (useCache: boolean | number, headers = {}) =>
    was.get<Counted>(`${server.url}/t`, undefined, { useCache, headers });
  assert.equal((await get(true)).data.count, 1);
  assert.equal((await get(Date.now() - 60_000)).data.count, 1, "changed long before");
  assert.equal((await get(Date.now())).data.count, 2, "changed since");
  assert.equal((await get(true)).data.count, 2);
  assert.equal((await get(false, { "cache-control": "max-age=60" })).data.count, 3);
  const open = server.block();
  const old = was.get<Counted>(`${server.url}/u`);
  await until("it is under way", () => server.seen === 4);
  const changed = Date.now();
  const fresh = was.get<Counted>(`${server.url}/u`, undefined, { useCache: changed });
  await until("the fresh one is under way", () => server.seen === 5);
  open();
  assert.deepEqual([(await old).data.count, (await fresh).data.count], [4, 5]);
  const late = was.get<Counted>(`${server.url}/u`, undefined, { useCache: changed });
  assert.notEqual((await late).data.count, 4, "what was asked before the change");
});

Deno.test("CACHE-03 WAS-10 what a request limits holds for answers from the cache", async () => {
  await using server = backend();
  enableCachefs({ memmax: 100_000 });
  const get = (query: string, options: ReqOptions = {}) =>
    was.get<Counted>(`${server.url}/l?${query}`, undefined, options);
  await get("");
  assert.equal((await get("")).getHeader(LOOKUP), "MEM_HIT");
  assert.equal((await get("", { maxBytes: 3 })).statusCode, 719);
  assert.equal((await get("", { headers: { "accept-content-length": "3" } })).statusCode, 719);
  const twice: [string, string][] = [["cache-control", "x=1"], ["cache-control", "no-cache"]];
  assert.equal((await get("", { headers: twice })).getHeader(LOOKUP), undefined);
  const varied = (value: string) =>
    get("vary=x-v", { headers: [["x-v", "1"], ["x-v", value]] as [string, string][] });
  await varied("2");
  assert.equal((await varied("3")).getHeader(LOOKUP), undefined, "each value of a header counts");
  assert.equal((await varied("3")).getHeader(LOOKUP), "MEM_HIT");
});

Deno.test("CACHE-02 CACHE-05 an answer in a coding that was not undone is not kept without its name", async () => {
  await using server = backend();
  enableCachefs({ memmax: 100_000 });
  for (let i = 0; i < 2; i++) {
    const result = await was.get(`${server.url}/z?zstd`);
    assert.equal(result.getHeader("content-encoding"), "zstd");
  }
  assert.equal(server.seen, 2);
});
