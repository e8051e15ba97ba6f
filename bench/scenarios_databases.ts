/**
 * What is measured of what asking databases costs.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { noPostgresql, startPostgresql } from "../tests/_support/postgresql.ts";
import { noRedis, startRedis } from "../tests/_support/redis.ts";
import { bare, ours } from "./asking.ts";
import { median, start } from "./harness.ts";
import { compare, missing, onNode, onPython, readyText, type Scenario } from "./scenario.ts";
import { Steps } from "./steps.ts";
import { TemporaryDirectory } from "./temporary_directory.ts";

/** How long the slow query takes, in milliseconds. */
const SLOW_MS = 500;

/** Size of the page with ten rows. */
const PAGE_BYTES = 845;

/** A PostgreSQL with the table of 10 000 rows. */
async function filledPostgresql(): ReturnType<typeof startPostgresql> {
  const server = await startPostgresql();
  await server.sql(
    "create table items as select i id, 'item ' || i as name, i * 7 % 100 as price, " +
      "timestamp '2026-01-01' + i * interval '1 minute' created_at " +
      "from generate_series(1, 10000) i; create index on items (created_at); " +
      "analyze items; grant all on items to skitai",
    "shop",
  );
  return server;
}

/** A file with a table of 10 000 rows. */
function sqliteFile(directory: TemporaryDirectory): string {
  const file = `${directory.path}/items.db`;
  using db = new DatabaseSync(file);
  db.exec(
    "create table items (id integer primary key, name text, price integer); " +
      "with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000) " +
      "insert into items select i, 'item ' || i, i * 7 % 100 from n",
  );
  return file;
}

/** Puts the value there that is asked for. */
async function fill(port: number): Promise<void> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode("set greeting hello\r\n"));
  const answer = new Uint8Array(5);
  await connection.read(answer);
  if (new TextDecoder().decode(answer) !== "+OK\r\n") throw new Error("Redis did not take it");
}

/** Scenarios of the databases. */
export const databaseScenarios: readonly Scenario[] = [
  {
    name: "PostgreSQL page: ten rows and a count of 10 000 in parallel",
    run: async (effort, peers) => {
      if (noPostgresql) return [missing("PostgreSQL", "it is not installed")];
      await using server = await filledPostgresql();
      const env = { BACKEND: server.member };
      const page = ours("postgresql", "/page", env);
      const rows = await compare(effort, page, [
        { ...bare("Hono + postgres on Deno", "page", env, "--hono"), wanted: "≥ 1.00" },
        onNode(
          peers,
          { name: "Fastify + postgres on Node", env, wanted: "≥ 1.00" },
          "fastify_postgres.mjs",
        ),
        await onPython(
          { name: "FastAPI + asyncpg on Python", env, wanted: "≥ 1.00" },
          "fastapi_postgres.py",
        ),
      ]);
      const kept = await compare(
        effort,
        { ...ours("postgresql", "/kept", env), name: "Skitai (Atila), result cache" },
        [
          { ...page, name: "Skitai (Atila), no cache", wanted: "≥ 20" },
          readyText(PAGE_BYTES),
        ],
      );
      return [...rows, ...kept];
    },
  },
  {
    name: "PostgreSQL: select 1 per request",
    run: async (effort) => {
      if (noPostgresql) return [missing("PostgreSQL", "it is not installed")];
      await using server = await startPostgresql();
      const env = { BACKEND: server.member };
      return await compare(effort, ours("postgresql", "/one", env), [
        { ...bare("postgres in Deno.serve", "one", env), wanted: "≥ 0.90" },
      ]);
    },
  },
  {
    name: "Redis: get per request",
    run: async (effort) => {
      if (noRedis) return [missing("Redis", "it is not installed")];
      await using server = await startRedis();
      await fill(server.port);
      const env = { BACKEND: server.address };
      return await compare(effort, ours("redis", "/get", env), [
        { ...bare("ioredis in Deno.serve", "get", env), wanted: "≥ 0.90" },
      ]);
    },
  },
  {
    name: "SQLite: one row by its key per request",
    run: async (effort) => {
      await using directory = await TemporaryDirectory.make();
      const env = { BACKEND: sqliteFile(directory) };
      return await compare(effort, ours("sqlite", "/point", env), [
        { ...bare("node:sqlite in Deno.serve", "point", env), wanted: "≥ 0.80" },
      ]);
    },
  },
  {
    name: "SQLite: what a slow query does to other requests",
    run: async (effort) => {
      await using directory = await TemporaryDirectory.make();
      const env = { BACKEND: sqliteFile(directory) };
      await using server = await start(ours("sqlite", "/", env));
      const url = `http://127.0.0.1:${server.port}`;
      const ask = async (path: string): Promise<number> => {
        const began = performance.now();
        const response = await fetch(url + path);
        await response.body?.cancel();
        if (!response.ok) throw new Error(`${path} answered ${response.status}`);
        return performance.now() - began;
      };
      const steps = new Steps(SLOW_MS);
      /** Times of a slow query and of the requests beside it, one after the other. */
      const askBeside = async () => {
        let ended = false;
        const count = steps.next;
        const query = ask(`/slow?steps=${count}`).finally(() => ended = true);
        const others = async () => {
          const times: number[] = [];
          while (!ended) times.push(await ask("/"));
          return times;
        };
        const [slow, beside] = await Promise.all([query, others()]);
        steps.ran(count, slow);
        return { slow, beside };
      };
      for (let i = 0; i < 4; i++) await askBeside();
      const alone: number[] = [];
      const beside: number[] = [];
      const slow: number[] = [];
      for (let i = 0; i < effort.rounds; i++) {
        for (let j = 0; j < 100; j++) alone.push(await ask("/"));
        const round = await askBeside();
        slow.push(round.slow);
        beside.push(...round.beside);
      }
      const worst = (values: number[]) => values.sort((a, b) => a - b)[~~(values.length * 0.99)]!;
      return [
        {
          subject: "the slow query",
          value: `${median(slow).toFixed(0)} ms`,
          wanted: `about ${SLOW_MS} ms`,
        },
        {
          subject: "another request: its delay, median",
          value: `${(median(beside) - median(alone)).toFixed(2)} ms`,
          wanted: "≤ 5 ms",
        },
        {
          subject: "another request: its delay, 99th of 100",
          value: `${(worst(beside) - worst(alone)).toFixed(2)} ms`,
          wanted: "≤ 5 ms",
        },
      ];
    },
  },
];
