import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { testClient } from "../../src/server/testing/mod.ts";
import { openBrowser, watchPage } from "../_support/browser.ts";
import { freePort } from "../_support/service_process.ts";
import { isMissing } from "../_support/services.ts";

const EXAMPLE = fileURLToPath(new URL("../../examples/api/", import.meta.url));
const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What a program prints. */
async function run(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--unstable-net", ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.equal(code, 0, decode(stderr));
  return decode(stdout);
}

Deno.test("OPS-18 the declarations of the example are those of its routes, and its client runs", async () => {
  await using client = await testClient(`${EXAMPLE}app.ts`, freePort(), {
    startTimeoutMs: 60_000,
  });
  assert.equal(
    await run("cli.ts", "client", `${EXAMPLE}app.ts`),
    await Deno.readTextFile(`${EXAMPLE}api.d.ts`),
    "deno run -A cli.ts client examples/api/app.ts > examples/api/api.d.ts",
  );
  assert.equal(
    await run(`${EXAMPLE}client.ts`, client.origin),
    "Kindred\nKindred: removed\n",
  );
});

Deno.test({
  name: "OPS-17 the page of the example in Chromium: read, try out, with and without a token",
  ignore: isMissing("chromium"),
  // The browser keeps its own connections.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using client = await testClient(`${EXAMPLE}app.ts`, freePort(), {
      startTimeoutMs: 60_000,
    });
    const browser = await openBrowser();
    try {
      const page = await browser.newPage();
      const { complaints } = watchPage(page);
      await page.goto(`${client.origin}/docs`);
      await page.locator("details").first().waitFor();
      assert.equal(await page.locator("h1").innerText(), "Books");
      assert.equal(await page.locator("details").count(), 4);

      const find = page.locator("details", { hasText: "Find books" });
      await find.locator("summary").click();
      assert.match(
        await find.locator("table").first().innerText(),
        /author\s+query\s+string\s+""\s+A part/,
      );
      await find.locator("input[name=author]").fill("Lem");
      await find.locator("button").click();
      await find.locator(".result", { hasText: "Solaris" }).waitFor();
      assert.deepEqual(complaints, []);

      const add = page.locator("details", { hasText: "Add a book" });
      await add.locator("summary").click();
      assert.match(await add.locator(".inside").innerText(), /Authentication: bearer/);
      await add.locator("textarea").fill(JSON.stringify({ title: "Emma", author: "Jane Austen" }));
      await add.locator("button").click();
      await add.locator(".result", { hasText: "401" }).waitFor();
      await page.locator("#authorization").fill("Bearer let-me-in");
      await add.locator("button").click();
      await add.locator(".result", { hasText: '"title": "Emma"' }).waitFor();
    } finally {
      await browser.close();
    }
  },
});
