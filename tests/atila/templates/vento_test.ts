import assert from "node:assert/strict";
import { HttpError } from "../../../src/core/errors.ts";
import { withTemplates } from "../../_support/template_files.ts";

Deno.test("TPL-01 TPL-03 Vento renders .vto files with escaping, includes, layouts and globals", async () => {
  const files = {
    "t.vto":
      '{{ layout "l.vto" { title: "T" } }}{{ for x of list }}{{ x }},{{ /for }}{{ raw |> safe }}{{ include "sub/part.vto" { x: 1 } }}{{ site }}{{ "a" |> shout }}{{ /layout }}',
    "l.vto": "<h1>{{ title }}</h1>{{ content }}",
    "sub/part.vto": '[{{ x }}{{ include "./leaf.vto" }}]',
    "sub/leaf.vto": "leaf{{ was.g.y }}",
  };
  await withTemplates(files, async (templates) => {
    const page = await templates.render("/t.vto", {
      list: ["<a>", "b"],
      raw: "<b>",
      was: { g: { y: 7 } },
    });
    assert.equal(page, "<h1>T</h1>&lt;a&gt;,b,<b>[1leaf7]SA!");
  }, { globals: { site: "S" }, filters: { shout: (text: string) => `${text.toUpperCase()}!` } });
});

Deno.test("TPL-12 Vento awaits futures, several at once", async () => {
  const text =
    "{{ set r = await was.g.aa.dispatch() }}{{ r.statusCode }}{{ for f of list }}{{ (await f).data }}{{ /for }}";
  await withTemplates({ "t.vto": text }, async (templates) => {
    const gates = Array.from({ length: 4 }, () => Promise.withResolvers<unknown>());
    const futures = gates.map(({ promise }) => ({
      dispatch: () => promise,
      then: promise.then.bind(promise),
    }));
    const page = templates.render("t.vto", {
      was: { g: { aa: futures[0] } },
      list: futures.slice(1),
    });
    for (const [i, gate] of [...gates.entries()].reverse()) {
      gate.resolve({ statusCode: 200, data: `<${i}>` });
    }
    assert.equal(await page, "200&lt;1&gt;&lt;2&gt;&lt;3&gt;");
  });
});

Deno.test("TPL-01 TPL-12 errors of Vento name template and line; HTTP errors stay what they are", async () => {
  const files = {
    "tag.vto": "\n\n{{ if true }}open",
    "boom.vto": "a\n\n{{ boom() }}",
    "outer.vto": "\n{{ include 'boom.vto' }}",
    "gone.vto": "\n{{ include 'nope.vto' }}",
    "out.vto": "{{ include '../secret.vto' }}",
    "up.vto": "{{ include '../../secret.vto' }}",
    "http.vto": "{{ await f.dispatch_or_throw('500 Sorry') }}",
  };
  await withTemplates(files, async (templates, directory) => {
    const cause = new RangeError("boom");
    const boom = () => {
      throw cause;
    };
    const cases: [name: string, message: RegExp][] = [
      ["tag.vto", /^Template tag\.vto, line 3: /],
      ["boom.vto", /^Template boom\.vto, line 3: RangeError: boom$/],
      ["outer.vto", /^Template boom\.vto, line 3: RangeError: boom$/],
      ["gone.vto", /^Template gone\.vto, line 2: .*nope\.vto: not found; searched /],
      ["missing.vto", /^Template missing\.vto: not found; searched /],
      ["out.vto", /leads out/],
      ["up.vto", /leads out/],
      ["../x.vto", /leads out/],
    ];
    for (const [name, message] of cases) {
      await assert.rejects(templates.render(name, { boom }), (error: Error) => {
        assert.equal(error.name, "TemplateError");
        assert.match(error.message, message, name);
        if (message.source.endsWith("boom$")) assert.equal(error.cause, cause);
        return true;
      });
    }
    const error = new HttpError("500 Sorry");
    const f = { dispatch_or_throw: () => Promise.reject(error) };
    await assert.rejects(templates.render("http.vto", { f }), (thrown) => thrown === error);
    await Deno.writeTextFile(`${directory}/missing.vto`, "here now");
    assert.equal(await templates.render("missing.vto", {}), "here now", "a failure is not kept");
  });
});

Deno.test("TPL-04 with autoReload Vento reads changed files again", async () => {
  for (const autoReload of [true, false]) {
    await withTemplates(
      { "t.vto": "1{{ include 'i.vto' }}", "i.vto": "a" },
      async (templates, directory) => {
        assert.equal(await templates.render("t.vto", {}), "1a");
        await Deno.writeTextFile(`${directory}/i.vto`, "b");
        assert.equal(await templates.render("t.vto", {}), autoReload ? "1b" : "1a");
      },
      { autoReload },
    );
  }
});
