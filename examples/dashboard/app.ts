/**
 * A page from PostgreSQL, Redis and an HTTP service at once; its template is the place that waits.
 * `deno run -A examples/dashboard/app.ts --database user:password@127.0.0.1:5432/shop
 * --redis 127.0.0.1:6379`
 */

import * as skitai from "@skitai/skitai";
import { Atila } from "@skitai/skitai/atila";

const [options] = skitai.argopt("", ["database=", "redis=", "rates="]);
const given = Object.fromEntries(options);

skitai.alias("@shop", skitai.DB_PGSQL, given["--database"] ?? "127.0.0.1/shop");
skitai.alias("@counts", skitai.DB_REDIS, given["--redis"] ?? "127.0.0.1");
skitai.alias("@rates", skitai.PROTO_HTTP, given["--rates"] ?? "127.0.0.1:8080");

const app = new Atila(import.meta.url);

app.mounted((was) =>
  was.postgresql("@shop").execute(`
    create table if not exists orders (
      id integer primary key generated always as identity, customer text not null, total integer not null
    )`).wait()
);

const SUM = "select count(*)::int as orders, coalesce(sum(total), 0)::int as total from orders";

app.route("/", { methods: ["GET"] }, (was) => {
  const shop = was.postgresql("@shop");
  was.g.orders = shop.execute("select * from orders order by id desc limit 10");
  was.g.sum = shop.execute(SUM);
  was.g.visits = was.redis("@counts").incr("visits");
  // The page can do without the rates, but not without the rest.
  was.g.rates = was.get("@rates/latest", undefined, { timeout: 1 });
  return was.render("dashboard.html");
});

const INSERT = "insert into orders (customer, total) values (:customer, :total) returning *";

app.route("/orders", {
  methods: ["POST"],
  args: { customer: "", total: 0 },
}, async (was, order) => {
  const made = was.postgresql("@shop").execute(INSERT, order);
  return was.response("201 Created", was.response.API(await made.oneOrThrow()));
});

skitai.mount("/", app);
await skitai.run();
