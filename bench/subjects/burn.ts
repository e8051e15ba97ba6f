import * as skitai from "../../mod.ts";

skitai.mount("/", () => {
  const end = performance.now() + 2;
  while (performance.now() < end);
  return new Response("burnt");
});
const workers = Number(/--workers=(\d+)/.exec(Deno.args.join(" "))?.[1] ?? 1);
await skitai.run({ workers });
