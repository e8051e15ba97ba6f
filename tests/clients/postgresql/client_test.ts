import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { ASK_AFTER_MS, type DatabaseTarget } from "../../../src/clients/database.ts";
import { PostgresqlClient } from "../../../src/clients/postgresql/client.ts";
import { LostConnectionError, PgConnection } from "../../../src/clients/postgresql/connection.ts";
import { Stop } from "../../../src/core/stop.ts";
import {
  noPostgresql,
  POSTGRESQL,
  type PostgresqlServer,
  startPostgresql,
} from "../../_support/postgresql.ts";
import { block, rawBackend, sent, until } from "../../_support/raw_backend.ts";

const { user, password, database } = POSTGRESQL;

Deno.test({
  name:
    "DB-01 DB-08 DB-09 DB-11 DB-12 DB-23 PostgreSQL: connections, values and settings in detail",
  ignore: noPostgresql,
  fn: async (t) => {
    await using server = await startPostgresql();
    const target: DatabaseTarget = {
      ...{ host: "127.0.0.1", port: server.port, node: `127.0.0.1:${server.port}` },
      ...{ user, password, database, tls: false },
    };
    const step = (
      what: string,
      body: (
        run: (sql: unknown, ...params: unknown[]) => Promise<Record<string, unknown>[]>,
        client: PostgresqlClient,
      ) => Promise<void>,
    ) =>
      t.step(what, async () => {
        await using client = new PostgresqlClient();
        await body(async (sql, ...params) => {
          const { error, data } = await client.send(
            ...[target, sql, params, AbortSignal.timeout(20_000)] as const,
          );
          if (error !== undefined) throw error;
          return data as Record<string, unknown>[];
        }, client);
      });

    await step(
      "a write finds a connection the server has ended, though nobody saw it",
      async (run) => {
        await run("create table writes (n int)");
        for (let i = 0; i < 5; i++) {
          await run("select 1");
          // the event loop stands still, so that the end is not read
          terminateAll(server);
          // that may have been quicker than the silence after which the server is asked
          block(ASK_AFTER_MS + 1);
          const written = run("insert into writes values ($1)", [i]);
          await sent();
          block(5);
          await written;
        }
        assert.deepEqual(await run("select count(*) n from writes"), [{ n: 5 }]);
      },
    );

    await step(
      "a write given up while its server is asked whether it is there is not sent",
      async (run, client) => {
        await run("create table given_up (n int)");
        await run("select 1");
        // silent for so long that it is asked
        await new Promise((resolve) => setTimeout(resolve, 20));
        const stop = new AbortController();
        const asked = client.send(target, "insert into given_up values (1)", [], stop.signal);
        await sent();
        stop.abort();
        assert.equal((await asked).status, 1);
        assert.deepEqual(await run("select count(*) n from given_up"), [{ n: 0 }]);
        assert.equal(client.stats().busy, 0);
      },
    );

    await t.step(
      "a connection that has ended says that it was lost, so that reads are sent again",
      async () => {
        const connection = await PgConnection.open(target, new AbortController().signal);
        connection.destroy();
        await connection.closed;
        await assert.rejects(
          connection.run("select 1", [], "simple", new Stop()),
          (error) => error instanceof LostConnectionError && error.message.includes(target.node),
        );
      },
    );

    await step("notices of the server are not kept", async (run) => {
      setFlagsFromString("--expose-gc");
      const collect = runInNewContext("gc") as () => void;
      const notify = async (count: number): Promise<number> => {
        await run(`do $$ begin for i in 1..${count} loop raise notice 'x'; end loop; end $$`);
        collect();
        return Deno.memoryUsage().heapUsed;
      };
      const before = await notify(50_000);
      // even their codes alone would take ten megabytes
      assert.ok(await notify(300_000) - before < 5_000_000);
    });

    await step("a read that writes all the same is not done twice", async (run, client) => {
      await server.sql(
        `create table bumps (n int); grant all on bumps to ${user};
         create function bump() returns int language plpgsql as $$
         begin insert into bumps values (1); return 1; end $$;
         create function break() returns int language plpgsql as $$
         begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(5); return 1; end $$;`,
        database,
      );
      await run("select 1");
      const outcome = await client.send(
        ...[target, "select bump(), break()", [], AbortSignal.timeout(20_000)] as const,
      );
      assert.equal(outcome.status, 2);
      assert.match(outcome.error!.message, /was lost before the answer/);
      assert.equal(await server.sql("select count(*) from bumps", database), "0");
      assert.deepEqual(
        await run("select bump()"),
        [{ bump: 1 }],
        "otherwise it is a statement like others",
      );
      assert.equal(await server.sql("select count(*) from bumps", database), "1");
    });

    await step(
      "short reads share connections; one that is given up harms no other",
      async (run, client) => {
        for (let i = 0; i < 4; i++) await run("select $1::int as n", [i]);
        const gone = AbortSignal.abort(new Error("gone"));
        const stop = new AbortController();
        const pending = Array.from({ length: 300 }, (_, i) =>
          client.send(
            target,
            "select $1::int as n",
            [[i]],
            i === 7 ? gone : i % 50 === 3 ? stop.signal : AbortSignal.timeout(20_000),
          ));
        await new Promise((resolve) => setTimeout(resolve, 1));
        stop.abort(new Error("stop"));
        const outcomes = await Promise.all(pending);
        outcomes.forEach(({ status, data }, i) => {
          if (i % 50 === 3 || i === 7) assert.ok(status === 1 || status === 3);
          else assert.deepEqual([status, data], [3, [{ n: i }]]);
        });
        assert.ok(client.stats().open <= 10);
        assert.deepEqual(await run("select 5 as n"), [{ n: 5 }]);
      },
    );

    await step("settings of one call are not found by the next", async (run) => {
      const [before] = await run("show search_path");
      await run("set search_path = pg_catalog");
      assert.deepEqual(await run("show search_path"), [before]);
      await run("create temp table mine (n int)");
      await assert.rejects(run("select * from mine"), /does not exist/);
    });

    await step("nor where they are made further on, or by a function", async (run) => {
      const timeout = "show statement_timeout";
      const [before] = await run(timeout);
      await run("begin; set statement_timeout = 5000; commit");
      assert.deepEqual(await run(timeout), [before]);
      await run("select set_config('statement_timeout', $1, false)", ["6000"]);
      assert.deepEqual(await run(timeout), [before]);
      const locked = "select pg_try_advisory_lock(7) as got";
      assert.deepEqual(await run(locked), [{ got: true }]);
      await run("select pg_advisory_lock(7)");
      await run("begin; create temp table ours (n int); commit");
      await assert.rejects(run("select * from ours"), /does not exist/);
    });

    await step("several statements stay several, however often they come", async (run) => {
      for (let i = 0; i < 5; i++) {
        assert.deepEqual(await run("select 1 as a; select 2 as b;"), [{ b: 2 }]);
      }
    });

    await step("whether a transaction is open does not hang on the notices", async (run) => {
      await server.sql(`alter role ${user} set client_min_messages = 'error'`);
      try {
        await run("create table quiet (n int)");
        await run("begin; insert into quiet values (1); commit");
        await run(["begin", { sql: "insert into quiet values (?)", params: [2] }, "commit"]);
        for (const open of ["begin; insert into quiet values (3)", "begin; commit and chain"]) {
          await assert.rejects(run(open), /left open and has been rolled back/);
        }
        await assert.rejects(run("begin; insert into quiet values (4); select nothing"), {
          code: "42703",
        });
        await assert.rejects(
          run(["begin", { sql: "insert into quiet values (?)", params: [5] }, "select nothing"]),
          { code: "42703" },
        );
        assert.deepEqual(await run("select n from quiet order by n"), [{ n: 1 }, { n: 2 }]);
      } finally {
        await server.sql(`alter role ${user} reset all`);
      }
    });

    await step("too few values are not taken for a lost connection", async (run) => {
      const pid = "select pg_backend_pid() as pid";
      const [before] = await run(pid);
      await assert.rejects(run("select $1::int + $2::int", [1]), { code: "08P01" });
      assert.deepEqual(await run(pid), [before]);
    });

    await step("a prepared statement survives a change of its table", async (run) => {
      await run("create table changing (a int)");
      await run("insert into changing values (1)");
      for (let i = 0; i < 6; i++) {
        assert.deepEqual(await run("select * from changing where a = $1", [1]), [{ a: 1 }]);
      }
      await run("alter table changing add column b int default 2");
      for (let i = 0; i < 12; i++) {
        assert.deepEqual(await run("select * from changing where a = $1", [1]), [{ a: 1, b: 2 }]);
      }
    });

    await step("a connection does not gather prepared statements without end", async (run) => {
      const connections = new Set<unknown>();
      for (let i = 0; i < 1100; i++) {
        const text = `select pg_backend_pid() as pid, ${i} as n`;
        for (let k = 0; k < 3; k++) connections.add((await run(text))[0]!.pid);
      }
      assert.equal(connections.size, 2);
    });

    await step("values come back as they went", async (run) => {
      const at = new Date("2024-02-29T12:34:56.789Z");
      const bytes = new Uint8Array([0, 1, 255]);
      const values: [string, unknown, unknown?][] = [
        ["int", 7],
        ["bigint", 2n ** 62n],
        ["bigint", 5n, 5],
        ["numeric", "12345678901234567890.5"],
        ["double precision", 1.5],
        ["boolean", true],
        ["boolean", "false", false],
        ["text", 'it\'s "quoted" \\ ☃'],
        ["text", null],
        ["text", undefined, null],
        ["timestamptz", at],
        ["timestamptz", at.toISOString(), at],
        ["bytea", bytes],
        ["jsonb", { a: [1, { b: null }] }],
        ["jsonb", '{"a":1}', { a: 1 }],
        ["jsonb", [1, 2]],
        ["int[]", []],
        ["int[]", [1, null, 3]],
        ["int[]", [[1, 2], [3, 4]]],
        ["bigint[]", [2n ** 62n, 3]],
        ["text[]", ["", "NULL", 'a"b', "c,d", "{}", "\\", null]],
        ["boolean[]", [true, false]],
        ["timestamptz[]", [at, null]],
        ["jsonb[]", [{ a: 1 }, null]],
        ["uuid", "6c84fb90-12c4-11e1-840d-7b25c5ee775a"],
        ["numeric", 2n ** 70n, String(2n ** 70n)],
        ["timestamp", at],
        ["timestamptz", Temporal.Instant.fromEpochMilliseconds(at.getTime()), at],
        ["text", new URL("http://a.b/c?d"), "http://a.b/c?d"],
        ["text[]", [new URL("http://a.b/c?d")], ["http://a.b/c?d"]],
        ["jsonb", new URL("http://a.b/c?d"), "http://a.b/c?d"],
        ["text", { a: 1 }, '{"a":1}'],
        ["timestamptz", new Date("0050-01-01T10:00:00Z")],
        ["timestamptz", new Date("-000043-03-15T10:00:00Z")],
        ["timestamptz", new Date("+012345-06-07T10:00:00Z")],
        ["timestamptz", Infinity],
        ["timestamptz", "-infinity", -Infinity],
        ["text[]", [at], [at.toISOString()]],
        ["bytea", bytes.buffer, bytes],
        ["bytea", new DataView(bytes.buffer, 1), bytes.subarray(1)],
        ["bytea", new Uint16Array([1, 2]), new Uint8Array([1, 0, 2, 0])],
        ["int4range[]", ["[1,3)", null]],
        ["macaddr[]", ["08:00:2b:01:02:03"]],
        ["point[]", ["(1,2)"]],
        ["bit(2)[]", ["10", "01"]],
      ];
      for (const [type, value, expected = value] of values) {
        const cast = `select $1::${type} as v`;
        assert.deepEqual(await run(cast, [value]), [{ v: expected }], `${type} ${String(value)}`);
      }
      await run("create type mood as enum ('sad', 'so so')");
      await run("create table moods (m mood, ms mood[])");
      await run("insert into moods values ($1, $2)", ["sad", ["sad", "so so"]]);
      await run("set application_name = 'a new connection learns the new type'");
      assert.equal((await run("select m from moods where 'so so' = any(ms)"))[0]!.m, "sad");

      await run("create domain positive as int check (value > 0); create domain few as positive");
      await run("create domain settings as jsonb; create type pair as (x int, y text)");
      await run("create type span as range (subtype = float8)");
      await run("set application_name = 'and those'");
      const own: [string, unknown][] = [
        ["few[]", [1, 2]],
        ["settings", { a: [1] }],
        ["settings[]", [{ a: [1] }]],
        ["pair[]", ['(1,"a b")']],
        ["span[]", ["[1,2)"]],
      ];
      for (const [type, value] of own) {
        assert.deepEqual(await run(`select $1::${type} as v`, [value]), [{ v: value }], type);
      }
    });

    await step("styles the server is set to are read as well", async (run) => {
      await server.sql(
        `alter role ${user} set timezone = 'Asia/Seoul'; alter role ${user} set bytea_output = 'escape';
         alter role ${user} set datestyle = 'German'`,
      );
      try {
        const at = new Date("2024-02-29T12:34:56.789Z");
        const bytes = new Uint8Array([0, 39, 65, 92, 255]);
        await run("create table styles (ts timestamp, tz timestamptz, d date, b bytea)");
        assert.deepEqual(
          await run(
            "insert into styles values ($1, $1, $2, $3) returning *, ts::text as wall",
            [at, "2024-02-29", bytes],
          ),
          [{
            ts: at,
            tz: at,
            d: new Date("2024-02-29"),
            b: bytes,
            wall: "2024-02-29 21:34:56.789",
          }],
        );
        assert.deepEqual(
          await run("select count(*) n from styles where ts = $1 and b = $2", [at, bytes]),
          [{ n: 1 }],
        );
      } finally {
        await server.sql(`alter role ${user} reset all`);
      }
    });

    await step("no more connections than the target says", async (_run, client) => {
      const few = { ...target, maxConnections: 2 };
      const outcomes = await Promise.all(
        Array.from(
          { length: 6 },
          () => client.send(few, "select pg_sleep(0.05)", [], AbortSignal.timeout(20_000)),
        ),
      );
      assert.deepEqual(new Set(outcomes.map((one) => one.status)), new Set([3]));
      assert.equal(client.stats().open, 2);
    });
  },
});

