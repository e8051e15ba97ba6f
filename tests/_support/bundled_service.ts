/**
 * A service that a test makes one program of: SQLite on auxiliary threads, a template beside the
 * program, several workers. Prints `listening <address> <port> <workers> <pid>` when it serves.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- tests read what it prints

import * as skitai from "@skitai/skitai";
import { Atila } from "@skitai/skitai/atila";

const app = new Atila(import.meta.url);

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

skitai.mount("/", app);
const server = await skitai.run({ port: 0, workers: Number(Deno.args[0]) });
console.log("listening", server.address, server.port, server.workers.length, Deno.pid);
