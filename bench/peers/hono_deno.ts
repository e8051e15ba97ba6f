import { Hono } from "hono";

const app = new Hono();
app.get("/episode/:id{[0-9]+}", (c) =>
  c.json({
    id: Number(c.req.param("id")),
    lang: c.req.query("lang") ?? "en",
    title: "The one",
  }));
Deno.serve(
  { port: Number(Deno.env.get("PORT")), hostname: "127.0.0.1", onListen: () => {} },
  app.fetch,
);
