Deno.serve(
  { port: Number(Deno.env.get("PORT")), hostname: "127.0.0.1", onListen: () => {} },
  (req) => Response.json({ id: 12, lang: req.url.slice(-2), title: "The one" }),
);
