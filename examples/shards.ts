/** One query on several databases at once: each has a part of the orders, the answers are put together. */

import * as skitai from "@skitai/skitai";
import { Atila } from "@skitai/skitai/atila";

// Three databases in memory; files and PostgreSQL servers are mapped in the same way.
const shards = ["a", "b", "c"].map((name) => `file:${name}?mode=memory`);
skitai.alias("@orders", skitai.DB_SQLITE3, shards);

const app = new Atila(import.meta.url);

app.mounted(async (was) => {
  await was.backend.map("@orders")
    .execute("create table orders (id integer primary key, customer text, amount integer)").wait();
});

// An order belongs to the database its number says.
app.route("/orders", {
  methods: ["POST"],
  args: { id: 0, customer: "", amount: 0 },
}, async (was, order) => {
  await was.sqlite3(shards[order.id % shards.length]!)
    .execute("insert into orders values (:id, :customer, :amount)", order).wait();
  return was.response("201 Created", was.response.API(order));
});

// All databases are asked at the same time; one that fails is missing, and the answer says so.
app.route("/orders", { methods: ["GET"], args: { customer: "" } }, async (was, { customer }) => {
  const results = [
    ...await was.backend.map("@orders")
      .execute("select * from orders where customer = ?", [customer]),
  ];
  const found = results.filter((result) => result.succeeded);
  const orders = found.flatMap((result) => result.data as { id: number }[]);
  orders.sort((a, b) => a.id - b.id);
  return was.response.API({ orders, missing: results.length - found.length });
});

skitai.mount("/", app);
await skitai.run();
