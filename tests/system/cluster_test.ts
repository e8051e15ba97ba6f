import assert from "node:assert/strict";
import { noRedis, startRedis } from "../_support/redis.ts";
import { curl, type ServiceProcess, until, Workshop } from "../_support/service_process.ts";

const SCRIPT = new URL("../_support/shared_service.ts", import.meta.url).pathname;

interface Facts {
  readonly users: number;
  readonly level: number;
  readonly heard: unknown[][];
}

function start(workshop: Workshop, redis: string, workers = 1): ServiceProcess {
  return workshop.start(SCRIPT, {
    flags: ["--unstable-net"],
    env: { SHARED_REDIS: redis, SHARED_WORKERS: String(workers) },
  });
}

async function factsOf(port: number): Promise<Facts> {
  return JSON.parse((await curl(port, "/facts")).body);
}

/** Waits until an engine knows something. */
function knows(port: number, fits: (facts: Facts) => boolean, what: string): Promise<Facts> {
  return until(() => factsOf(port), fits, what);
}

const count = (service: ServiceProcess, what: RegExp) =>
  service.lines.filter((line) => what.test(line)).length;

Deno.test({
  name:
    "OPS-22 two engines share updates, states, locks, messages, counts and ownership; without Redis each goes on alone, and they agree again when it is back",
  ignore: noRedis,
  fn: async () => {
    await using one = await Workshop.open();
    await using two = await Workshop.open();
    await using redis = await startRedis();
    const url = `redis://${redis.address}`;
    // the first has two workers, which are one machine
    const a = start(one, url, 2);
    const b = start(two, url);
    const [pa, pb] = await Promise.all([a.port(), b.port()]);

    const before = await factsOf(pb);
    await curl(pa, "/touch");
    const touched = await knows(pb, ({ users }) => users > before.users, "an update crosses");
    assert.ok(touched.heard.some(([event]) => event === "model-changed:tables.users"));
    await curl(pb, "/level?to=7");
    await knows(pa, ({ level }) => level === 7, "a state crosses");
    assert.ok((await factsOf(pa)).level === 7);

    const held = await Promise.all(
      Array.from({ length: 16 }, async (_, i) => {
        const { body } = await curl(i % 2 === 0 ? pa : pb, "/held", { seconds: 20 });
        return JSON.parse(body) as { from: number; to: number };
      }),
    );
    held.sort((x, y) => x.from - y.from);
    for (let i = 1; i < held.length; i++) {
      assert.ok(held[i]!.from >= held[i - 1]!.to - 1, "one holder at a time on both machines");
    }

    await curl(pb, "/chat");
    await curl(pa, "/say?text=hi");
    const chat = await until(
      async () =>
        JSON.parse((await curl(pb, "/chat")).body) as { chat: unknown[]; heard: unknown[][] },
      ({ chat, heard }) => chat.length === 1 && heard.some(([event]) => event === "hello"),
      "messages cross",
    );
    assert.deepEqual(chat.chat, ["hi"]);
    assert.deepEqual(chat.heard.filter(([event]) => event === "hello"), [["hello", "hi"]], "once");

    const counts = [];
    for (const port of [pa, pb, pa, pb]) counts.push((await curl(port, "/count")).body);
    assert.deepEqual(counts, ["1", "2", "3", "4"]);
    const owners = [(await curl(pa, "/owns")).body, (await curl(pb, "/owns")).body];
    assert.deepEqual(owners, ["true", "false"]);
    assert.equal((await curl(pa, "/owns")).body, "true", "it stays the owner");

    await redis.process.kill();
    await Promise.all([a, b].map((service) => service.line(/The cluster at .* is lost/)));
    // everything goes on within each machine
    const alone = await factsOf(pb);
    await curl(pb, "/touch");
    assert.ok((await factsOf(pb)).users > alone.users);
    await curl(pa, "/level?to=8");
    await knows(pa, ({ level }) => level === 8, "in both workers of one machine");
    assert.equal((await factsOf(pb)).level, 7);
    assert.equal((await curl(pb, "/locked?ms=1")).status, 200);
    assert.match((await curl(pb, "/count")).body, /^\d+$/);
    assert.equal((await curl(pb, "/owns")).body, "true");
    const onA = await factsOf(pa);

    await redis.process.start();
    await Promise.all([a, b].map((service) => service.line(/is back; the machines agree/)));
    await knows(pb, ({ level }) => level === 8, "what was set meanwhile arrives");
    await knows(pa, ({ users }) => users > onA.users, "what was updated meanwhile, too");
    await curl(pb, "/level?to=-3");
    await knows(pa, ({ level }) => level === -3, "and new changes cross again");
    for (const service of [a, b]) {
      assert.equal(count(service, /The cluster at .* is lost/), 1, "one warning");
      assert.equal(count(service, /is back; the machines agree/), 1, service.lines.join("\n"));
      assert.equal(count(service, /expt/), 0, service.lines.join("\n"));
    }
  },
});

