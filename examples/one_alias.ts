/**
 * SQLite in development and PostgreSQL in production, with nothing changed but the alias.
 * `deno run -A examples/one_alias.ts`, or with a server:
 * `deno run -A examples/one_alias.ts ---production --database user:password@127.0.0.1:5432/shop`.
 */

import * as skitai from "@skitai/skitai";
import { Atila, REQUIRED } from "@skitai/skitai/atila";

const [options] = skitai.argopt("", ["database="]);
const { "--database": database = "127.0.0.1/shop" } = Object.fromEntries(options);

if (skitai.isDevel()) skitai.alias("@shop", skitai.DB_SQLITE3, ":memory:");
else skitai.alias("@shop", skitai.DB_PGSQL, database);

const app = new Atila(import.meta.url);

app.mounted((was) =>
  was.backend("@shop")
    .execute("create table if not exists items (name text primary key, price integer not null)")
    .wait()
);

app.route("/items", { methods: ["GET"], args: { most: 1000 } }, async (was, { most }) => {
  const items = was.backend("@shop")
    .execute("select name, price from items where price <= $1 order by price", [most]);
  return was.response.API({ items: await items.dataOrThrow() });
});

app.route("/items", {
  methods: ["POST"],
  args: { name: REQUIRED, price: REQUIRED },
}, async (was, { name, price }) => {
  const item = was.backend("@shop").execute(
    `insert into items (name, price) values ($1, $2)
     on conflict (name) do update set price = excluded.price returning name, price`,
    [name, price],
  );
  return was.response.API(await item.oneOrThrow());
});

skitai.mount("/", app);
await skitai.run();