Deno.test({
  name: "DB-12 PostgreSQL: a server that stands still keeps no connection that asked it to cancel",
  ignore: noPostgresql,
  fn: async () => {
    await using server = await startPostgresql();
    let standsStill = false;
    let isAsked = false;
    let lastGone = false;
    // what the second connection says never arrives, as with a server that is stopped
    await using between = rawBackend(async (conn) => {
      if (standsStill) {
        await conn.drained();
        lastGone = true;
        return;
      }
      const upstream = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
      const answers = (async () => {
        for await (const bytes of upstream.readable) if (!standsStill) await conn.write(bytes);
      })();
      for (let one = await conn.read(1); one.length > 0; one = await conn.read(1)) {
        if (!standsStill) await upstream.write(one);
        else isAsked = true;
      }
      upstream.close();
      await answers.catch(() => {});
    });
    await using client = new PostgresqlClient();
    const target = {
      ...{ host: "127.0.0.1", port: between.port, node: `127.0.0.1:${between.port}` },
      ...{ user, password, database, tls: false },
    };
    assert.equal((await client.send(target, "select 1", [], new Stop())).status, 3);
    standsStill = true;
    const stop = new Stop();
    const asked = client.send(target, "select pg_sleep(300)", [], stop);
    await until("the statement is sent", () => isAsked);
    stop.abort();
    assert.equal((await asked).status, 1);
    await until("the connection that asked is closed", () => lastGone);
    await until("the other is, too", () => client.stats().open === 0);
    assert.equal(client.stats().busy, 0);
  },
});

