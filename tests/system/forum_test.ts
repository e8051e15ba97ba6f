import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { BrowserContext, Page } from "playwright-core";
import { testClient } from "../../src/server/testing/mod.ts";
import { openBrowser, watchPage } from "../_support/browser.ts";
import { freePort } from "../_support/free_port.ts";
import { isMissing } from "../_support/services.ts";

const SCRIPT = new URL("../../examples/forum/app.ts", import.meta.url);
const PASSWORD = "correct horse";
/** One red pixel. */
const PNG = Uint8Array.fromBase64(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==",
);

/** Pixels by which the page is wider than its window, in the browser. */
const TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth";

/** Somebody with a browser profile of their own. */
class Visitor {
  #complaints: readonly string[];
  #expected = 0;

  private constructor(readonly page: Page, readonly origin: string) {
    this.#complaints = watchPage(page).complaints;
  }

  static async open(context: BrowserContext, origin: string): Promise<Visitor> {
    return new Visitor(await context.newPage(), origin);
  }

  /** What the browser has complained about since it was asked last. */
  complaints(): string {
    const text = this.#complaints.slice(this.#expected).join("\n");
    this.#expected = this.#complaints.length;
    return text;
  }

  async go(path: string): Promise<void> {
    await this.page.goto(this.origin + path);
  }

  async press(name: string): Promise<void> {
    // The form goes away when its answer is here.
    const answered = this.page.waitForEvent("domcontentloaded");
    await this.page.getByRole("button", { name, exact: true }).click();
    await answered;
  }

  async enter(title: "Join" | "Log in", name: string, password = PASSWORD): Promise<void> {
    await this.go("/signin");
    const button = this.page.getByRole("button", { name: title });
    const form = this.page.locator("form.write", { has: button });
    await form.getByLabel("Name").fill(name);
    await form.getByLabel("Password").fill(password);
    await this.press(title);
  }

  async attach(name: string, bytes: Uint8Array): Promise<void> {
    const file = { name, mimeType: "image/png", buffer: Buffer.from(bytes) };
    await this.page.getByLabel("Picture").setInputFiles(file);
  }

  /** The token of the forms on the page. */
  token(): Promise<string> {
    return this.page.locator("input[name=_csrf_token]").first().inputValue();
  }

