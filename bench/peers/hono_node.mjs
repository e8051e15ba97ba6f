import { serve } from "@hono/node-server";
import { Hono } from "hono";
import process from "node:process";

const app = new Hono();
app.get("/episode/:id{[0-9]+}", (c) =>
  c.json({
    id: Number(c.req.param("id")),
    lang: c.req.query("lang") ?? "en",
    title: "The one",
  }));
serve({ fetch: app.fetch, port: Number(process.env.PORT), hostname: "127.0.0.1" });
