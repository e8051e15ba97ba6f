import type { DatabaseTarget } from "../../src/clients/database.ts";
import { PostgresqlClient } from "../../src/clients/postgresql/client.ts";
import {
  noPostgresql,
  POSTGRESQL,
  type PostgresqlServer,
  startPostgresql,
} from "../_support/postgresql.ts";
import { databaseSuite } from "./database_suite.ts";

const { user, password, database } = POSTGRESQL;

function targetOf(server: PostgresqlServer): DatabaseTarget {
  return {
    ...{ alias: "@db", host: "127.0.0.1", port: server.port, node: `127.0.0.1:${server.port}` },
    ...{ user, password, database },
    tls: server.certificates !== undefined,
    caCerts: server.certificates && [server.certificates.ca],
  };
}

const running = async (server: PostgresqlServer) =>
  Number(
    await server.sql(
      "select count(*) from pg_stat_activity where state = 'active' and query like 'select pg_sleep%'",
    ),
  );

const HANG = "select pg_sleep(300)";

for (const tls of [false, true]) {
  databaseSuite({
    name: `PostgreSQL${tls ? " over TLS" : ""}`,
    ids: "DB-01 DB-12 DB-15 DB-23",
    ignore: noPostgresql,
    start: async () => {
      const server = await startPostgresql({ tls });
      const target = targetOf(server);
      return {
        target,
        process: server.process,
        wrong: {
          password: { ...target, password: "not it" },
          database: { ...target, database: "nowhere" },
          user: { ...target, user: "nobody" },
          tls: { ...target, tls: !tls },
        },
        prepare: async () =>
          void await server.sql(
            "drop table if exists w; create table w (n int); grant all on w to skitai",
            database,
          ),
        writes: async () => Number(await server.sql("select count(*) from w", database)),
        running: () => running(server),
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
    make: () => {
      const client = new PostgresqlClient();
      return {
        client,
        read: (target) => client.request(target, "select 1 as n"),
        write: (target) => client.request(target, "insert into w values ($1)", [[1]]),
        hang: (target) => client.request(target, HANG),
        limits: { connections: 10, requests: 1010 },
      };
    },
    fail: ({ client }, target) =>
      (client as PostgresqlClient).request(target, "select * from nothing_there"),
  });
}
