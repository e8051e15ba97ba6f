import * as skitai from "../../mod.ts";

const slow = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async () => {
  await new Promise((resolve) => setTimeout(resolve, 50));
  return Response.json({ ok: true });
});
skitai.alias("@slow", skitai.PROTO_HTTP, `127.0.0.1:${slow.addr.port}`);

const app = new skitai.Atila(import.meta.url);
app.route("/", () => "ready");
app.route("/page", async (was) => {
  const began = performance.now();
  let slowest = 0;
  const requests = Array.from({ length: 5 }, () => was.get("@slow/"));
  for (const request of requests) {
    await request.dataOrThrow();
    slowest = Math.max(slowest, 50);
  }
  return was.response.API({ took: performance.now() - began, slowest });
});

skitai.logOff("/page");
skitai.mount("/", app);
await skitai.run();
