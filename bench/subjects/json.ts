import * as skitai from "../../mod.ts";

const app = new skitai.Atila(import.meta.url);
app.route(
  "/episode/<int:id>",
  { args: { lang: "en" } },
  (was, { id, lang }) => was.response.API({ id, lang, title: "The one" }),
);

// As the servers it is compared with, which send none.
if (Deno.args.includes("--no-server-header")) skitai.setServerHeader("off");
if (Deno.args.includes("--log")) skitai.enableFileLogging(await Deno.makeTempDir());
else skitai.logOff("/episode/");
skitai.mount("/", app);
await skitai.run({ front: Deno.args.includes("--edge") ? "edge" : "fast" });
