import { deepEqual, equal } from "node:assert/strict";
import type { DatabaseTarget } from "../../../src/clients/database.ts";
import { PostgresqlClient } from "../../../src/clients/postgresql/client.ts";
import { noPostgresql, POSTGRESQL, startPostgresql } from "../../_support/postgresql.ts";

const { user, password, database } = POSTGRESQL;

Deno.test({
  name: "DB-09 DB-12 DB-23 PostgreSQL: short reads that go out together get their own answers",
  ignore: noPostgresql,
  fn: async (t) => {
    await using server = await startPostgresql();
    await using client = new PostgresqlClient();
    const target: DatabaseTarget = {
      ...{ host: "127.0.0.1", port: server.port, node: `127.0.0.1:${server.port}` },
      ...{ user, password, database, tls: false, maxConnections: 1 },
    };
    const ask = (sql: string, ...params: unknown[]) =>
      client.send(target, sql, params, AbortSignal.timeout(20_000));
    /** Makes a text known as one that is short. */
    const warm = async (sql: string, ...params: unknown[]) => {
      for (let i = 0; i < 6; i++) equal((await ask(sql, ...params)).error, undefined);
    };

    await t.step("a value that cannot be written fails alone", async () => {
      const times = "select $1::timestamptz > '2000-01-01' as late, $2::int as n";
      const json = "select $1::json::text as j, $2::int as n";
      await warm(times, new Date(0), 0);
      await warm(json, { a: 1 }, 0);
      const lists = "select $1::timestamptz[] is null as none, $2::int as n";
      await warm(lists, [new Date(0)], 0);
      const many = Array.from({ length: 70_000 }, () => 1);
      const circle: Record<string, unknown> = {};
      circle.self = circle;
      const asked = [
        ask(times, new Date(0), 1),
        ask(times, new Date(NaN), 2),
        ask(times, new Date(0), 3),
        ask(lists, [[new Date(NaN)]], 4),
        ask(times, new Date(0), 5),
        ask(json, circle, 6),
        ask(times, new Date(0), 7),
        ask(times, ...many),
        ask(json, "5", 8),
        ask(times, Symbol("none"), 9),
        ask(times, new Date(0), 10),
      ];
      const found = (await Promise.all(asked)).map(({ status, data }) =>
        status === 3 ? (data as { n: number }[])[0]!.n : "failed"
      );
      deepEqual(found, [
        ...[1, "failed", 3, "failed", 5, "failed", 7, "failed", 8, "failed", 10],
      ]);
      for (let n = 20; n < 25; n++) {
        deepEqual((await ask(times, new Date(0), n)).data, [{ late: false, n }]);
      }
    });

    await t.step("so do several in a row, with texts that are new and in lists", async () => {
      const bad = new Date(NaN);
      const found = await Promise.all([
        ask("select $1::timestamptz is null as x, 1 as n", bad),
        ask("select $1::timestamptz is null as x, 2 as n", bad),
        ask("select 3 as n"),
        client.send(
          target,
          [{ sql: "select 4 as n", params: [] }, { sql: "select $1::timestamptz", params: [bad] }],
          [],
          AbortSignal.timeout(20_000),
        ),
        ask("select $1::timestamptz is null as x, 5 as n", bad),
        ask("select $1::int as n", 6),
      ]);
      deepEqual(found.map(({ status }) => status), [2, 2, 3, 2, 2, 3]);
      deepEqual([found[2]!.data, found[5]!.data], [[{ n: 3 }], [{ n: 6 }]]);
    });

    await t.step("one that the server refuses fails alone", async () => {
      const sql = "select 100 / $1::int as n";
      await warm(sql, 1);
      const asked = [1, 0, 2, 0, 4, 5].map((n) => ask(sql, n));
      const found = (await Promise.all(asked)).map(({ data, error }) =>
        error === undefined ? (data as { n: number }[])[0]!.n : error.message
      );
      deepEqual(found, [100, "division by zero", 50, "division by zero", 25, 20]);
    });

    await t.step("one whose caller gives up takes nobody else's answer with it", async () => {
      const sql = "select $1::int as n";
      await warm(sql, 0);
      const stop = new AbortController();
      const asked = Array.from({ length: 12 }, (_, n) => {
        const signal = n === 3 ? stop.signal : AbortSignal.timeout(20_000);
        return client.send(target, sql, [n], signal);
      });
      await Promise.resolve();
      stop.abort(new Error("enough"));
      const found = await Promise.all(asked);
      equal(found[3]!.status, 1);
      found.forEach(({ data }, n) => n === 3 || deepEqual(data, [{ n }]));
    });

    await t.step("those under way when the connection ends are read again", async () => {
      // the first time it sleeps until it is found, the second time not at all
      await server.sql(
        "create table naps (seconds int); insert into naps values (60);" +
          `grant select on naps to ${user}`,
        database,
      );
      const sql = "select $1::int as n, pg_sleep($2::int * (select seconds from naps))::text as s";
      await warm(sql, 0, 0);
      const asked = Array.from({ length: 8 }, (_, n) => ask(sql, n, n === 0 ? 1 : 0));
      const sleeping = `from pg_stat_activity where usename = '${user}' and wait_event = 'PgSleep'`;
      for (const end = performance.now() + 15_000; performance.now() < end;) {
        if (await server.sql(`select count(*) ${sleeping}`) === "1") break;
      }
      await server.sql("update naps set seconds = 0", database);
      equal(await server.sql(`select pg_terminate_backend(pid) ${sleeping}`), "t");
      const found = await Promise.all(asked);
      found.forEach(({ data, error }, n) => deepEqual([data, error], [[{ n, s: "" }], undefined]));
    });

    await t.step("values are those of the call, whatever the caller does with them", async () => {
      const short = "select $1::int as n, $2::int[] as l";
      await warm(short, 0, [0]);
      for (const sql of [short, "select $1::int as n, $2::int[] as l, pg_sleep(0.03)::text"]) {
        // where it is not known as a short one, each waits for the one before
        const list = [0];
        const params = [0, list];
        const asked = [1, 2, 3].map((n) => {
          params[0] = list[0] = n;
          return client.send(target, { sql, params }, [], AbortSignal.timeout(20_000));
        });
        const found = (await Promise.all(asked)).map(({ data }) => {
          const [{ n, l }] = data as [{ n: number; l: number[] }];
          return [n, l];
        });
        deepEqual(found, [[1, [1]], [2, [2]], [3, [3]]]);
      }
    });

    await t.step("one that writes gets its turn among many that read", async () => {
      const sql = "select $1::int as n";
      await warm(sql, 0);
      equal((await ask("create table turns (n int)")).error, undefined);
      let running = true;
      const readers = Array.from({ length: 60 }, async (_, n) => {
        while (running) deepEqual((await ask(sql, n)).data, [{ n }]);
      });
      for (let i = 0; i < 5; i++) {
        equal((await ask("insert into turns values ($1)", i)).error, undefined);
      }
      running = false;
      await Promise.all(readers);
    });
  },
});
