/**
 * A service that a test makes one program of: SQLite on auxiliary threads, templates beside the program,
 * uploads, several workers, and the databases that `BACKENDS` names as JSON. Prints
 * `listening <address> <port> <workers> <pid>` when it serves.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- tests read what it prints

import * as skitai from "@skitai/skitai";
import { Atila, FILE } from "@skitai/skitai/atila";

const app = new Atila(import.meta.url);
app.config.uploadDir = Deno.env.get("SKITAI_VAR");

skitai.alias("@db", skitai.DB_SQLITE3, `${Deno.env.get("SKITAI_VAR")}/counts.sqlite`);

/** Counts on a thread: no statement that reads a table may run on the event loop. */
app.route("/count/<int:n>", async (was, { n }) => {
  const count = was.sqlite3("@db").execute(
    "with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ?) " +
      "select count(*) as count from numbers",
    [n],
  );
  return was.response.API({ rows: await count.fetch() });
});

app.route("/hello", (was) => was.render("hello.html", { name: "bundle" }));

app.route("/hi", (was) => was.render("hi.vto", { name: "bundle" }));

app.route("/up", { methods: ["POST"], args: { file: FILE } }, (_was, { file }) => `${file.size}`);

app.openapi("/docs");

interface Backends {
  readonly postgresql: string;
  readonly redis: string;
  readonly mongodb: string;
}

const backends = Deno.env.get("BACKENDS");
if (backends !== undefined) {
  const { postgresql, redis, mongodb } = JSON.parse(backends) as Backends;
  skitai.alias("@postgresql", skitai.DB_PGSQL, postgresql);
  skitai.alias("@redis", skitai.DB_REDIS, redis);
  skitai.alias("@mongodb", skitai.DB_MONGODB, mongodb);
  skitai.cluster(`redis://${redis}`);
  app.route("/backends", async (was) => {
    const row = was.postgresql("@postgresql").execute("select 1 as one");
    const pong = was.redis("@redis").ping();
    const found = was.mongodb("@mongodb").find("things", {});
    return was.response.API({
      row: await row.oneOrThrow(),
      pong: await pong.dataOrThrow(),
      found: await found.dataOrThrow(),
    });
  });
}

skitai.mount("/", app);
const server = await skitai.run({ port: 0, workers: Number(Deno.args[0]) });
console.log("listening", server.address, server.port, server.workers.length, Deno.pid);
