/**
 * A page that asks five slow backends at once, and says how long it took beside the slowest of them.
 *
 * @module
 */

import * as skitai from "../../mod.ts";

const DELAY_MS = 50;
const slow = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async () => {
  await new Promise((resolve) => setTimeout(resolve, DELAY_MS));
  return Response.json({ ok: true });
});
skitai.alias("@slow", skitai.PROTO_HTTP, `127.0.0.1:${slow.addr.port}`);

const app = new skitai.Atila(import.meta.url);
app.route("/", () => "ready");
app.route("/page", async (was) => {
  const began = performance.now();
  const requests = Array.from({ length: 5 }, () => was.get("@slow/"));
  for (const request of requests) await request.dataOrThrow();
  return was.response.API({ took: performance.now() - began, slowest: DELAY_MS });
});

skitai.logOff("/page");
skitai.mount("/", app);
await skitai.run();
