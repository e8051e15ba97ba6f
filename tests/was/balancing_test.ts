import assert from "node:assert/strict";
import { createContext } from "../../src/core/context.ts";
import { BackendError } from "../../src/core/errors.ts";
import { alias, aliases, type AliasOptions } from "../../src/was/aliases.ts";
import { watchAll } from "../../src/was/delivery.ts";
import { wac } from "../../src/was/wac.ts";
import { Was } from "../../src/was/was.ts";
import { recordLogs } from "../_support/log_recorder.ts";
import { type MemberServer, startMember } from "../_support/member_server.ts";
import { noFerretdb, startFerretdb } from "../_support/ferretdb.ts";
import { noPostgresql, startPostgresql } from "../_support/postgresql.ts";
import { rawBackend } from "../_support/raw_backend.ts";
import { noRedis, startRedis } from "../_support/redis.ts";
import { isMissing } from "../_support/services.ts";

const ignore = isMissing("python3");
const was = new Was();

/** An alias over members for the length of a test. */
function group(members: readonly (MemberServer | string)[], options: AliasOptions = {}) {
  const nodes = members.map((member) => typeof member === "string" ? member : member.node);
  const made = alias("@balanced", "http", nodes, options);
  const logs = recordLogs();
  return {
    made,
    status: () => wac.clusters.get("@balanced")!.status(),
    async [Symbol.asyncDispose]() {
      aliases.delete("@balanced");
      await wac.backends[Symbol.asyncDispose]();
      logs[Symbol.dispose]();
    },
  };
}

/** Waits until something holds, by asking again. */
async function eventually(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + 30_000;
  while (!await holds()) {
    if (performance.now() > end) throw new Error(`Waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

Deno.test({
  name:
    "WAS-18 WAS-20 OPS-02 a member that is killed is passed over, its requests go to others, and it comes back",
  ignore,
  fn: async () => {
    await using a = await startMember();
    await using b = await startMember();
    await using all = group([a, b], { eject: { baseMs: 200 } });
    const get = () => was.get.lb<string>("@balanced/");
    const many = async (count: number) => {
      const results = await Promise.all(Array.from({ length: count }, get));
      return results.map(({ status, text }) => `${status} ${text}`);
    };
    assert.deepEqual(new Set(await many(10)), new Set([`3 ${a.port}`, `3 ${b.port}`]));
    await a.process.kill();
    assert.deepEqual(new Set(await many(20)), new Set([`3 ${b.port}`]), "nobody notices");
    const posted = await Promise.all(
      Array.from({ length: 6 }, () => was.post<string>("@balanced/", { n: 1 })),
    );
    assert.deepEqual(new Set(posted.map(({ text }) => text)), new Set([b.port]));
    assert.equal((await was.get<string>(`http://${b.node}/count?method=POST`)).text, "6");
    await eventually("it is ejected", async () => {
      await get();
      return all.status().members[0]!.state === "ejected";
    });
    assert.match(all.status().members[0]!.lastError!, /refused|Connect/i);
    await a.process.start();
    await eventually("it is used again", async () => (await get()).text === a.port);
  },
});

Deno.test({
  name:
    "WAS-20 OPS-02 a timeout is not tried elsewhere; a member that stands still is ejected and used again later",
  ignore,
  fn: async () => {
    await using a = await startMember();
    await using b = await startMember();
    await using all = group([a, b], { eject: { fails: 2, baseMs: 2000 } });
    const get = () => was.get<string>("@balanced/", undefined, { timeout: 20 });
    await a.process.pause();
    const asked = Array.from({ length: 8 }, get);
    await eventually(
      "the other has answered",
      () => asked.filter(({ settled }) => settled !== undefined).length === 4,
    );
    // the time of those that are left is over then
    const results = await Promise.all(asked.map((future) => future.dispatch(0.1)));
    const late = results.filter(({ status }) => status === 1);
    assert.equal(late.length, 4, "those that had been given to it");
    assert.ok(late.every(({ statusCode }) => statusCode === 730));
    assert.equal(all.status().repeats.retries, 0);
    await eventually("it is ejected", () => all.status().members[0]!.state === "ejected");
    assert.deepEqual(
      new Set((await Promise.all([get(), get()])).map(({ text }) => text)),
      new Set([b.port]),
    );
    await a.process.resume();
    await eventually("it is used again", async () => (await get()).text === a.port);
  },
});

