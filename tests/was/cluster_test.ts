import assert from "node:assert/strict";
import { cluster, ClusterMember, hasCluster } from "../../src/was/cluster.ts";
import { assignState, defgs, sharedState } from "../../src/was/shared.ts";
import { wac } from "../../src/was/wac.ts";
import { RespParser } from "../../src/wire/resp.ts";
import { rawBackend } from "../_support/raw_backend.ts";

Deno.test("OPS-22 an address that is no Redis, or an unknown option, is refused at once", () => {
  assert.throws(() => cluster("http://a.test"), /cluster: expected an address such as redis:/);
  assert.throws(() => cluster("localhost"), /expected an address/);
  assert.throws(() => cluster(undefined as never), /expected an address/);
  assert.throws(() => cluster("redis://a", { name: "x" } as never), /known is prefix/);
  assert.equal(hasCluster(), false);
});

Deno.test("OPS-22 a worker that leaves takes along what it waits for: the others of its engine would wait, too", async () => {
  const published = Promise.withResolvers<void>();
  // takes messages and brings them to nobody
  await using redis = rawBackend(async (conn) => {
    const parser = new RespParser();
    for (let bytes = await conn.read(1); bytes.length > 0; bytes = await conn.read(1)) {
      const whole: string[][] = [];
      parser.push(bytes, (command) => void whole.push(command as string[]));
      for (const [name = "", value = ""] of whole) {
        if (name === "info") await conn.write("$9\r\nloading:0\r\n");
        else if (name === "hgetall") await conn.write("*0\r\n");
        else if (name === "publish") await conn.write(":1\r\n");
        else if (name === "subscribe") {
          await conn.write(`>3\r\n$9\r\nsubscribe\r\n$${value.length}\r\n${value}\r\n:1\r\n`);
        } else await conn.write("+OK\r\n");
        if (name === "publish") published.resolve();
      }
    }
  });
  defgs("level");
  cluster(`redis://127.0.0.1:${redis.port}`);
  const member = await ClusterMember.join();
  assignState("level", 5);
  assert.equal(sharedState().get("p:level"), 1);
  await published.promise;
  // its answer comes before that of a later command
  await member.count("anything", 1000);
  assert.equal(sharedState().get("p:level"), 1, "the message is to come back");
  await member[Symbol.asyncDispose]();
  assert.equal(sharedState().get("p:level"), 0);
});

const text = (value: string) => `$${value.length}\r\n${value}\r\n`;

/** Says that what a worker was told before has been told. */
const TOLD = '{"type":"event","event":"told","args":[],"worker":"b"}';

/**
 * A Redis with some states, which brings each message twice: as sent, and as from another machine.
 * After that, and when a worker has asked for everything, it says so.
 */
function fakeRedis(states: Map<string, string>) {
  const open = new Set<{ close(): void }>();
  let bring = (_data: string) => Promise.resolve();
  const backend = rawBackend(async (conn) => {
    open.add(conn);
    const parser = new RespParser();
    for (let bytes = await conn.read(1); bytes.length > 0; bytes = await conn.read(1)) {
      const whole: string[][] = [];
      parser.push(bytes, (command) => void whole.push(command as string[]));
      for (const [name = "", value = "", message = "", ...args] of whole) {
        if (name === "info") await conn.write("$9\r\nloading:0\r\n");
        else if (name === "hgetall") {
          const pairs = value.endsWith("states") ? [...states].flat() : [];
          await conn.write(`*${pairs.length}\r\n${pairs.map(text).join("")}`);
        } else if (name === "publish") {
          await conn.write(":1\r\n");
          await bring(message);
          await bring(JSON.stringify({ ...JSON.parse(message), engine: "b", worker: "b" }));
          await bring(TOLD);
        } else if (name === "subscribe") {
          bring = (data) => conn.write(`>3\r\n${text("message")}${text(value)}${text(data)}`);
          await conn.write(`>3\r\n${text("subscribe")}${text(value)}:1\r\n`);
        } else if (name === "zrangebyscore") {
          await conn.write("*0\r\n");
          await bring(TOLD);
        } else if (name === "eval") {
          // a state that is assigned is as it was given
          await conn.write(text(`${args[2]}@${args[3]}`));
        } else await conn.write("+OK\r\n");
      }
    }
  });
  const cut = () => {
    for (const conn of open) conn.close();
    open.clear();
  };
  return { port: backend.port, cut, [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose]() };
}

/** Collects what is broadcast in this worker, until it is disposed. */
function listen() {
  const before = wac.broadcast;
  const events: unknown[][] = [];
  let came = () => {};
  wac.broadcast = (_was, event, args) => {
    events.push([event, ...args]);
    came();
  };
  return {
    events,
    /** Waits until that was told so many times. */
    async told(times: number): Promise<void> {
      while (events.filter(([event]) => event === "told").length < times) {
        await new Promise<void>((resolve) => came = resolve);
      }
    },
    [Symbol.dispose]: () => {
      wac.broadcast = before;
    },
  };
}

Deno.test("OPS-22 every worker of an engine hears of a state that another machine has set", async () => {
  await using redis = fakeRedis(new Map());
  using heard = listen();
  defgs("heard");
  cluster(`redis://127.0.0.1:${redis.port}`);
  await using _member = await ClusterMember.join();
  await heard.told(1);
  assignState("heard", 5);
  await heard.told(2);
  // the value was here when the message of the other machine came, as a second worker finds it
  assert.deepEqual(heard.events, [["told"], ["heard", 5], ["told"]]);
});

Deno.test("OPS-22 when Redis is back, every worker of an engine hears of the states that were set meanwhile", async () => {
  const states = new Map([["level", "1@1000"]]);
  await using redis = fakeRedis(states);
  using heard = listen();
  defgs("level");
  cluster(`redis://127.0.0.1:${redis.port}`);
  sharedState().set("s:level", 1);
  await using _member = await ClusterMember.join();
  await heard.told(1);
  // another worker of the engine agrees first
  states.set("level", "9@2000");
  sharedState().set("s:level", 9);
  redis.cut();
  await heard.told(2);
  assert.deepEqual(heard.events, [["told"], ["level", 9], ["told"]]);
});
