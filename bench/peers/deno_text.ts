// What the runtime can do at most: one text that is ready, of so many bytes, as the answer to everything.
const text = Array.from(
  { length: Number(Deno.args[0]) },
  (_, i) => String.fromCharCode(97 + i % 26),
)
  .join("");
const init = { headers: { "content-type": "text/plain" } };
Deno.serve(
  { port: Number(Deno.env.get("PORT")), hostname: "127.0.0.1", onListen: () => {} },
  () => new Response(text, init),
);
