import Fastify from "fastify";
import postgres from "postgres";
import process from "node:process";

const sql = postgres(`postgres://${process.env.BACKEND}`);
const app = Fastify();
app.get("/", async () => {
  const [rows, count] = await Promise.all([
    sql`select * from items order by created_at desc limit 10`,
    sql`select count(*)::int n from items`,
  ]);
  return { rows, count: count[0].n };
});
await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