Deno.test({
  name: "OPS-01 health checks find who stands still and who is well again, without any request",
  ignore,
  fn: async () => {
    await using a = await startMember();
    await using b = await startMember();
    await using all = group([a, b], {
      health: { path: "/health", intervalMs: 30, timeoutMs: 400, fails: 2, passes: 2 },
    });
    await was.get("@balanced/");
    const state = () => all.status().members.map((member) => member.state).join(" ");
    await eventually("both are well", () => state() === "active active");
    await a.process.pause();
    await eventually("it is found", () => state() === "unhealthy active");
    assert.equal((await was.get<string>("@balanced/")).text, b.port);
    await b.process.pause();
    const before = all.status().members[1]!.state;
    assert.equal(before, "active");
    await new Promise((resolve) => setTimeout(resolve, 1200));
    assert.equal(state(), "unhealthy active", "the last one may be slow");
    await a.process.resume();
    await b.process.resume();
    await eventually("both are back", () => state() === "active active");
    await b.process.kill();
    await eventually("the dead one is out", () => state() === "active unhealthy");
  },
});

const databases = {
  redis: {
    ignore: noRedis,
    start: async () => {
      const server = await startRedis({ password: "se:cret" });
      return { ...server, member: `:${encodeURIComponent("se:cret")}@${server.address}` };
    },
  },
  postgresql: { ignore: noPostgresql, start: startPostgresql },
  mongodb: {
    ignore: noFerretdb,
    start: async () => {
      const server = await startFerretdb();
      return { ...server, member: `${server.address}/shop` };
    },
  },
} as const;

