import * as skitai from "../../mod.ts";

if (Deno.args.includes("--log")) skitai.enableFileLogging(await Deno.makeTempDir());
else skitai.logOff("/hello");
skitai.mount("/", (req: Request) => new Response(req.url.length > 3 ? "Hello, World!" : ""));
await skitai.run();
