import { OffloadPool } from "../../src/clients/offload/pool.ts";
import { sqlite3Send } from "../../src/clients/sqlite3/client.ts";
import { listLog } from "../_support/list_log.ts";
import { until } from "../_support/raw_backend.ts";
import { clientSuite } from "./client_suite.ts";

/** Counts for longer than any test takes; a statement cannot be interrupted. */
const SLOW = "with recursive c(i) as (select 1 union all select i + 1 from c where i < 20000000) " +
  "select count(*) as n from c";

clientSuite("SQLite", "DB-02 DB-15", async () => {
  const directory = await Deno.makeTempDir();
  const file = `${directory}/items.db`;
  const client = new OffloadPool({ threads: 4, log: listLog() });
  await sqlite3Send(client, file, "create table items (n)")(AbortSignal.timeout(20_000));
  return {
    client,
    succeed: () => sqlite3Send(client, file, "select count(*) as n from items"),
    fail: () => sqlite3Send(client, file, "select * from missing"),
    hang: () => ({
      send: sqlite3Send(client, file, SLOW),
      taken: until("it is under way", () => client.stats().busy >= 1),
    }),
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]();
      await Deno.remove(directory, { recursive: true });
    },
  };
});