Deno.test({
  name:
    "OPS-22 an engine starts without Redis, joins when it comes, and notices one that stands still",
  ignore: noRedis,
  fn: async () => {
    await using workshop = await Workshop.open();
    await using other = await Workshop.open();
    await using redis = await startRedis();
    await redis.process.kill();
    const url = `redis://${redis.address}`;
    const a = start(workshop, url);
    const pa = await a.port();
    await a.line(/is lost \(.*\); everything stays within this machine/);
    await curl(pa, "/level?to=5");
    await redis.process.start();
    await a.line(/is back;/);
    const b = start(other, url);
    const pb = await b.port();
    assert.equal((await factsOf(pb)).level, 5, "who comes later knows what was set");
    const from = a.lines.length;
    await redis.process.pause();
    await a.line(/is lost/, { from });
    assert.equal((await curl(pa, "/locked?ms=1")).status, 200);
    await redis.process.resume();
    await a.line(/is back;/, { from });
    await b.line(/is back;/);
    await curl(pa, "/level?to=6");
    await knows(pb, ({ level }) => level === 6, "they share again");
  },
});

Deno.test({
  name:
    "OPS-22 SES-06 who has logged out on one machine has on all: at once, after Redis was lost and forgot, and on those that come later",
  ignore: noRedis,
  fn: async () => {
    await using one = await Workshop.open();
    await using two = await Workshop.open();
    await using three = await Workshop.open();
    await using redis = await startRedis();
    const url = `redis://${redis.address}`;
    const a = start(one, url, 2);
    const b = start(two, url);
    const [pa, pb] = await Promise.all([a.port(), b.port()]);
    const login = async (port: number) => {
      const response = await fetch(`http://127.0.0.1:${port}/login`);
      await response.body?.cancel();
      return response.headers.getSetCookie().map((cookie) => cookie.split(";", 1)[0]).join("; ");
    };
    const ask = async (port: number, path: string, cookie: string) =>
      (await (await fetch(`http://127.0.0.1:${port}${path}`, { headers: { cookie } })).text())
        .trim();
    const isOut = (port: number, cookie: string, what: string) =>
      until(() => ask(port, "/who", cookie), (who) => who === "nobody", what);

    const [first, second, third] = await Promise.all([login(pa), login(pb), login(pb)]);
    assert.equal(await ask(pb, "/who", first), "ann", "machines read each other's cookies");
    await ask(pa, "/logout", first);
    await isOut(pb, first, "the other machine knows");

    await redis.process.kill();
    await Promise.all([a, b].map((service) => service.line(/The cluster at .* is lost/)));
    await ask(pb, "/logout", second);
    assert.equal(await ask(pb, "/who", second), "nobody", "without Redis at least here");
    assert.equal(await ask(pa, "/who", second), "ann");
    await redis.process.start();
    await Promise.all([a, b].map((service) => service.line(/is back; the machines agree/)));
    await isOut(pa, second, "what was missed is told");

    const c = start(three, url);
    const pc = await c.port();
    assert.equal(await ask(pc, "/who", third), "ann");
    await isOut(pc, first, "who comes later knows what a Redis without memory was told again");
    await isOut(pc, second, "and what was ended meanwhile");
    for (const service of [a, b, c]) {
      assert.equal(count(service, /expt/), 0, service.lines.join("\n"));
    }
  },
});
