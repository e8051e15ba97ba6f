/**
 * Takes the picture of the demo that the README shows: starts `examples/demo/app.ts` on a free port,
 * opens a page in headless Chromium, and writes `docs/demo.png`.
 *
 * Needs Debian's `chromium`. Run with `deno run -A scripts/demo_screenshot.ts`.
 *
 * @module
 */

import { chromium } from "playwright-core";
import { testClient } from "@skitai/skitai/testing";

const root = new URL("../", import.meta.url).pathname;
const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
const port = (probe.addr as Deno.NetAddr).port;
probe.close();

await using client = await testClient(`${root}examples/demo/app.ts`, port);
// What is done once, such as loading the template engine, is not what the picture is about.
for (let i = 0; i < 5; i++) await client.get("/peak/1");

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"],
});
try {
  const page = await browser.newPage({
    viewport: { width: 1000, height: 720 },
    deviceScaleFactor: 2,
  });
  await page.goto(`http://127.0.0.1:${port}/peak/1`);
  await page.screenshot({ path: `${root}docs/demo.png` });
} finally {
  await browser.close();
}
