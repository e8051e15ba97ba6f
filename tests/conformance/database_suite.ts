/**
 * What every client of a database promises besides the contract of all clients: bounded pools with
 * a deadline, one reconnection, writes at most once, and life after everything a server can do to
 * it.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { Client, Send } from "../../src/clients/contract.ts";
import type { DatabaseTarget } from "../../src/clients/database.ts";
import { clientChecks } from "./client_suite.ts";
import { CuttingProxy } from "../_support/cutting_proxy.ts";
import { rawBackend, until } from "../_support/raw_backend.ts";
import type { ServerProcess } from "../_support/server_process.ts";

/** A running server of a kind, shared by the tests. */
export interface DatabaseServer extends AsyncDisposable {
  /** Where it is. */
  readonly target: DatabaseTarget;
  /** Its process. */
  readonly process: ServerProcess;
  /**
   * The same with a password, or a name of a database, that is wrong; left out where there is none.
   */
  readonly wrong: Readonly<Record<string, DatabaseTarget>>;
  /** Makes the store for writes empty, beside the client under test; after a restart, too. */
  prepare(): Promise<void>;
  /** Writes that have happened, counted beside the client under test. */
  writes(): Promise<number>;
  /** Requests the server works on now; left out where it cannot be told to stop. */
  running?(): Promise<number>;
}

/** A client and requests of its kind. */
export interface DatabaseClient {
  /** The client. */
  readonly client: Client;
  /** A request that reads. */
  read(target: DatabaseTarget): Send;
  /** A request that writes one row. */
  write(target: DatabaseTarget): Send;
  /** A request that is not answered within the test. */
  hang(target: DatabaseTarget): Send;
  /** A request that writes one row and waits behind those that hang, where `write` does not. */
  queued?(target: DatabaseTarget): Send;
  /** Connections at most, and requests waiting or under way at most. */
  readonly limits: { readonly connections: number; readonly requests: number };
}

const MINUTE = 60_000;
const minute = () => AbortSignal.timeout(MINUTE);

/** What the tests of a database client need. */
export interface DatabaseSuite {
  /** Name of the client. */
  readonly name: string;
  /** Rows it proves. */
  readonly ids: string;
  /** Skips the tests, where there is no server. */
  readonly ignore: boolean;
  /** Starts a server; the tests share it. */
  readonly start: () => Promise<DatabaseServer>;
  /** Makes a client. */
  readonly make: () => DatabaseClient;
  /** Makes a request that fails because of what it asks for. */
  readonly fail: (client: DatabaseClient, target: DatabaseTarget) => Send;
}

/** Defines the tests of a database client: one test, whose steps share a server. */
export function databaseSuite({ name, ids, ignore, start, make, fail }: DatabaseSuite): void {
  Deno.test({
    name: `${ids} ${name}: what every client of a database promises`,
    ignore,
    fn: async (t) => {
      await using server = await start();
      const step = (what: string, body: (under: DatabaseClient) => Promise<void>) =>
        t.step(what, async () => {
          const under = make();
          try {
            // a step that failed may have left it so
            if (!server.process.running) await server.process.start();
            await server.prepare();
            await body(under);
          } finally {
            await under.client[Symbol.asyncDispose]();
            deepEqual(under.client.stats(), { open: 0, busy: 0 });
          }
        });
      for (const { what, body } of clientChecks()) {
        await step(what, async (under) => {
          const { client } = under;
          const { target } = server;
          const underWay = (n: number) =>
            server.running === undefined
              ? until("it is under way", () => client.stats().busy >= n)
              : eventually(async () => await server.running!() >= n);
          await body({
            client,
            succeed: () => under.read(target),
            fail: () => fail(under, target),
            hang: () => {
              let start!: () => void;
              const started = new Promise<void>((resolve) => start = resolve);
              return {
                send: (signal) => {
                  start();
                  return under.hang(target)(signal);
                },
                taken: started.then(() => underWay(1)),
              };
            },
            [Symbol.asyncDispose]: () => Promise.resolve(),
          });
        });
      }
      for (const { what, body } of databaseChecks()) {
        await step(what, (under) => body(server, under));
      }
    },
  });
}

interface DatabaseCheck {
  readonly what: string;
  readonly body: (server: DatabaseServer, under: DatabaseClient) => Promise<void>;
}