  /** Sends a form that is on no page, with the cookies of the browser. */
  async post(path: string, form: Record<string, string>): Promise<number> {
    const answer = await this.page.request.post(this.origin + path, { form, maxRedirects: 0 });
    return answer.status();
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
  const data = await Deno.makeTempDir();
  const options = { startTimeoutMs: 60_000, args: ["--data", data] };
  const port = freePort();
  const client = await testClient(SCRIPT, port, options);
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
      await ben.go("/");
      assert.match(await ben.text("header"), /Log in or join/);
    });

    await t.step("UPL-02 a topic with a picture; what somebody writes stays text", async () => {
      const { page } = ann;
      await page.getByLabel("Title").fill("Alps & <b>more</b>");
      await page.getByLabel("Text").fill("<script>document.title = 'taken'</script>\nsecond line");
      await ann.attach("../../p.png", PNG);
      await ann.press("Open");
      assert.equal(new URL(page.url()).pathname, "/topic/1");
      assert.equal(await ann.message(), "Your topic is open");
      assert.equal(await ann.text("h1"), "Alps & <b>more</b>");
      assert.equal(await page.title(), "Alps & <b>more</b>");
      assert.match(await ann.text("article p"), /^<script>/);
      const picture = page.locator("article img");
      await picture.waitFor();
      const width = await picture.evaluate((image: { naturalWidth: number }) => image.naturalWidth);
      assert.equal(width, 1);
      const served = await page.request.get(origin + await picture.getAttribute("src"));
      assert.equal(served.headers()["content-type"], "image/png");
      assert.equal(served.headers()["x-content-type-options"], "nosniff");
      assert.match(served.headers()["content-security-policy"]!, /default-src 'none'/);
      assert.equal(ann.complaints(), "");
    });

    await t.step("AUTH-12 who is not logged in reads and is asked to log in to write", async () => {
      await ben.go("/topic/1");
      assert.equal(await ben.page.locator("form.write").count(), 0);
      await ben.go("/post/1");
      assert.equal(new URL(ben.page.url()).pathname, "/signin");
      assert.equal(ben.complaints(), "");
      await ben.enter("Log in", "ben");
      assert.equal(await ben.message(), "Wrong name or password");
      assert.match(ben.complaints(), /^(console: .* 401 .*\n?|401: \S+\n?)+$/);
      await ben.enter("Join", "ANN");
      assert.equal(await ben.message(), "That name is taken");
      await ben.enter("Join", "ben");
      assert.equal(await ben.message(), "Welcome, ben");
      await ben.go("/topic/1");
      await ben.page.getByLabel("Text").fill("I agree");
      await ben.press("Send");
      assert.equal(await ben.message(), "Thank you for your answer");
      assert.match(ben.page.url(), /#post-2$/);
      assert.equal(await ben.page.locator("article").count(), 2);
      await ben.go("/");
      assert.match(await ben.text(".topics li"), /ann, 2 posts, \d+ \w+ \d{4},? \d\d:\d\d UTC$/);
      assert.equal(ben.complaints(), "");
    });

    await t.step(
      "TOK-03 a form without the token, or with that of another, is refused",
      async () => {
        await ann.go("/topic/1");
        const foreign = await ann.token();
        assert.equal(await ben.post("/topic/1/posts", { text: "forged" }), 403);
        const stolen = { text: "forged", _csrf_token: foreign };
        assert.equal(await ben.post("/topic/1/posts", stolen), 403);
        await ben.go("/topic/1");
        assert.equal(await ben.page.locator("article").count(), 2);
        const own = { text: "not forged", _csrf_token: await ben.token() };
        assert.equal(await ben.post("/topic/1/posts", own), 303);
      },
    );

    await t.step("UPL-02 what is no picture or too large is refused and not kept", async () => {
      const page = new TextEncoder().encode("<script>1</script>");
      const large = new Uint8Array(2_500_000);
      large.set(PNG);
      for (const [bytes, reason] of [[page, "Not a picture"], [large, "larger than"]] as const) {
        await ben.go("/topic/1");
        await ben.page.getByLabel("Text").fill("a picture");
        await ben.attach("x.png", bytes);
        await ben.press("Send");
        assert.match(await ben.text("main"), new RegExp(reason));
        assert.match(await ben.text("header"), /ben\s+Log out/);
      }
      assert.match(ben.complaints(), /^(console: .* 41[35] .*\n?|41[35]: \S+\n?)+$/);
      await ben.go("/topic/1");
      assert.equal(await ben.page.locator("article").count(), 3);
      const kept = [...Deno.readDirSync(data)].map(({ name }) => name);
      assert.deepEqual(kept.filter((name) => name.startsWith("skitai-upload-")), []);
      assert.equal([...Deno.readDirSync(`${data}/pictures`)].length, 1);
    });

    await t.step("AUTH-12 nobody changes or deletes what another has written", async () => {
      await ben.go("/topic/1");
      const mine = await ben.page.getByRole("link", { name: "Change" }).all();
      assert.equal(mine.length, 2);
      const _csrf_token = await ben.token();
      await ben.go("/post/1");
      assert.equal(await ben.text("h1"), "403 Forbidden");
      assert.match(await ben.text("main"), /not your post/);
      assert.equal(await ben.post("/post/1", { text: "taken over", _csrf_token }), 403);
      assert.equal(await ben.post("/post/1/delete", { _csrf_token }), 403);
      await ben.go("/topic/1");
      assert.match(await ben.text("article p"), /^<script>/);

      await ben.page.getByRole("link", { name: "Change" }).first().click();
      await ben.page.getByLabel("Text").fill("</textarea><b>I agree</b> twice");
      await ben.press("Save");
      assert.equal(await ben.message(), "Your post is changed");
      assert.equal(await ben.text("#post-2 p"), "</textarea><b>I agree</b> twice");
      assert.match(await ben.text("#post-2 h2"), /changed/);
      await ben.go("/post/2");
      const text = ben.page.getByLabel("Text");
      assert.equal(await text.inputValue(), "</textarea><b>I agree</b> twice");
      await ben.press("Delete this post");
      assert.equal(await ben.message(), "Your post is deleted");
      await ben.go("/topic/1");
      assert.equal(await ben.page.locator("article").count(), 2);
      ben.complaints();
    });

    await t.step("URL-07 long lists have pages", async () => {
      await ben.go("/");
      const _csrf_token = await ben.token();
      for (let i = 2; i <= 12; i++) {
        const form = { title: `Topic ${i}`, text: "x".repeat(300), _csrf_token };
        assert.equal(await ben.post("/topics", form), 303);
      }
      for (let i = 0; i < 10; i++) {
        const form = { text: `Answer ${i}`, _csrf_token };
        assert.equal(await ben.post("/topic/2/posts", form), 303);
      }
      await ben.go("/");
      assert.equal(await ben.page.locator(".topics li").count(), 10);
      assert.match(await ben.text(".topics li"), /^Topic 2 .*11 posts/, "the latest answer");
      await ben.page.getByRole("link", { name: "Next" }).click();
      await ben.page.waitForURL(/page=2$/);
      assert.equal(await ben.page.locator(".topics li").count(), 2);
      assert.equal(await ben.text(".pages"), "Back\nPage 2 of 2");
      await ben.page.getByRole("link", { name: "Back" }).click();
      await ben.page.waitForURL(/page=1$/);
      await ben.go("/topic/2");
      await ben.page.getByLabel("Text").fill("The last word");
      await ben.press("Send");
      assert.match(ben.page.url(), /\/topic\/2\?page=2#post-\d+$/);
      assert.equal(await ben.page.locator("article").count(), 2);
      assert.equal(ben.complaints(), "");
      await ben.go("/?page=0");
      assert.equal(await ben.text("h1"), "404 Not Found");
      await ben.go("/topic/99");
      assert.equal(await ben.text("h1"), "404 Not Found");
      await ben.go("/?page=x");
      assert.equal(await ben.text("h1"), "400 Bad Request");
      ben.complaints();
    });

    await t.step("SES-01 who logs out is out, with every copy of the cookie", async () => {
      await ann.go("/");
      const copies = await ann.page.context().cookies();
      const session = copies.find(({ name }) => name.includes("sid"))!;
      assert.ok(session.httpOnly);
      assert.equal(session.sameSite, "Lax");
      const thief = await Visitor.open(await browser.newContext(), origin);
      await thief.page.context().addCookies(copies);
      await thief.go("/");
      assert.match(await thief.text("header"), /ann/, "the copy is good until then");
      const _csrf_token = await thief.token();
      await ann.press("Log out");
      assert.match(await ann.text("header"), /Log in or join/);
      assert.equal(await thief.post("/topic/1/posts", { text: "still here", _csrf_token }), 403);
      await thief.page.context().clearCookies();
      await thief.page.context().addCookies(copies);
      await thief.go("/");
      assert.match(await thief.text("header"), /Log in or join/);
      assert.equal(ann.complaints(), "");

      await ann.enter("Log in", "ann", "wrong horse");
      assert.equal(await ann.message(), "Wrong name or password");
      ann.complaints();
      await ann.enter("Log in", "Ann");
      assert.equal(await ann.message(), "Welcome, ann");
      assert.equal(ann.complaints(), "");
    });

    await t.step("nothing has to be scrolled sideways on a telephone", async () => {
      await ann.page.setViewportSize({ width: 320, height: 640 });
      for (const path of ["/", "/topic/1", "/topic/2?page=2", "/post/1", "/topic/2"]) {
        await ann.go(path);
        assert.equal(await ann.page.evaluate<number>(TOO_WIDE), 0, path);
      }
      await ann.press("Log out");
      for (const path of ["/signin", "/"]) {
        await ann.go(path);
        assert.equal(await ann.page.evaluate<number>(TOO_WIDE), 0, path);
      }
      assert.equal(ann.complaints(), "");
      await ann.go("/nowhere");
      assert.equal(await ann.text("h1"), "404 Not Found");
      assert.equal(await ann.page.evaluate<number>(TOO_WIDE), 0);
    });

    await client.stop();
    assert.doesNotMatch(client.output(), /\[(error|expt|fatal)/, client.output());

    await t.step("what was written is there when the server starts again", async () => {
      await using again = await testClient(SCRIPT, port, options);
      await ann.enter("Log in", "ann");
      assert.equal(await ann.message(), "Welcome, ann");
      await ann.go("/topic/1");
      await ann.page.locator("article img").waitFor();
      assert.equal(await ann.page.locator("article").count(), 2);
      await again.stop();
    });
  } finally {
    await browser.close();
    await client.stop();
    await Deno.remove(data, { recursive: true });
  }
});
