/** Request early, use late: five services are asked at once, the page costs as much as the slowest. */

import * as skitai from "@skitai/skitai";
import { Atila } from "@skitai/skitai/atila";

// Stands in for five services of yours.
const slow = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (req) => {
  const ms = Number(new URL(req.url).searchParams.get("ms"));
  await new Promise((resolve) => setTimeout(resolve, ms));
  return Response.json(ms);
});
skitai.alias("@slow", skitai.PROTO_HTTP, `127.0.0.1:${slow.addr.port}`);

const app = new Atila(import.meta.url);

app.route("/", async (was) => {
  const started = performance.now();
  const requests = [10, 20, 30, 40, 50].map((ms) => was.get<number>("@slow/", { ms }));
  // All of them are on their way; waiting for the first is waiting for the others, too.
  const waited = [];
  for (const request of requests) waited.push(await request.dataOrThrow());
  return was.response.API({ waited, took: Math.round(performance.now() - started) });
});

app.umounted(() => slow.shutdown());
skitai.mount("/", app);
await skitai.run();
