/**
 * The demo: one script, a whole service. Run it with `deno task demo` and open http://127.0.0.1:5000/.
 *
 * A page fires its requests first, at an SQLite file and at three slow HTTP services, and waits for
 * them in its template. The waterfall shows what each of them took and what the page took.
 */

import { Hono } from "hono";
import * as skitai from "@skitai/skitai";
import { Atila } from "@skitai/skitai/atila";
import { airService, horizonService, type SlowService, sunService } from "./services.ts";
import { Timeline } from "./timeline.ts";

/** A row of the table. */
interface Peak {
  readonly id: number;
  readonly name: string;
  readonly height_m: number;
  readonly latitude: number;
  readonly longitude: number;
}

const app = new Atila(import.meta.url);
let services: SlowService[] = [];

app.beforeMount(() => {
  services = [sunService(), airService(), horizonService()];
});

app.umounted(async () => {
  await Promise.all(services.map((service) => service[Symbol.asyncDispose]()));
});

app.route("/", { name: "index" }, (was) => {
  was.g.peaks = was.sqlite3("@peaks").execute(
    "select id, name, range, country, height_m from peaks order by height_m desc",
  );
  return was.render("index.html");
});

app.route("/peak/<int:id>", { name: "peak" }, async (was, { id }) => {
  const timeline = new Timeline();
  const db = was.sqlite3("@peaks");
  const peak = await timeline
    .add("sqlite", "SQLite: the peak", db.execute("select * from peaks where id = ?", [id]))
    .oneOrThrow("404 Not Found") as Peak;
  const { latitude, longitude, height_m } = peak;
  const [sun, air, horizon] = services.map(({ url }) => url);

  // Requested early: all of these are on their way before the first of them is needed.
  was.g.near = timeline.add(
    "sqlite",
    "SQLite: neighbours",
    db.execute(
      `select id, name, height_m,
              (latitude - ?1) * (latitude - ?1) + (longitude - ?2) * (longitude - ?2) * ?3 as degrees2
         from peaks where id <> ?4 order by degrees2 limit 4`,
      [latitude, longitude, Math.cos(latitude * Math.PI / 180) ** 2, id],
    ),
  );
  was.g.sun = timeline.add("http", "HTTP: sun", was.get(`${sun}/?latitude=${latitude}`));
  was.g.air = timeline.add("http", "HTTP: air", was.get(`${air}/?height=${height_m}`));
  was.g.horizon = timeline.add("http", "HTTP: horizon", was.get(`${horizon}/?height=${height_m}`));

  // Used late: the template is the place that waits.
  return was.render("peak.html", { peak, timeline });
});

// An app of another framework beside it. The imported `was` belongs to the running request.
const api = new Hono().basePath("/api");

api.get("/peaks", async (c) => {
  const peaks = skitai.was.sqlite3("@peaks").execute("select * from peaks order by name");
  return c.json(await peaks.dataOrThrow() as Record<string, unknown>[]);
});

skitai.alias("@peaks", skitai.DB_SQLITE3, skitai.abspath("resources/peaks.sqlite3"));
skitai.mount("/", app);
skitai.mount("/api", api);
skitai.mount("/static", "static");
await skitai.run({ name: "demo" });
