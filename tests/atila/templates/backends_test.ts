import assert from "node:assert/strict";
import { HttpError } from "../../../src/core/errors.ts";
import { wac } from "../../../src/was/wac.ts";
import { Was } from "../../../src/was/was.ts";
import { recordLogs } from "../../_support/log_recorder.ts";
import { withTemplates } from "../../_support/template_files.ts";

/** A backend that answers `/slow…` only when as many requests are there as it waits for. */
function backend(atOnce: number) {
  const gate = Promise.withResolvers<void>();
  const asked: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (req) => {
    const { pathname } = new URL(req.url);
    asked.push(pathname);
    if (pathname.startsWith("/slow")) {
      if (asked.length === atOnce) gate.resolve();
      await gate.promise;
    }
    if (pathname === "/bad") return new Response("no", { status: 503 });
    return Response.json({ path: pathname });
  });
  return {
    asked,
    origin: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: async () => {
      gate.resolve();
      await wac.backends[Symbol.asyncDispose]();
      await server.shutdown();
    },
  };
}

for (
  const [name, text] of [
    ["t.html", "{% for f in was.g.list %}{{ f.dispatch(60).data.path }} {% endfor %}"],
    ["t.vto", "{{ for f of was.g.list }}{{ (await f.dispatch(60)).data.path }} {{ /for }}"],
  ] as const
) {
  Deno.test(`TPL-12 WAS-24 ten slow backends are asked at once by ${name}, each one time`, async () => {
    using _logs = recordLogs();
    await using slow = backend(10);
    const was = new Was();
    await withTemplates({ [name]: text }, async (templates) => {
      const paths = Array.from({ length: 10 }, (_, i) => `/slow${i}`);
      const list = paths.map((path) => was.get(slow.origin + path, undefined, { timeout: 60 }));
      // None is answered before all ten are there: a page that asked one after the other would time
      // out.
      assert.equal(await templates.render(name, { was: { g: { list } } }), `${paths.join(" ")} `);
      assert.deepEqual(slow.asked.sort(), paths);
    });
  });
}

Deno.test("TPL-12 requests a template makes are sent once, also when the page has to wait later", async () => {
  using _logs = recordLogs();
  await using server = backend(3);
  const was = new Was();
  const text =
    `{% set a = was.get(origin ~ "/slow1", none, {timeout: 20}) %}{% set b = was.get(origin ~ "/slow2") %}{% set c = was.get(origin ~ "/slow3") -%}
{{ a.dispatch().data.path }}{{ b.dispatch().status_code }}{{ c.data_or_throw().path }}{{ was.get(origin ~ "/last").dispatch().data.path }}`;
  await withTemplates({ "t.html": text }, async (templates) => {
    assert.equal(
      await templates.render("t.html", { was, origin: server.origin }),
      "/slow1200/slow3/last",
    );
    assert.deepEqual(server.asked.sort(), ["/last", "/slow1", "/slow2", "/slow3"]);
  });
});

Deno.test("TPL-12 failures and timeouts of backends are told to the template, or end the page", async () => {
  using _logs = recordLogs();
  await using server = backend(99);
  const was = new Was();
  const files = {
    "status.html": "{% set r = f.dispatch() %}{{ r.status }} {{ r.status_code }} {{ r.data }}",
    "throw.html": "before {{ f.dispatch_or_throw('500 Backend Down').data }}",
    "plain.html": "{{ f.data_or_throw() }}",
  };
  await withTemplates(files, async (templates) => {
    const page = (name: string, path: string, timeout?: number) =>
      templates.render(name, {
        f: was.get(server.origin + path, undefined, timeout ? { timeout } : {}),
      });
    assert.equal(await page("status.html", "/bad"), "3 503 no");
    assert.equal(await page("status.html", "/slow", 0.1), "1 730 ");
    const isHttp = (status: number) => (error: unknown) =>
      error instanceof HttpError && error.status === status;
    await assert.rejects(page("throw.html", "/bad"), isHttp(500));
    await assert.rejects(page("plain.html", "/slow", 0.1), isHttp(502));
  });
});

Deno.test("TPL-12 SQL statements are waited for like requests", async () => {
  using _logs = recordLogs();
  const was = new Was();
  try {
    const text =
      "{% for row in db.execute('select ? as n union select 2', 1).data_or_throw() %}{{ row.n }},{% endfor %}{{ g.dispatch().data[0].x }}";
    await withTemplates({ "t.html": text }, async (templates) => {
      const db = was.sqlite3(":memory:");
      const g = db.execute("select '<b>' as x");
      assert.equal(await templates.render("t.html", { db, g }), "1,2,&lt;b&gt;");
    });
  } finally {
    await wac.backends[Symbol.asyncDispose]();
  }
});
