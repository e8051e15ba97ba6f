Deno.serve(
  { port: Number(Deno.env.get("PORT")), hostname: "127.0.0.1", onListen: () => {} },
  (req) => new Response(req.url.length > 3 ? "Hello, World!" : ""),
);
