/**
 * The pages of `subjects/asking.ts` with the drivers used bare in `Deno.serve`, or in Hono.
 *
 * @module
 */

const backend = Deno.env.get("BACKEND")!;
type Page = () => Promise<unknown>;

const PAGES: Readonly<Record<string, () => Promise<Page>>> = {
  page: async () => {
    const sql = (await import("postgres")).default(`postgres://${backend}`);
    return async () => {
      const [rows, count] = await Promise.all([
        sql`select * from items order by created_at desc limit 10`,
        sql`select count(*)::int n from items`,
      ]);
      return { rows, count: count[0]!.n };
    };
  },
  one: async () => {
    const sql = (await import("postgres")).default(`postgres://${backend}`);
    return async () => (await sql`select 1 one`)[0];
  },
  get: async () => {
    const { Redis } = await import("ioredis");
    const redis = new Redis(`redis://${backend}`);
    return async () => ({ value: await redis.get("greeting") });
  },
  point: async () => {
    const { DatabaseSync } = await import("node:sqlite");
    const statement = new DatabaseSync(backend).prepare("select * from items where id = ?");
    return () => Promise.resolve(statement.get(77));
  },
  fetch: () =>
    Promise.resolve(async () => {
      const ask = async () => (await (await fetch(`http://${backend}/`)).json()).n as number;
      const all = await Promise.all(Array.from({ length: 10 }, ask));
      return { sum: all.reduce((a, b) => a + b) };
    }),
  undici: async () => {
    const { request } = await import("undici");
    const ask = async () => {
      const { body } = await request(`http://${backend}/`);
      return (await body.json() as { n: number }).n;
    };
    return async () => {
      const all = await Promise.all(Array.from({ length: 10 }, ask));
      return { sum: all.reduce((a, b) => a + b) };
    };
  },
};

const page = await PAGES[Deno.args[0]!]!();
let serve: (request: Request) => Response | Promise<Response> = async () =>
  Response.json(await page());
if (Deno.args.includes("--hono")) {
  const { Hono } = await import("hono");
  const app = new Hono();
  app.get("*", async (c) => c.json(await page() as Record<string, unknown>));
  serve = app.fetch;
}
Deno.serve(
  { port: Number(Deno.env.get("PORT")), hostname: "127.0.0.1", onListen: () => {} },
  serve,
);
