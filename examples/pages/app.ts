/** Templates, links by name, hooks and an error page. `deno run -A examples/pages/app.ts`. */

import * as skitai from "@skitai/skitai";
import { Atila } from "@skitai/skitai/atila";

const app = new Atila(import.meta.url);

// Before every page; its template finds it as `was.g.today`.
app.beforeRequest((was) => {
  was.g.today = new Date().toISOString().slice(0, 10);
});

// The ending chooses the engine: nunjucks for .html, Vento for .vto.
app.route("/", { name: "index" }, (was) => {
  return was.render("index.html", { cities: ["Seoul", "Oslo", "Lima"] });
});
app.route("/city/<name>", { name: "city" }, (was, { name }) => was.render("city.vto", { name }));

app.errorHandler(404, (was, error) => was.render("missing.html", { error }));

skitai.mount("/", app);
skitai.mount("/", "static");
await skitai.run();
