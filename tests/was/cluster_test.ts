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

Deno.test("OPS-22 every worker of an engine hears of a state that another machine has set", async () => {
  // brings a message twice: as it was sent, and as another machine would have sent it
  const subscriber = Promise.withResolvers<(data: string) => Promise<void>>();
  await using redis = rawBackend(async (conn) => {
    const parser = new RespParser();
    const text = (value: string) => `$${value.length}\r\n${value}\r\n`;
    for (let bytes = await conn.read(1); bytes.length > 0; bytes = await conn.read(1)) {
      const whole: string[][] = [];
      parser.push(bytes, (command) => void whole.push(command as string[]));
      for (const [name = "", value = "", message = ""] of whole) {
        if (name === "info") await conn.write("$9\r\nloading:0\r\n");
        else if (name === "hgetall") await conn.write("*0\r\n");
        else if (name === "publish") {
          const foreign = JSON.stringify({ ...JSON.parse(message), engine: "b", worker: "b" });
          await conn.write(":1\r\n");
          const bring = await subscriber.promise;
          await bring(message);
          await bring(foreign);
          await bring('{"type":"event","event":"end","args":[],"worker":"b"}');
        } else if (name === "subscribe") {
          await conn.write(`>3\r\n$9\r\nsubscribe\r\n${text(value)}:1\r\n`);
          const head = `>3\r\n${text("message")}${text(value)}`;
          subscriber.resolve((data) => conn.write(`${head}${text(data)}`).then(() => {}));
        } else await conn.write("+OK\r\n");
      }
    }
  });
  defgs("heard");
  cluster(`redis://127.0.0.1:${redis.port}`);
  const before = wac.broadcast;
  const heard = Promise.withResolvers<void>();
  const events: unknown[][] = [];
  wac.broadcast = (_was, event, args) => {
    events.push([event, ...args]);
    if (event === "end") heard.resolve();
  };
  try {
    await using _member = await ClusterMember.join();
    assignState("heard", 5);
    await heard.promise;
    // the value was here when the message of the other machine came, as a second worker finds it
    assert.deepEqual(events, [["heard", 5], ["end"]]);
  } finally {
    wac.broadcast = before;
  }
});
