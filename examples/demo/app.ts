/**
 * The demo: one script, a whole service. Run it with `deno task demo` and open http://127.0.0.1:5000/.
 *
 * Every page fires its requests first (an SQLite query, three slow HTTP services, a Hono app) and waits
 * for them in the template. The waterfall at its foot shows what each took and what the page took.
 */

import { Hono } from "hono";
import * as skitai from "@skitai/skitai";
import { Atila } from "@skitai/skitai/atila";
import { airService, horizonService, type SlowService, sunService } from "./services.ts";

const app = new Atila(import.meta.url);
let sun: SlowService;
let air: SlowService;
let horizon: SlowService;

app.beforeMount(() => {
  sun = sunService();
  air = airService();
  horizon = horizonService();
});

app.umounted(async () => {
  await Promise.all([sun, air, horizon].map((service) => service[Symbol.asyncDispose]()));
});

app.route("/", { name: "index" }, (was) => {
  was.g.peaks = was.sqlite3("@peaks").execute(
    "select id, name, range, country, height_m from peaks order by height_m desc",
  );
  return was.render("index.html");
});

app.route("/peak/<int:id>", { name: "peak" }, async (was, { id }) => {
  const timeline = new Timeline();
  const rows = timeline.add(
    "SQLite: the peak",
    was.sqlite3("@peaks").execute("select * from peaks where id = ?", [id]),
  );
  const peak = await rows.oneOrThrow("404 Not Found") as Peak;

  // Requested early: all of these are on their way before the first of them is needed.
  was.g.neighbours = timeline.add(
    "SQLite: neighbours",
    was.sqlite3("@peaks").execute(
      `select id, name, height_m,
              (latitude - ?1) * (latitude - ?1) + (longitude - ?2) * (longitude - ?2) * ?3 as degrees2
         from peaks where id <> ?4 order by degrees2 limit 4`,
      [peak.latitude, peak.longitude, Math.cos(peak.latitude * Math.PI / 180) ** 2, id],
    ),
  );
  was.g.sun = timeline.add("HTTP: sun", was.get(`${sun.url}/?latitude=${peak.latitude}`));
  was.g.air = timeline.add("HTTP: air", was.get(`${air.url}/?height=${peak.height_m}`));
  was.g.horizon = timeline.add("HTTP: horizon", was.get(`${horizon.url}/?height=${peak.height_m}`));

  // Used late: the template is the place that waits.
  return was.render("peak.html", { peak, timeline });
});

/** A row of the table. */
interface Peak {
  readonly id: number;
  readonly name: string;
  readonly height_m: number;
  readonly latitude: number;
  readonly longitude: number;
}

/** When each request of a page started and ended, for the waterfall. */
class Timeline {
  #start = performance.now();
  #bars: { name: string; from: number; to: number }[] = [];

  /** Watches a future without waiting for it. */
  add<F extends PromiseLike<unknown>>(name: string, future: F): F {
    const bar = { name, from: performance.now() - this.#start, to: NaN };
    this.#bars.push(bar);
    future.then(() => bar.to = performance.now() - this.#start);
    return future;
  }

  /** What was seen so far; percentages are of the page's time. */
  summary(): { bars: unknown[]; page: string; sum: string } {
    const page = performance.now() - this.#start;
    const bars = this.#bars.map(({ name, from, to }) => ({
      name,
      took: `${(to - from).toFixed(1)} ms`,
      left: `${(from / page * 100).toFixed(2)}%`,
      width: `${Math.max(0.4, (to - from) / page * 100).toFixed(2)}%`,
    }));
    const sum = this.#bars.reduce((total, { from, to }) => total + to - from, 0);
    return { bars, page: `${page.toFixed(1)} ms`, sum: `${sum.toFixed(1)} ms` };
  }
}

// An app of another framework, beside the others. The imported `was` belongs to the running request.
const api = new Hono().basePath("/api");

api.get("/peaks", async (c) => {
  const peaks = skitai.was.sqlite3("@peaks").execute("select * from peaks order by name");
  return c.json(await peaks.dataOrThrow() as Record<string, unknown>[]);
});

skitai.alias("@peaks", skitai.DB_SQLITE3, skitai.abspath("resources/peaks.sqlite3"));
skitai.mount("/", app);
skitai.mount("/static", "static");
skitai.mount("/api", api);

if (import.meta.main) await skitai.run({ name: "demo" });