for (const [type, { ignore, start }] of Object.entries(databases)) {
  Deno.test({
    name:
      `OPS-01 health checks of ${type} ask a trivial question, with the credentials of the member`,
    ignore,
    fn: async () => {
      using _logs = recordLogs();
      const server = await start();
      try {
        // the second one takes connections, and says nothing that could be understood
        await using silent = rawBackend((conn) => conn.drained());
        alias("@checked", type as "redis", [server.member, `127.0.0.1:${silent.port}`], {
          health: { intervalMs: 30, timeoutMs: 600, fails: 1, passes: 1 },
        });
        watchAll(aliases);
        const state = () =>
          wac.clusters.get("@checked")!.status().members.map((one) => one.state).join(" ");
        await eventually("only one answers", () => state() === "active unhealthy");
        await server.process.kill();
        await eventually("the other is found, too", () => state() === "unhealthy unhealthy");
        await server.process.start();
        await eventually("it is back", () => state() === "active unhealthy");
      } finally {
        aliases.delete("@checked");
        await wac.backends[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      }
    },
  });
}

Deno.test({
  name: "OPS-01 a user of Redis who may not ask has an answer all the same",
  ignore: noRedis,
  fn: async () => {
    using _logs = recordLogs();
    await using server = await startRedis();
    const cli = async (...args: string[]) => {
      const { stdout } = await new Deno.Command("redis-cli", {
        args: ["-p", String(server.port), ...args],
      }).output();
      return new TextDecoder().decode(stdout);
    };
    try {
      await cli("acl", "setuser", "few", "on", ">few", "~*", "+get");
      alias("@checked", "redis", [`few:few@${server.address}`, "127.0.0.1:1"], {
        health: { intervalMs: 20, timeoutMs: 600, fails: 1, passes: 1 },
      });
      watchAll(aliases);
      for (let refused = 0; refused < 4;) {
        const [, count] = /cmdstat_ping:.*rejected_calls=(\d+)/.exec(
          await cli("info", "commandstats"),
        ) ?? [];
        refused = Number(count ?? 0);
      }
      const [few] = wac.clusters.get("@checked")!.status().members;
      assert.equal(few!.state, "active");
    } finally {
      aliases.delete("@checked");
      await wac.backends[Symbol.asyncDispose]();
    }
  },
});

Deno.test("OPS-01 health checks of SQLite files never make one", async () => {
  using _logs = recordLogs();
  const directory = await Deno.makeTempDir();
  try {
    const made = [`${directory}/a.db`, `${directory}/b.db`];
    await Deno.writeFile(made[0]!, new Uint8Array());
    alias("@checked", "sqlite3", made, { health: { intervalMs: 20, fails: 1, passes: 1 } });
    watchAll(aliases);
    const state = () =>
      wac.clusters.get("@checked")!.status().members.map((one) => one.state).join(" ");
    await eventually("the missing one is out", () => state() === "active unhealthy");
    assert.equal((await Array.fromAsync(Deno.readDir(directory))).length, 1);
  } finally {
    aliases.delete("@checked");
    await wac.backends[Symbol.asyncDispose]();
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("OPS-01 a status that is not the one expected is no health", async () => {
  let code = 204;
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response(null, { status: code }),
  );
  try {
    await using all = group([`127.0.0.1:${server.addr.port}`], {
      health: { path: "/x", status: 204, intervalMs: 10, fails: 1, passes: 1 },
    });
    await was.get("@balanced/");
    const state = () => all.status().members[0]!.state;
    code = 200;
    await eventually("200 is not 204", () => state() === "unhealthy");
    assert.equal((await was.get("@balanced/")).statusCode, 200, "all are out, so all are used");
    code = 204;
    await eventually("204 is", () => state() === "active");
  } finally {
    await server.shutdown();
  }
});

Deno.test("OPS-03 an open breaker answers at once, with a cause that names the alias", async () => {
  await using all = group(["127.0.0.1:1"], { breaker: { fails: 2, openMs: 60_000 }, eject: false });
  const get = () => was.get("@balanced/x");
  assert.match((await get()).error!.message, /^@balanced: Cannot connect to 127\.0\.0\.1:1/);
  await get();
  const cut = await get();
  assert.deepEqual([cut.status, cut.statusCode], [2, 714]);
  assert.ok(cut.error instanceof BackendError);
  assert.deepEqual([cut.error.code, cut.error.alias, cut.error.attempts], [
    ...["BREAKER_OPEN", "@balanced", 0],
  ]);
  assert.equal(all.status().members[0]!.breaker, "open");
  assert.equal(all.status().members[0]!.requests, 2);
  wac.clusters.get("@balanced")!.resume("127.0.0.1:1");
  await get();
  assert.equal(all.status().members[0]!.requests, 3);
});

Deno.test("OPS-04 what failed is asked again for a share of the requests only, when methods allow it", async () => {
  let asked = 0;
  const handler = () => {
    asked++;
    return new Response("busy", { status: 503 });
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
  try {
    await using all = group([`127.0.0.1:${server.addr.port}`], {
      retry: { attempts: 3, codes: [503], share: 0.2, minPerSecond: 0, backoffMs: 1 },
    });
    for (let i = 0; i < 50; i++) assert.equal((await was.get("@balanced/")).statusCode, 503);
    assert.equal(asked, 60, "a fifth more");
    assert.equal(all.status().repeats.retries, 10);
    assert.ok(all.status().repeats.refused > 0);
    asked = 0;
    for (let i = 0; i < 20; i++) await was.post("@balanced/", {});
    assert.equal(asked, 20, "a POST is sent once");
  } finally {
    await server.shutdown();
  }
});

Deno.test("OPS-04 retry: false never repeats, methods named by the alias are repeated too", async () => {
  {
    await using all = group(["127.0.0.1:1", "127.0.0.1:2"], { retry: false });
    await was.get("@balanced/");
    assert.equal(all.status().members.reduce((sum, { requests }) => sum + requests, 0), 1);
  }
  let asked = 0;
  await using backend = rawBackend(async (conn) => {
    await conn.request();
    if (++asked === 3) await conn.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  });
  await using _all = group([`127.0.0.1:${backend.port}`], {
    retry: { attempts: 3, methods: ["POST"], backoffMs: 1 },
  });
  const result = await was.post("@balanced/", { n: 1 });
  assert.deepEqual([result.statusCode, asked], [200, 3]);
});

Deno.test({
  name:
    "OPS-05 a slow member is overtaken by another, the slower request is given up, and it is counted",
  ignore,
  fn: async () => {
    await using slow = await startMember(2);
    await using fast = await startMember();
    await using all = group([slow, fast], { balance: "round-robin" });
    const get = (hedgeMs: number) => was.get<string>("@balanced/", undefined, { hedgeMs });
    assert.equal((await get(50)).text, fast.port);
    const { hedges, hedgesWon } = all.status().repeats;
    assert.deepEqual([hedges, hedgesWon], [1, 1]);
    await eventually("the slow request is over", () => all.status().members[0]!.busy === 0);
    assert.equal(all.status().members[0]!.failures, 0, "being given up is no failure");
    assert.equal((await get(5000)).text, fast.port);
    assert.equal(all.status().repeats.hedges, 1, "one that is quick enough is not doubled");
    assert.throws(
      () => was.post("@balanced/", {}, { hedgeMs: 5 }),
      /hedgeMs would send a POST twice/,
    );
    assert.throws(() => get(-1), /hedgeMs is a number from 0/);
  },
});

Deno.test({
  name: "OPS-06 ALI-05 policies by the request that is being answered: address, header, cookie",
  ignore,
  fn: async () => {
    await using a = await startMember();
    await using b = await startMember();
    await using c = await startMember();
    const from = (remoteAddr: string, headers: Record<string, string> = {}) => {
      const header = (name: string) => headers[name] ?? null;
      const given: [string, string][] = [];
      const ctx = createContext({ url: "http://a.test/", remoteAddr, header });
      const own = Object.assign(new Was(ctx), {
        response: { setHeaders: (list: [string, string][]) => void given.push(...list) },
      });
      return { get: async () => (await own.get<string>("@balanced/")).text, given };
    };
    {
      await using _all = group([a, b, c], { balance: { hash: "address" } });
      const answers = new Set<string>();
      // The hash depends on the ports: with few addresses one member may have none of them.
      for (let i = 0; i < 64; i++) {
        const { get } = from(`10.1.2.${i}`);
        const first = await get();
        assert.equal(await get(), first);
        answers.add(first);
      }
      assert.equal(answers.size, 3);
    }
    {
      await using _all = group([a, b, c], { balance: { hash: "header:X-Tenant" } });
      const one = await from("10.0.0.1", { "x-tenant": "blue" }).get();
      assert.equal(await from("10.9.9.9", { "x-tenant": "blue" }).get(), one);
    }
    await using _all = group([a, b, c], { balance: { cookie: "lb" } });
    const first = from("10.0.0.1");
    const port = await first.get();
    const [[name, value]] = first.given as [[string, string]];
    assert.equal(name, "set-cookie");
    assert.match(value, /^lb=[0-9a-z]+; Path=\/; HttpOnly; SameSite=Lax$/);
    const cookie = `x=1; ${value.split(";")[0]}`;
    for (let i = 0; i < 5; i++) {
      const next = from("10.0.0.2", { cookie });
      assert.equal(await next.get(), port);
      assert.deepEqual(next.given, [], "it has it already");
    }
    const page = from("10.0.0.3");
    const ports = await Promise.all([page.get(), page.get(), page.get(), page.get()]);
    assert.equal(new Set(ports).size, 1, "the first page of a visitor comes from one member too");
    assert.equal(page.given.length, 1);
  },
});

Deno.test({
  name: "WAS-19 RES-16 a map asks every member at once, keeps their order, and shows who failed",
  ignore,
  fn: async () => {
    await using a = await startMember(0.3);
    await using b = await startMember();
    await using all = group([a, "127.0.0.1:1", b]);
    const future = was.get.map<string>("@balanced/x?ms=1", { q: 1 });
    assert.equal(future.settled, undefined);
    const results = await future.dispatch(10);
    assert.deepEqual(results.status, [3, 2, 3]);
    assert.deepEqual(results.statusCode, [200, 714, 200]);
    assert.deepEqual(results.data, [a.port, null, b.port]);
    assert.equal([...results].length, 3);
    assert.match(results.at(1)!.error!.message, /127\.0\.0\.1:1/);
    assert.equal(all.status().repeats.retries, 0, "no failover between members");
    const posted = await was.post.map<string>("@balanced/", { n: 1 }, { timeout: 20 });
    assert.deepEqual(posted.status, [3, 2, 3]);
    await assert.rejects(was.get.map("@balanced/").dispatchOrThrow("500 Bad"));
    assert.throws(() => was.get.map("http://a.test/"), /expected @alias/);
    assert.throws(() => was.get.lb("http://a.test/"), /expected @alias/);
    assert.throws(
      () => was.get.map("@balanced/", undefined, { callback: () => {} } as never),
      /callback is not possible/,
    );
    assert.throws(() => was.post.map("@balanced/", new ReadableStream()), /one member only/);
  },
});

Deno.test("ALI-13 clusters of the worker: members are added, stopped, removed and reported", async () => {
  const serve = () =>
    Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (req) => new Response(new URL(req.url).port),
    );
  const [one, two] = [serve(), serve()];
  try {
    await using all = group([`u:secret@127.0.0.1:${one.addr.port}`]);
    const cluster = wac.clusters.get("balanced")!;
    const get = async () => (await was.get<string>("@balanced/")).text;
    assert.equal(await get(), String(one.addr.port));
    cluster.add(`127.0.0.1:${two.addr.port} 2`);
    cluster.stop(`127.0.0.1:${one.addr.port}`);
    assert.equal(await get(), String(two.addr.port));
    assert.deepEqual(all.status().members.map(({ node, state, weight }) => [node, state, weight]), [
      [`127.0.0.1:${one.addr.port}`, "stopped", 1],
      [`127.0.0.1:${two.addr.port}`, "active", 2],
    ]);
    assert.ok(!JSON.stringify(cluster.status()).includes("secret"));
    cluster.resume(`127.0.0.1:${one.addr.port}`);
    cluster.remove(`127.0.0.1:${two.addr.port}`);
    assert.equal(await get(), String(one.addr.port));
    assert.throws(() => cluster.remove("127.0.0.1:1"), /@balanced has no member/);
    assert.throws(() => cluster.add("x:99999"), /is not a port/);
    assert.equal(wac.clusters.get("@unknown"), undefined);
    assert.ok(wac.clusters.names().includes("@balanced"));
  } finally {
    await Promise.all([one.shutdown(), two.shutdown()]);
  }
});

Deno.test("ALI-09 ALI-10 roles and sources of an alias, as the gateway checks them", () => {
  const made = (options: AliasOptions, type: "http" | "redis" = "http") => {
    try {
      return alias("@guarded", type, "127.0.0.1", options);
    } finally {
      aliases.delete("@guarded");
    }
  };
  const roles = made({ role: "admin, user" });
  assert.ok(roles.allowsRole(["user"]) && roles.allowsRole(["x", "admin"]));
  assert.ok(!roles.allowsRole([]) && !roles.allowsRole(["use"]));
  assert.ok(made({}).allowsRole([]) && made({}).allowsSource("::1"), "empty means anyone");
  assert.throws(() => made({ role: "admin" }, "redis"), /@guarded: only web servers have roles/);
  const { allowsSource } = made({ source: "172.30.1.0/24,192.168.1/24, 10/8,9.9.9.9" });
  const inside = ["172.30.1.255", "192.168.1.7", "10.200.0.1", "9.9.9.9", "::ffff:10.0.0.1"];
  const outside = [
    "172.30.2.0",
    "192.168.2.1",
    "11.0.0.1",
    "9.9.9.8",
    "::1",
    "",
    "10.0.0",
    "1e1.0.0.1",
  ];
  assert.deepEqual(inside.filter(allowsSource), inside);
  assert.deepEqual(outside.filter(allowsSource), []);
  assert.ok(made({ source: "0.0.0.0/0" }).allowsSource("8.8.8.8"));
  for (const bad of ["10.0.0", "10.0.0.256", "10.0.0.0/33", "all", "::1/64", "1.2.3.4.5"]) {
    assert.throws(() => made({ source: bad }), /is no source: expected an IPv4/, bad);
  }
});

Deno.test("OPS-01 OPS-02 OPS-03 OPS-04 OPS-06 options that cannot be used are refused by name, at definition", () => {
  const bad: [AliasOptions, RegExp][] = [
    [{ balance: "best" as never }, /unknown balance "best"/],
    [{ health: { path: "x" } }, /health.path starts with/],
    [{ health: { every: 1 } as never }, /unknown option health.every/],
    [{ health: { fails: 0 } }, /health.fails is a number above 0/],
    [{ eject: { codes: 500 } as never }, /eject.codes is a list/],
    [{ breaker: { opens: 1 } as never }, /unknown option breaker.opens/],
    [{ retry: { attempts: -1 } }, /retry.attempts is a number above 0/],
    [{ retires: true } as never, /unknown option "retires"/],
  ];
  for (const [options, message] of bad) {
    assert.throws(() => alias("@bad", "http", "127.0.0.1", options), message);
  }
  assert.equal(aliases.get("@bad"), undefined);
});
