import assert from "node:assert/strict";
import { ASK_AFTER_MS, type DatabaseTarget } from "../../src/clients/database.ts";
import { RedisClient } from "../../src/clients/redis/client.ts";
import type { RedisCommand } from "../../src/clients/redis/commands.ts";
import { noRedis, type RedisServer, startRedis } from "../_support/redis.ts";
import { block, sent } from "../_support/raw_backend.ts";
import { databaseSuite } from "./database_suite.ts";

const PASSWORD = "se:cr@t";

/** Asks the server with its own command line client, beside the client under test. */
async function cli(server: RedisServer, ...args: string[]): Promise<string> {
  const tls = server.certificates === undefined ? [] : ["--tls", "--insecure"];
  const { stdout } = await new Deno.Command("redis-cli", {
    args: ["-p", String(server.port), ...tls, "-n", "3", "--no-auth-warning", ...args],
    env: { REDISCLI_AUTH: PASSWORD },
    stderr: "inherit",
  }).output();
  return new TextDecoder().decode(stdout).trim();
}

for (const tls of [false, true]) {
  databaseSuite({
    name: `Redis${tls ? " over TLS" : ""}`,
    ids: "DB-05 DB-12 DB-23",
    ignore: noRedis,
    start: async () => {
      const server = await startRedis({ tls, password: PASSWORD });
      const target: DatabaseTarget = {
        ...{ alias: "@cache", host: "127.0.0.1", port: server.port, node: server.address },
        ...{ user: undefined, password: PASSWORD, database: "3" },
        tls,
        caCerts: server.certificates && [server.certificates.ca],
      };
      return {
        target,
        process: server.process,
        wrong: {
          password: { ...target, password: "not it" },
          "no password": { ...target, password: "" },
          user: { ...target, user: "nobody" },
          database: { ...target, database: "99" },
          // a plain server waits for the rest of what it takes for a command
          ...tls && { tls: { ...target, tls: false } },
        },
        prepare: async () => {
          await cli(server, "del", "w", "full");
          await cli(server, "rpush", "full", "x");
        },
        writes: async () => Number(await cli(server, "llen", "w")),
        running: async () =>
          Number(/blocked_clients:(\d+)/.exec(await cli(server, "info", "clients"))?.[1]),
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
    make: () => {
      const client = new RedisClient();
      return {
        client,
        read: (target) => client.request(target, ["get", "nothing"]),
        write: (target) => client.request(target, ["rpush", "w", 1]),
        hang: (target) => client.request(target, ["blpop", "never", 0]),
        queued: (target) => client.request(target, ["blmove", "full", "w", "left", "right", 0]),
        // the blocking ones have connections of their own beside the one that all share
        limits: { connections: 10, requests: 1010 },
      };
    },
    fail: ({ client }, target) => (client as RedisClient).request(target, ["get"]),
  });
}

/** Sends commands to a plain server, as a user where one is named. */
function asking(client: RedisClient, server: RedisServer, user?: string, password = "") {
  const target: DatabaseTarget = {
    ...{ host: "127.0.0.1", port: server.port, node: server.address },
    ...{ user, password, database: "", tls: false },
  };
  return (...command: RedisCommand) => client.send(target, command, AbortSignal.timeout(20_000));
}

Deno.test({
  name: "DB-05 DB-12 a write finds a connection Redis has ended, though nobody saw it",
  ignore: noRedis,
  fn: async () => {
    await using server = await startRedis();
    await using client = new RedisClient();
    const ask = asking(client, server);
    for (let i = 1; i <= 10; i++) {
      assert.equal((await ask("get", "nothing")).status, 3);
      // the event loop stands still, so that the end is not read
      const { stdout } = new Deno.Command("redis-cli", {
        args: ["-p", String(server.port), "client", "kill", "type", "normal"],
      }).outputSync();
      assert.equal(new TextDecoder().decode(stdout).trim(), "1");
      // the kill may have been quicker than the silence after which the server is asked
      block(ASK_AFTER_MS + 1);
      const asked = ask("incr", "n");
      await sent();
      block(5);
      assert.equal((await asked).data, i);
    }
  },
});

Deno.test({
  name:
    "DB-05 users of Redis: without the right to ask whether it is there, and without a password",
  ignore: noRedis,
  fn: async () => {
    await using server = await startRedis();
    await using client = new RedisClient();
    await cli(server, "acl", "setuser", "few", "on", ">few", "~*", "+get", "+set");
    await cli(server, "acl", "setuser", "open", "on", "nopass", "~*", "+acl|whoami", "+ping");
    const ask = (user: string, password: string, ...command: RedisCommand) =>
      asking(client, server, user, password)(...command);
    assert.equal((await ask("few", "few", "set", "a", "1")).data, "OK");
    // silent for so long that it is asked
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal((await ask("few", "few", "set", "a", "2")).data, "OK");
    assert.equal((await ask("few", "few", "get", "a")).data, "2");
    assert.equal((await ask("open", "", "acl", "whoami")).data, "open");
    assert.match(`${(await ask("nobody", "", "get", "a")).error}`, /WRONGPASS/);
  },
});

Deno.test({
  name: "DB-05 WAIT is asked after something that came after the writes of others",
  ignore: noRedis,
  fn: async () => {
    await using server = await startRedis();
    await using client = new RedisClient();
    const ask = asking(client, server);
    await ask("wait", "0", "0");
    await ask("config", "resetstat");
    for (let i = 0; i < 20; i++) assert.equal((await ask("wait", "0", "0")).data, 0);
    const [, pings] = /cmdstat_ping:calls=(\d+)/.exec(
      (await ask("info", "commandstats")).data as string,
    ) ?? [];
    // without it the server would compare with the command before, which was another WAIT
    assert.ok(Number(pings) >= 20, pings);
  },
});

Deno.test({
  name: "DB-05 bytes of Redis come back as bytes",
  ignore: noRedis,
  fn: async () => {
    await using server = await startRedis();
    await using client = new RedisClient();
    const send = asking(client, server);
    const ask = async (...command: RedisCommand) => (await send(...command)).data;
    const bytes = new Uint8Array([255, 0, 13, 10]);
    await ask("set", "a", bytes);
    assert.deepEqual(await ask("get", "a"), bytes);
    assert.equal(await ask("restore", "b", 0, await ask("dump", "a") as Uint8Array), "OK");
    assert.deepEqual(await ask("mget", "b", "none"), [bytes, null]);
  },
});
