/** One question to every server of an alias, one of which is down: the page has what the others know. */

import * as skitai from "@skitai/skitai";
import { Atila } from "@skitai/skitai/atila";

interface Hit {
  readonly title: string;
  readonly score: number;
}

// Stands in for search servers that hold a part of the library each.
const shelves: Hit[][] = [
  [{ title: "The Sea", score: 3 }, { title: "Sea Birds", score: 9 }],
  [{ title: "By the Sea", score: 7 }],
];
const shards = shelves.map((shelf) =>
  Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (req) => {
    const wanted = new URL(req.url).searchParams.get("q")?.toLowerCase() ?? "";
    return Response.json(shelf.filter(({ title }) => title.toLowerCase().includes(wanted)));
  })
);
const members = shards.map(({ addr }) => `127.0.0.1:${addr.port}`);
skitai.alias("@library", skitai.PROTO_HTTP, [...members, "127.0.0.1:1"]);

const app = new Atila(import.meta.url);

app.route("/search", async (was) => {
  const results = await was.get.map<Hit[]>("@library/find", { q: String(was.request.args.q) });
  const hits = results.data.flatMap((some) => some ?? []).sort((a, b) => b.score - a.score);
  const missing = [...results].filter(({ status }) => status !== 3).length;
  return was.response.API({ hits, missing });
});

app.umounted(async () => {
  await Promise.all(shards.map((shard) => shard.shutdown()));
});
skitai.mount("/", app);
await skitai.run();
