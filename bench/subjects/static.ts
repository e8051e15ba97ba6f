import * as skitai from "../../mod.ts";

skitai.logOff("/10");
skitai.mount("/", Deno.env.get("DIRECTORY")!);
await skitai.run();
