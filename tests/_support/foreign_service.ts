/**
 * A start script that mounts apps of other frameworks beside a directory.
 *
 * @module
 */

import { H3 } from "h3";
import { Hono } from "hono";
import { getConnInfo } from "hono/deno";
import { Application, Router } from "oak";
import * as skitai from "@skitai/skitai";
import { was } from "@skitai/skitai";

const hono = new Hono();
hono.get("/hono/hi/:name", (c) => c.text(`hono ${c.req.param("name")} ${c.req.query("q")}`));
hono.get("/hono/addr", (c) => c.json(getConnInfo(c).remote.address));
hono.post("/hono/echo", async (c) => c.json({ length: (await c.req.text()).length }));
hono.get("/hono/page", (c) => c.html("<p>hono</p>".repeat(500)));
hono.get("/hono/created", (c) => c.body("made", 201, { "x-made": "yes" }));
hono.get("/hono/later", (c) => {
  c.executionCtx.waitUntil(Promise.resolve());
  return c.text("later");
});
hono.get("/hono/stream", () => {
  const parts = ["one ", "two ", "three"];
  return new Response(
    new ReadableStream({
      pull(controller) {
        const part = parts.shift();
        if (part === undefined) controller.close();
        else controller.enqueue(new TextEncoder().encode(part));
      },
    }),
    { headers: { "content-type": "text/plain" } },
  );
});

const h3 = new H3({ silent: true });
h3.get("/h3/hi/:name", (event) => `h3 ${event.context.params?.name}`);
h3.get("/h3/json", () => ({ framework: "h3" }));
h3.post("/h3/echo", async (event) => ({ length: (await event.req.text()).length }));

const oak = new Application({ logErrors: false });
const router = new Router();
router.get("/oak/hi/:name", (context) => {
  context.response.body = `oak ${context.params.name}`;
});
router.post("/oak/echo", async (context) => {
  context.response.body = { length: (await context.request.body.text()).length };
});
oak.use(router.routes());

function plain(req: Request, info: { mountPoint: string }): Response | Promise<Response> {
  const { pathname } = new URL(req.url);
  if (pathname.endsWith("/throw")) throw new Error("secret of the app");
  if (pathname.endsWith("/reject")) return Promise.reject(new Error("secret of the app"));
  if (pathname.endsWith("/nothing")) return undefined as unknown as Response;
  return Response.json({ path: pathname, mountPoint: info.mountPoint, id: was.txnid() });
}

skitai.mount("/hono", hono);
skitai.mount("/h3", h3);
skitai.mount("/oak", oak, { pref: { maxClientBodySize: 100, config: {} } });
skitai.mount("/plain", plain);
skitai.mount("/cut", (req: Request) => new Response(new URL(req.url).pathname), {
  stripPrefix: true,
});
skitai.mount("/files", "../../examples/demo/static");
skitai.mount("/", () => new Response("another host"), { host: "other.example" });
await skitai.run();
