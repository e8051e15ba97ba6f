/**
 * Pages that ask a backend: what the first argument names, at the address in `BACKEND`.
 *
 * @module
 */

import process from "node:process";
import * as skitai from "../../mod.ts";

const backend = Deno.env.get("BACKEND")!;
const app = new skitai.Atila(import.meta.url);
app.route("/", () => "ready");

const LAST = "select * from items order by created_at desc limit 10";
const COUNT = "select count(*) n from items";

const PAGES: Readonly<Record<string, () => void>> = {
  postgresql: () => {
    skitai.alias("@db", skitai.DB_PGSQL, backend);
    skitai.deflu("items");
    app.route("/page", async (was) => {
      const db = was.postgresql("@db");
      const rows = db.execute(LAST);
      const count = db.execute(COUNT);
      return was.response.API({
        rows: await rows.dataOrThrow(),
        count: (await count.oneOrThrow()).n,
      });
    });
    app.route("/kept", async (was) => {
      const db = was.postgresql("@db", { useCache: was.getlu("items") });
      const rows = db.execute(LAST).dispatch(10, { cache: 60 });
      const count = db.execute(COUNT).dispatch(10, { cache: 60 });
      return was.response.API({
        rows: (await rows).data,
        count: (await count).data[0]!.n,
      });
    });
    app.route("/one", async (was) => {
      return was.response.API(await was.postgresql("@db").execute("select 1 one").oneOrThrow());
    });
  },
  redis: () => {
    skitai.alias("@cache", skitai.DB_REDIS, backend);
    app.route("/get", async (was) => {
      return was.response.API({ value: await was.redis("@cache").get("greeting").dataOrThrow() });
    });
  },
  sqlite: () => {
    skitai.alias("@file", skitai.DB_SQLITE3, backend);
    app.route("/point", async (was) => {
      const row = was.sqlite3("@file").execute("select * from items where id = ?", 77);
      return was.response.API(await row.oneOrThrow());
    });
    app.route("/slow", { args: { steps: 0 } }, async (was, { steps }) => {
      const count = was.sqlite3("@file").execute(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < ?) " +
          "select sum(i) total from n",
        steps,
      );
      return was.response.API(await count.oneOrThrow());
    });
  },
  http: () => {
    skitai.alias("@far", skitai.PROTO_HTTP, backend);
    app.route("/ten", async (was) => {
      const asked = Array.from({ length: 10 }, () => was.get<{ n: number }>("@far/"));
      let sum = 0;
      for (const one of asked) sum += (await one.dataOrThrow()).n;
      return was.response.API({ sum });
    });
    app.route("/memory", async (was) => {
      const { gc } = globalThis as unknown as { gc: () => void };
      gc();
      const before = process.memoryUsage().heapUsed;
      const options = { timeout: 60 };
      const asked = Array.from(
        { length: 10_000 },
        () => was.get<{ n: number }>("@far/", undefined, options),
      );
      await new Promise((resolve) => setTimeout(resolve, 20));
      gc();
      const each = (process.memoryUsage().heapUsed - before) / asked.length;
      let answered = 0;
      for (const one of asked) if ((await one).statusCode === 200) answered++;
      return was.response.API({ each, answered });
    });
  },
};
PAGES[Deno.args[0]!]!();

skitai.setServerHeader("off");
for (const path of ["/page", "/kept", "/one", "/get", "/point", "/slow", "/ten", "/memory"]) {
  skitai.logOff(path);
}
skitai.mount("/", app);
await skitai.run();
