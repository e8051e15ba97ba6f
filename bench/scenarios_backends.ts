/**
 * What is measured of what asking backends costs: databases, caches, fan-out.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { noPostgresql, startPostgresql } from "../tests/_support/postgresql.ts";
import { noRedis, startRedis } from "../tests/_support/redis.ts";
import { median, start, type Subject } from "./harness.ts";
import { NODE_PEERS } from "./peers.ts";
import { compare, node, peer, type Row, type Scenario, skitai } from "./scenarios.ts";

const missing = (program: string): Row[] => [{
  subject: "not measured",
  value: `${program} is not installed`,
}];

const ours = (kind: string, path: string, env: Record<string, string>): Subject => ({
  name: "Skitai (Atila)",
  command: skitai("asking.ts", kind),
  path,
  env,
});
const bare = (name: string, page: string, env: Record<string, string>, ...flags: string[]) => ({
  name,
  command: [...peer("deno_asking.ts"), page, ...flags],
  env,
});

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

/** Whether the driver is beside the peers that run on Node, after installing it where it is not. */
async function nodeDriver(): Promise<boolean> {
  const command = (program: string, args: string[]) =>
    new Deno.Command(program, { args, cwd: NODE_PEERS, stdin: "null", stdout: "null" }).output();
  const resolved = () => command("node", ["-e", 'require.resolve("postgres")']);
  if ((await resolved()).success) return true;
  return (await command("npm", ["install", "--no-audit", "--no-fund", "postgres@3"])).success;
}

/** A file with a table of 10 000 rows. */
async function sqliteFile(): Promise<string> {
  const file = `${await Deno.makeTempDir({ prefix: "bench-sqlite-" })}/items.db`;
  const db = new DatabaseSync(file);
  db.exec(
    "create table items (id integer primary key, name text, price integer); " +
      "with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000) " +
      "insert into items select i, 'item ' || i, i * 7 % 100 from n",
  );
  db.close();
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

/** A backend in this process that answers at once or after a while. */
function farServer(delayMs = 0): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async () => {
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    return Response.json({ n: 1 });
  });
}

/** Scenarios of the backends. */
export const backendScenarios: readonly Scenario[] = [
  {
    name: "PostgreSQL page: ten rows and a count of 10 000 in parallel",
    run: async (effort, peers) => {
      if (noPostgresql) return missing("PostgreSQL");
      await using server = await filledPostgresql();
      const env = { BACKEND: server.member };
      const page = ours("postgresql", "/page", env);
      const rows = await compare(effort, page, [
        { ...bare("Hono + postgres on Deno", "page", env, "--hono"), wanted: "≥ 1.00" },
        ...(peers.node && await nodeDriver()
          ? [{
            name: "Fastify + postgres on Node",
            command: node("fastify_postgres.mjs"),
            env,
            wanted: "≥ 1.00",
          }]
          : []),
      ]);
      const kept = await compare(
        effort,
        { ...ours("postgresql", "/kept", env), name: "Skitai (Atila), result cache" },
        [{ ...page, name: "Skitai (Atila), no cache", wanted: "≥ 20" }],
      );
      return [...rows, ...kept];
    },
  },
  {
    name: "PostgreSQL: select 1 per request",
    run: async (effort) => {
      if (noPostgresql) return missing("PostgreSQL");
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
      if (noRedis) return missing("Redis");
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
      const env = { BACKEND: await sqliteFile() };
      return await compare(effort, ours("sqlite", "/point", env), [
        { ...bare("node:sqlite in Deno.serve", "point", env), wanted: "≥ 0.80" },
      ]);
    },
  },
  {
    name: "SQLite: what a slow query does to other requests",
    run: async (effort) => {
      const env = { BACKEND: await sqliteFile(), STEPS: "5000000" };
      await using server = await start(ours("sqlite", "/", env));
      const url = `http://127.0.0.1:${server.port}`;
      const ask = async (path: string): Promise<number> => {
        const began = performance.now();
        const response = await fetch(url + path);
        await response.body?.cancel();
        if (!response.ok) throw new Error(`${path} answered ${response.status}`);
        return performance.now() - began;
      };
      await ask("/slow");
      const alone: number[] = [];
      const beside: number[] = [];
      const slow: number[] = [];
      for (let i = 0; i < effort.rounds; i++) {
        for (let j = 0; j < 100; j++) alone.push(await ask("/"));
        let ended = false;
        const query = ask("/slow").then((took) => {
          ended = true;
          slow.push(took);
        });
        while (!ended) beside.push(await ask("/"));
        await query;
      }
      const worst = (values: number[]) => values.sort((a, b) => a - b)[~~(values.length * 0.99)]!;
      return [
        { subject: "the slow query", value: `${median(slow).toFixed(0)} ms` },
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
  {
    name: "HTTP: ten requests per page",
    run: async (effort) => {
      await using far = farServer();
      const env = { BACKEND: `127.0.0.1:${far.addr.port}` };
      return await compare(effort, ours("http", "/ten", env), [
        { ...bare("fetch and Promise.all", "fetch", env), wanted: "≥ 1.30" },
        { ...bare("undici and Promise.all", "undici", env), wanted: "≥ 1.00" },
      ]);
    },
  },
  {
    name: "Memory of 10 000 futures in flight",
    run: async (effort) => {
      await using far = farServer(100);
      const subject = ours("http", "/", { BACKEND: `127.0.0.1:${far.addr.port}` });
      const command = subject.command.with(1, "run").toSpliced(2, 0, "--v8-flags=--expose-gc");
      await using server = await start({ ...subject, command });
      const sizes: number[] = [];
      for (let i = 0; i <= effort.rounds; i++) {
        const response = await fetch(`http://127.0.0.1:${server.port}/memory`);
        const { each, answered } = await response.json();
        if (answered !== 10_000) throw new Error(`only ${answered} futures were answered`);
        if (i > 0) sizes.push(each);
      }
      return [{ subject: "heap of one future", value: `${(median(sizes) / 1024).toFixed(2)} KB` }];
    },
  },
];
