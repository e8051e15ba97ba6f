import assert from "node:assert/strict";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { openBrowser, watchPage } from "../_support/browser.ts";
import { freePort } from "../_support/free_port.ts";
import { ServiceProcess } from "../_support/service_process.ts";
import { isMissing } from "../_support/services.ts";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const BROWSER = { ignore: isMissing("chromium") };

/** `deno task demo`, as the README says it, on a port of its own. */
function startDemo(port: number, directory: string): ServiceProcess {
  return new ServiceProcess("demo", {
    command: ["task"],
    cwd: ROOT,
    env: { SKITAI_TEST_PORT: String(port), SKITAI_VAR: directory, NO_COLOR: "1" },
  });
}

/** Reads the rows, in the browser. */
const ROWS = `[...document.querySelectorAll(".row")].map((row) => {
  const [name, , took] = [...row.children].map((child) => child.textContent);
  const { left, right } = row.querySelector("b").getBoundingClientRect();
  return { name, ms: parseFloat(took), left, right };
})`;

/** Pixels by which the page is wider than its window, in the browser. */
const TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth";

/** A row of the waterfall as the page shows it: numbers in milliseconds and in pixels. */
interface Row {
  readonly name: string;
  readonly ms: number;
  readonly left: number;
  readonly right: number;
}

Deno.test(
  "WAS-24 TPL-12 the demo shows in Chromium that a page takes as long as its slowest backend",
  BROWSER,
  async (t) => {
    const directory = await Deno.makeTempDir();
    const port = freePort();
    await using demo = startDemo(port, directory);
    const { href } = new URL((await demo.line(/serving on http/)).split(" ").at(-1)!);
    assert.equal(href, `http://127.0.0.1:${port}/`);
    const browser = await openBrowser();
    try {
      const page = await browser.newPage({ viewport: { width: 1000, height: 720 } });
      const { complaints } = watchPage(page);

      await t.step("the start page leads to every mountain", async () => {
        await page.goto(href);
        assert.equal(await page.locator("h1").innerText(), "42 mountains");
        assert.equal(await page.locator(".grid li").count(), 42);
        await page.locator("a", { hasText: "Mont Blanc" }).click();
        await page.waitForURL(/\/peak\/\d+$/);
        assert.match(await page.locator("h1").innerText(), /^Mont Blanc \d{4} m$/);
        for (const fact of ["Daylight", "Pressure", "Oxygen", "In view", "Matterhorn"]) {
          assert.ok(await page.getByText(fact).first().isVisible(), fact);
        }
      });

      await t.step("the waterfall: a bar for each backend, and the page among them", async () => {
        const rows = await page.evaluate<Row[]>(ROWS);
        const [whole, sum] = rows.slice(-2) as [Row, Row];
        const backends = rows.slice(0, -2);
        assert.deepEqual(backends.map(({ name }) => name), [
          "SQLite: the peak",
          "SQLite: neighbours",
          "HTTP: sun",
          "HTTP: air",
          "HTTP: horizon",
        ]);
        assert.deepEqual([whole.name, sum.name], ["This page", "One after the other"]);
        for (const { name, ms, left, right } of rows) {
          assert.ok(ms > 0, `${name}: ${ms}`);
          assert.ok(right > left, `${name} has a bar`);
        }
        // The page's own account of itself: no clock of this test is involved.
        const total = backends.reduce((ms, row) => ms + row.ms, 0);
        assert.ok(Math.abs(total - sum.ms) < 1, `${total} is not ${sum.ms}`);
        const slowest = Math.max(...backends.map(({ ms }) => ms));
        assert.ok(whole.ms >= slowest, `${slowest} ${whole.ms}`);
        // All the services were on their way before the first of them had answered.
        const services = backends.filter(({ name }) => name.startsWith("HTTP"));
        const lastStart = Math.max(...services.map(({ left }) => left));
        assert.ok(lastStart < Math.min(...services.map(({ right }) => right)));
      });

      await t.step("nothing has to be scrolled sideways on a telephone", async () => {
        await page.setViewportSize({ width: 320, height: 640 });
        for (const path of ["peak/1", ""]) {
          await page.goto(href + path);
          assert.equal(await page.evaluate<number>(TOO_WIDE), 0, `/${path}`);
        }
      });

      await t.step("the Hono app beside it answers, and nobody complained", async () => {
        const answer = await page.request.get(`${href}api/peaks`);
        assert.equal((await answer.json()).length, 42);
        assert.deepEqual(complaints, []);
      });
    } finally {
      await browser.close();
      await Deno.remove(directory, { recursive: true });
    }
  },
);