function databaseChecks(): DatabaseCheck[] {
  const checks: DatabaseCheck[] = [];
  const test = (what: string, body: DatabaseCheck["body"]) => void checks.push({ what, body });

  test("connections are pooled up to the limit, and counted", async (server, under) => {
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, () => under.read(server.target)(minute())),
    );
    deepEqual(new Set(outcomes.map((one) => one.status)), new Set([3]));
    const { open, busy } = under.client.stats();
    ok(open >= 1 && open <= under.limits.connections, `${open} connections`);
    equal(busy, 0);
    equal((await under.read(server.target)(minute())).node, server.target.node);
  });

  test(
    "who waits has a deadline, and what waited is not sent afterwards",
    async (server, under) => {
      const stop = new AbortController();
      const hanging = Array.from(
        { length: under.limits.connections },
        () => under.hang(server.target)(stop.signal),
      );
      if (server.running !== undefined) {
        await eventually(async () => await server.running!() === under.limits.connections);
        const queued = under.queued?.(server.target) ?? under.write(server.target);
        equal((await queued(AbortSignal.timeout(100))).status, 1);
      }
      stop.abort();
      for (const outcome of await Promise.all(hanging)) equal(outcome.status, 1);
      equal((await under.write(server.target)(minute())).status, 3);
      equal(await server.writes(), 1);
    },
  );

  test("a queue that is full refuses at once", async (server, under) => {
    const stop = new AbortController();
    const { requests } = under.limits;
    const all = Array.from({ length: requests + 5 }, () => under.hang(server.target)(stop.signal));
    const refused = await Promise.any(all);
    deepEqual([refused.status, refused.statusCode, refused.undelivered], [2, 500, true]);
    match(refused.error!.message, new RegExp(server.target.alias!));
    stop.abort();
    const statuses = (await Promise.all(all)).map((one) => one.status);
    equal(statuses.filter((one) => one === 2).length, 5);
    equal((await under.read(server.target)(minute())).status, 3);
  });

  test("an abort reaches the server where the protocol allows", async (server, under) => {
    const stop = new AbortController();
    const pending = under.hang(server.target)(stop.signal);
    if (server.running !== undefined) {
      await eventually(async () => await server.running!() === 1);
    } else await until("it is under way", () => under.client.stats().busy > 0);
    const start = performance.now();
    stop.abort();
    equal((await pending).status, 1);
    ok(performance.now() - start < 5000, "the caller does not wait for the server");
    if (server.running !== undefined) await eventually(async () => await server.running!() === 0);
    equal((await under.read(server.target)(minute())).status, 3);
  });

  test("a server that was restarted is asked over new connections", async (server, under) => {
    await Promise.all(Array.from({ length: 5 }, () => under.read(server.target)(minute())));
    await server.process.restart();
    await server.prepare();
    equal((await under.write(server.target)(minute())).status, 3);
    equal((await under.read(server.target)(minute())).status, 3);
    equal(await server.writes(), 1);
  });

  test("a server that is away fails at once by name, and is asked again when it is back", async (
    server,
    under,
  ) => {
    equal((await under.read(server.target)(minute())).status, 3);
    await server.process.kill();
    // what is sent before the news arrives may have been delivered, for all that is known
    await until("the connections are gone", () => under.client.stats().open === 0);
    for (const request of [under.read, under.write]) {
      const outcome = await request.call(under, server.target)(minute());
      deepEqual([outcome.status, outcome.statusCode, outcome.data], [2, 500, null]);
      match(outcome.error!.message, new RegExp(`${server.target.alias}.*${server.target.node}`));
      ok(outcome.error!.cause instanceof Error, "with its cause");
      equal(outcome.node, server.target.node);
      equal(outcome.undelivered, true);
    }
    equal(under.client.stats().busy, 0);
    await server.process.start();
    equal((await under.read(server.target)(minute())).status, 3);
  });

  test(
    "a server killed over a request fails it, and the next one goes on",
    async (server, under) => {
      const pending = [1, 2, 3].map(() => under.hang(server.target)(minute()));
      if (server.running !== undefined) await eventually(async () => await server.running!() === 3);
      else await until("they are under way", () => under.client.stats().busy > 0);
      await server.process.kill();
      for (const outcome of await Promise.all(pending)) {
        deepEqual([outcome.status, outcome.statusCode], [2, 500]);
      }
      await server.process.start();
      equal((await under.read(server.target)(minute())).status, 3);
    },
  );

  test("a server that stands still times out, and is asked again when it goes on", async (
    server,
    under,
  ) => {
    equal((await under.read(server.target)(minute())).status, 3);
    await server.process.pause();
    try {
      const outcomes = await Promise.all(
        [1, 2, 3].map(() => under.read(server.target)(AbortSignal.timeout(300))),
      );
      deepEqual(outcomes.map((one) => one.status), [1, 1, 1]);
      // nobody waits any more: what hangs is let go although the server says nothing
      await until("nothing is under way", () => under.client.stats().busy === 0);
    } finally {
      await server.process.resume();
    }
    equal((await under.read(server.target)(minute())).status, 3);
    await until("nothing is under way", () => under.client.stats().busy === 0);
  });

  test("what cannot be let in says why, by alias and member", async (server, under) => {
    for (const [what, target] of Object.entries(server.wrong)) {
      const outcome = await under.read(target)(minute());
      deepEqual([what, outcome.status, outcome.statusCode], [what, 2, 500]);
      match(outcome.error!.message, new RegExp(`${target.alias}.*${target.node}`));
      ok(!outcome.error!.message.includes(target.password || "\0"), "without the password");
    }
    equal((await under.read(server.target)(minute())).status, 3);
  });

  test("servers that are silent, answer garbage or hang up harm nobody", async (server, under) => {
    await using silent = rawBackend((conn) => conn.drained());
    await using garbage = rawBackend(async (conn) => {
      await conn.read(1);
      await conn.write("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".repeat(20));
      await conn.drained();
    });
    await using closing = rawBackend(async (conn) => void await conn.read(1));
    await using flood = rawBackend(async (conn) => {
      await conn.read(1);
      for (let i = 0; i < 200; i++) await conn.write("R".repeat(65536));
      await conn.drained();
    });
    const at = (port: number) => ({ ...server.target, port, node: `127.0.0.1:${port}` });
    const short = () => AbortSignal.timeout(400);
    equal((await under.read(at(silent.port))(short())).status, 1);
    for (const backend of [garbage, closing, flood]) {
      const outcome = await under.read(at(backend.port))(AbortSignal.timeout(1500));
      ok(outcome.status === 1 || outcome.status === 2, `status ${outcome.status}`);
      ok(outcome.error instanceof Error);
    }
    await until("nothing is under way", () => under.client.stats().busy === 0);
    equal((await under.read(server.target)(minute())).status, 3);
  });

  test("a write arrives at most once, wherever the connection is cut", async (server, under) => {
    await using proxy = new CuttingProxy(server.target.port);
    const target = { ...server.target, port: proxy.port, node: `127.0.0.1:${proxy.port}` };
    const positions = [1, 2, 3, 5, 8, 13, 21, 34, 55];
    for (const side of ["request", "answer"] as const) {
      for (const position of positions) {
        await server.prepare();
        proxy.arm();
        equal((await under.read(target)(minute())).status, 3);
        const { cuts } = proxy;
        proxy.arm({ [side]: position });
        const outcome = await under.write(target)(AbortSignal.timeout(3000));
        const where = `${side} cut after ${position} bytes`;
        const writes = await server.writes();
        ok(writes <= 1, `${where}: ${writes} writes`);
        if (outcome.status === 3) equal(writes, 1, where);
        if (outcome.undelivered === true) equal(writes, 0, where);
        if (proxy.cuts === cuts) break;
      }
    }
    proxy.arm();
    equal((await under.write(target)(minute())).status, 3);
  });

  test("a read is tried once more when its connection is cut", async (server, under) => {
    await using proxy = new CuttingProxy(server.target.port);
    const target = { ...server.target, port: proxy.port, node: `127.0.0.1:${proxy.port}` };
    equal((await under.read(target)(minute())).status, 3);
    proxy.arm({ request: 1 });
    const pending = under.read(target)(minute());
    await until("it was cut", () => proxy.cuts > 0);
    proxy.arm();
    equal((await pending).status, 3);
  });

  test("closing fails what is under way and leaves nothing", async (server, under) => {
    await under.read(server.target)(minute());
    const pending = under.hang(server.target)(minute());
    await until("it is under way", () => under.client.stats().busy > 0);
    await under.client[Symbol.asyncDispose]();
    equal((await pending).status, 2);
    equal((await under.read(server.target)(minute())).status, 2);
  });

  return checks;
}

/** Waits until something holds, at most half a minute. */
export async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 30_000;
  while (!await condition()) {
    if (performance.now() > end) throw new Error("Waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