Deno.test("DB-01 PostgreSQL: a login that makes no sense is refused, and nothing else fails", async () => {
  const message = (type: string, code: number, text = "") => {
    const body = new TextEncoder().encode(text);
    const bytes = new Uint8Array(9 + body.length);
    const view = new DataView(bytes.buffer);
    bytes[0] = type.charCodeAt(0);
    view.setUint32(1, 8 + body.length);
    view.setUint32(5, code);
    bytes.set(body, 9);
    return bytes;
  };
  for (
    const answer of [
      message("R", 11, "nonsense"),
      message("R", 11, "r=x,s=AAAA,i=2000000000"),
      message("R", 11, "r=x,s=AAAA,i=0"),
      message("X", 0),
      new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"),
      new Uint8Array([0x52, 0, 0, 0, 1, 0]),
    ]
  ) {
    await using backend = rawBackend(async (conn) => {
      await conn.read(8);
      await conn.write(answer);
      await conn.drained();
    });
    await using client = new PostgresqlClient();
    const node = `127.0.0.1:${backend.port}`;
    const outcome = await client.send(
      {
        ...{ alias: "@odd", host: "127.0.0.1", port: backend.port, node },
        ...{ user, password, database, tls: false },
      },
      "select 1",
      [],
      AbortSignal.timeout(20_000),
    );
    assert.deepEqual([outcome.status, outcome.statusCode], [2, 500]);
    assert.match(outcome.error!.message, new RegExp(`Cannot connect to @odd \\(${node}\\)`));
  }
});

/** Ends all connections of the user, while this thread stands still. */
function terminateAll(server: PostgresqlServer): void {
  const { host, port } = server.admin;
  const { success } = new Deno.Command("psql", {
    args: [
      ...["-X", "-q", "-h", host, "-p", String(port), "-U", "admin", "-d", "postgres", "-c"],
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = '${user}'`,
    ],
    stdout: "null",
  }).outputSync();
  assert.ok(success);
}
