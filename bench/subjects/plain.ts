import * as skitai from "../../mod.ts";

// As the servers it is compared with, which send none.
if (Deno.args.includes("--no-server-header")) skitai.setServerHeader("off");
if (Deno.args.includes("--log")) skitai.enableFileLogging(await Deno.makeTempDir());
else skitai.logOff("/hello");
skitai.mount("/", (req: Request) => new Response(req.url.length > 3 ? "Hello, World!" : ""));
await skitai.run();
