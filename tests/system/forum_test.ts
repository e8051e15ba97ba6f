import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { BrowserContext, Page } from "playwright-core";
import { testClient } from "../../src/server/testing/mod.ts";
import { openBrowser, watchPage } from "../_support/browser.ts";
import { freePort } from "../_support/service_process.ts";
import { isMissing } from "../_support/services.ts";

const SCRIPT = new URL("../../examples/forum/app.ts", import.meta.url);
const PASSWORD = "correct horse";
/** One red pixel. */
const PNG = Uint8Array.fromBase64(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==",
);

/** Somebody with a browser profile of their own. */
class Visitor {
  readonly complaints: readonly string[];
  private constructor(readonly page: Page, readonly origin: string) {
    this.complaints = watchPage(page).complaints;
  }

  static async open(context: BrowserContext, origin: string): Promise<Visitor> {
    return new Visitor(await context.newPage(), origin);
  }

  async enter(title: "Join" | "Log in", name: string, password = PASSWORD): Promise<void> {
    await this.page.goto(`${this.origin}/login`);
    const button = this.page.getByRole("button", { name: title });
    const form = this.page.locator("form.write", { has: button });
    await form.getByLabel("Name").fill(name);
    await form.getByLabel("Password").fill(password);
    await button.click();
    await this.page.waitForLoadState();
  }

  message(): Promise<string> {
    return this.page.getByRole("status").innerText();
  }

  text(selector: string): Promise<string> {
    return this.page.locator(selector).first().innerText();
  }
}

Deno.test("SES-01 MBX-01 TOK-02 TOK-03 UPL-02 AUTH-12 two people write in the forum, in Chromium", {
  ignore: isMissing("chromium"),
}, async (t) => {
  await using client = await testClient(SCRIPT, freePort(), { startTimeoutMs: 60_000 });
  const { origin } = client;
  const browser = await openBrowser();
  try {
    const ann = await Visitor.open(await browser.newContext(), origin);
    const ben = await Visitor.open(await browser.newContext(), origin);

    await t.step("SES-01 MBX-01 whoever joins is logged in and greeted once", async () => {
      await ann.enter("Join", "ann");
      assert.equal(await ann.message(), "Welcome, ann");
      assert.match(await ann.text("header"), /ann\s+Log out/);
      await ann.page.reload();
      assert.equal(await ann.page.getByRole("status").count(), 0);
      await ben.page.goto(origin);
      assert.match(await ben.text("header"), /Log in or join/);
    });

    await t.step("UPL-02 a topic with a picture; what somebody writes stays text", async () => {
      const { page } = ann;
      await page.getByLabel("Title").fill("Alps & <b>more</b>");
      await page.getByLabel("Text").fill("<script>document.title = 'taken'</script>\nsecond line");
      await page.getByLabel("Picture").setInputFiles({
        name: "../../p.png",
        mimeType: "image/png",
        buffer: Buffer.from(PNG),
      });
      await page.getByRole("button", { name: "Open" }).click();
      await page.waitForURL(/\/topic\/1$/);
      assert.equal(await ann.message(), "Your topic is open");
      assert.equal(await ann.text("h1"), "Alps & <b>more</b>");
      assert.equal(await page.title(), "Alps & <b>more</b>");
      assert.match(await ann.text("article p"), /^<script>/);
      const picture = page.locator("article img");
      await picture.waitFor();
      assert.equal(
        await picture.evaluate((image: { naturalWidth: number }) => image.naturalWidth),
        1,
      );
      assert.deepEqual(ann.complaints, []);
    });

    await t.step("AUTH-12 who is not logged in reads and is asked to log in to write", async () => {
      await ben.page.goto(`${origin}/topic/1`);
      assert.equal(await ben.page.locator("form.write").count(), 0);
      await ben.enter("Log in", "ben");
      assert.equal(await ben.message(), "Wrong name or password");
      await ben.enter("Join", "ann");
      assert.equal(await ben.message(), "That name is taken");
      await ben.enter("Join", "ben");
      assert.equal(await ben.message(), "Welcome, ben");
      await ben.page.goto(`${origin}/topic/1`);
      await ben.page.getByLabel("Text").fill("I agree");
      await ben.page.getByRole("button", { name: "Send" }).click();
      await ben.page.waitForLoadState();
      assert.equal(await ben.message(), "Thank you for your answer");
      assert.equal(await ben.page.locator("article").count(), 2);
      await ben.page.goto(origin);
      assert.match(await ben.text(".topics li"), /ann, 2 posts/);
      assert.deepEqual(ben.complaints, []);
    });

    await t.step("TOK-03 a form of somebody else changes nothing", async () => {
      const { request } = ben.page;
      const forged = await request.post(`${origin}/topic/1/posts`, { form: { text: "forged" } });
      assert.equal(forged.status(), 403);
      await ben.page.goto(`${origin}/topic/1`);
      assert.equal(await ben.page.locator("article").count(), 2);
    });

    await t.step("UPL-02 a page that calls itself a picture is refused and not kept", async () => {
      await ben.page.getByLabel("Text").fill("a picture");
      await ben.page.getByLabel("Picture").setInputFiles({
        name: "x.png",
        mimeType: "image/png",
        buffer: Buffer.from("<script>1</script>"),
      });
      await ben.page.getByRole("button", { name: "Send" }).click();
      await ben.page.waitForLoadState();
      assert.match(await ben.text("body"), /Not a picture/);
      await ben.page.goto(`${origin}/topic/1`);
      assert.equal(await ben.page.locator("article").count(), 2);
    });

    await t.step("SES-01 who logs out is out, and back with the right password only", async () => {
      await ann.page.goto(origin);
      await ann.page.getByRole("button", { name: "Log out" }).click();
      await ann.page.waitForLoadState();
      assert.equal(await ann.message(), "Good bye");
      assert.match(await ann.text("header"), /Log in or join/);
      await ann.enter("Log in", "ann", "wrong horse");
      assert.equal(await ann.message(), "Wrong name or password");
      await ann.enter("Log in", "ann");
      assert.equal(await ann.message(), "Welcome, ann");
      assert.deepEqual(ann.complaints, []);
    });
  } finally {
    await browser.close();
  }
  await client.stop();
  assert.doesNotMatch(client.output(), /\[(error|expt|fatal)/, client.output());
});
