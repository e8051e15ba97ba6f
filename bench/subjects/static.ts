import * as skitai from "../../mod.ts";

skitai.logOff("/file");
skitai.mount("/", Deno.env.get("DIRECTORY")!);
await skitai.run();
