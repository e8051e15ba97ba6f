import assert from "node:assert/strict";
import { testClient } from "../../src/server/testing/mod.ts";
import { openBrowser, watchPage } from "../_support/browser.ts";
import { freePort } from "../_support/free_port.ts";
import { isMissing } from "../_support/services.ts";

const SCRIPT = new URL("../../examples/json_api.ts", import.meta.url);

Deno.test("OPS-17 the JSON API of the examples is browsed and tried out in Chromium", {
  ignore: isMissing("chromium"),
}, async () => {
  await using client = await testClient(SCRIPT, freePort(), { startTimeoutMs: 60_000 });
  const browser = await openBrowser();
  try {
    const page = await browser.newPage();
    const { complaints } = watchPage(page);
    await page.goto(`${client.origin}/apis/docs`);
    const operation = (name: string) => page.locator("details", { hasText: name });
    await operation("Find pets").waitFor();
    assert.equal(await page.locator("h1").innerText(), "Pets");
    assert.equal(await page.locator("details").count(), 3);

    const add = operation("Add a pet");
    await add.locator("summary").click();
    await add.locator("textarea").fill(JSON.stringify({ name: "Tom", kind: "cat" }));
    await add.locator("button").click();
    await add.locator(".result", { hasText: "201" }).waitFor();
    assert.match(await add.locator(".result").innerText(), /"id": 2/);

    const one = operation("One pet");
    await one.locator("summary").click();
    await one.locator("input[name=id]").fill("2");
    await one.locator("button").click();
    await one.locator(".result", { hasText: "Tom" }).waitFor();
    assert.deepEqual(complaints, []);

    // What the validator refuses is shown with its reason.
    await add.locator("textarea").fill(JSON.stringify({ name: "Kim", kind: "cow" }));
    await add.locator("button").click();
    await add.locator(".result", { hasText: "400" }).waitFor();
    assert.match(await add.locator(".result").innerText(), /kind/);
  } finally {
    await browser.close();
  }
});
