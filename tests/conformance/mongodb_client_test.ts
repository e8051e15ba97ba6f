import assert from "node:assert/strict";
import { MongoClient } from "mongodb";
import type { DatabaseTarget } from "../../src/clients/database.ts";
import { MongodbClient } from "../../src/clients/mongodb/client.ts";
import { mongoOperation } from "../../src/clients/mongodb/operations.ts";
import { CuttingProxy } from "../_support/cutting_proxy.ts";
import { FERRETDB, type FerretdbServer, noFerretdb, startFerretdb } from "../_support/ferretdb.ts";
import { databaseSuite, eventually } from "./database_suite.ts";

/** Asks the server with a driver of its own, beside the client under test. */
async function beside<T>(
  { address }: FerretdbServer,
  ask: (db: ReturnType<MongoClient["db"]>) => Promise<T>,
): Promise<T> {
  const client = new MongoClient(`mongodb://${address}/`, {
    directConnection: true,
    auth: { username: FERRETDB.user, password: FERRETDB.password },
  });
  try {
    return await ask(client.db("shop"));
  } finally {
    await client.close();
  }
}

databaseSuite({
  name: "MongoDB",
  ids: "DB-03 DB-12 DB-23",
  ignore: noFerretdb,
  start: async () => {
    const server = await startFerretdb({ auth: true });
    // the server knows no operation that takes long
    const proxy = new CuttingProxy(server.port, "never_answered");
    const target: DatabaseTarget = {
      ...{ alias: "@docs", host: "127.0.0.1", port: proxy.port, node: `127.0.0.1:${proxy.port}` },
      ...{ ...FERRETDB, database: "shop", tls: false },
    };
    return {
      target,
      process: server.process,
      wrong: {
        password: { ...target, password: "not it" },
        user: { ...target, user: "nobody" },
      },
      prepare: () =>
        beside(server, async (db) => {
          await db.collection("w").deleteMany({});
        }),
      writes: () => beside(server, (db) => db.collection("w").countDocuments()),
      [Symbol.asyncDispose]: async () => {
        await proxy[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  },
  make: () => {
    const client = new MongodbClient();
    return {
      client,
      read: (target) => client.request(target, mongoOperation("findone", ["w", {}])),
      write: (target) => client.request(target, mongoOperation("insert", ["w", { n: 1 }])),
      hang: (target) => client.request(target, mongoOperation("find", ["never_answered"])),
      limits: { connections: 10, requests: 1010 },
    };
  },
  fail: ({ client }, target) =>
    (client as MongodbClient).request(target, mongoOperation("command", [{ nothing: 1 }])),
});

Deno.test({
  name: "DB-03 DB-12 MongoDB: an operation that cannot be sent keeps no connection open afterwards",
  ignore: noFerretdb,
  fn: async () => {
    await using server = await startFerretdb({ auth: true });
    await using proxy = new CuttingProxy(server.port);
    await using client = new MongodbClient();
    const target: DatabaseTarget = {
      ...{ alias: "@docs", host: "127.0.0.1", port: proxy.port, node: `127.0.0.1:${proxy.port}` },
      ...{ ...FERRETDB, database: "shop", tls: false },
    };
    const ask = (name: "find" | "insert", ...args: unknown[]) =>
      client.send(target, mongoOperation(name, args), AbortSignal.timeout(20_000));
    assert.equal((await ask("find", "w")).status, 3);
    const refused = await ask("find", "w", {}, { nonsense: 1 });
    assert.match(String(refused.error), /unknown option "nonsense"/);
    // a write is not sent again: nobody is under way when its connection is lost
    proxy.arm({ request: 0 });
    assert.equal((await ask("insert", "w", { n: 1 })).status, 2);
    await eventually(() => Promise.resolve(proxy.open === 0));
    assert.deepEqual(client.stats(), { open: 0, busy: 0 });
  },
});

Deno.test({
  name: "DB-03 DB-12 DB-15 MongoDB: connections that have just ended are lost, by alias and member",
  ignore: noFerretdb,
  fn: async () => {
    await using server = await startFerretdb();
    await using client = new MongodbClient();
    const target: DatabaseTarget = {
      ...{ alias: "@docs", host: "127.0.0.1", port: server.port, node: server.address },
      ...{ user: undefined, password: "", database: "shop", tls: false },
    };
    const ask = (name: "find" | "insert") =>
      client.send(target, mongoOperation(name, ["t", { a: 1 }]), AbortSignal.timeout(20_000));
    for (let i = 0; i < 4; i++) {
      const added = await Promise.all(Array.from({ length: 12 }, () => ask("insert")));
      assert.ok(added.every(({ status }) => status === 3));
      await server.process.kill();
      // the driver may or may not know already
      const [found, inserted, again] = [
        ...await Promise.all([ask("find"), ask("insert")]),
        await ask("find"),
      ];
      for (const { status, error } of [found, inserted, again]) {
        assert.equal(status, 2);
        assert.match(error!.message, /@docs \(127\.0\.0\.1:\d+\)/);
      }
      await server.process.start();
      await eventually(async () => (await ask("find")).status === 3);
    }
  },
});
