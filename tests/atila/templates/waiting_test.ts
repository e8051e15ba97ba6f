import assert from "node:assert/strict";
import { HttpError } from "../../../src/core/errors.ts";
import { withTemplates } from "../../_support/template_files.ts";

/** A future that arrives when it is told to. */
class FakeFuture {
  asked = 0;
  readonly #gate = Promise.withResolvers<unknown>();
  arrive(data: unknown): void {
    this.#gate.resolve({ statusCode: 200, data });
  }
  fail(error: Error): void {
    this.#gate.reject(error);
  }
  dispatch(...args: unknown[]): Promise<unknown> {
    this.asked++;
    this.args = args;
    return this.#gate.promise;
  }
  args: unknown[] = [];
  dispatch_or_throw(...args: unknown[]): Promise<unknown> {
    return this.dispatch(...args);
  }
  data_or_throw(...args: unknown[]): Promise<unknown> {
    return this.dispatch(...args).then((result) => (result as { data: unknown }).data);
  }
  get then() {
    return this.#gate.promise.then.bind(this.#gate.promise);
  }
}

function arrived(data: unknown): FakeFuture {
  const future = new FakeFuture();
  future.arrive(data);
  return future;
}

Deno.test("TPL-12 dispatch() waits for the future; status and data can be tested", async () => {
  const text =
    `{% set r = was.g.aa.dispatch() %}{% if r.status_code == 200 %}{{ r.data.name }}{% else %}down{% endif %}`;
  await withTemplates({ "t.html": text }, async (templates) => {
    const aa = new FakeFuture();
    let output: string | undefined;
    const page = templates.render("t.html", { was: { g: { aa } } }).then((text) => output = text);
    await Promise.resolve();
    assert.equal(output, undefined);
    aa.arrive({ name: "<Kim>" });
    assert.equal(await page, "&lt;Kim&gt;");
  });
});

Deno.test("TPL-12 waiting works in loops, macros, call blocks, includes, parents and imported macros", async () => {
  const files = {
    "base.html":
      "{{ f[0].dispatch().data }}{% block body %}{{ f[1].dispatch().data }}{% endblock %}{{ f[2].dispatch().data }}",
    "m.html": "{% macro show(x) %}({{ x.dispatch().data }}{{ caller() if caller }}){% endmacro %}",
    "part.html": "[{{ x.dispatch().data }}]",
    "t.html":
      `{% extends "base.html" %}{% from "m.html" import show %}{% block body %}{{ super() -}}
      {% for x in f %}{{ loop.index }}{% include "part.html" %}{{ show(x) }}{% endfor -%}
      {% call show(f[2]) %}!{{ f[1].dispatch().data }}{% endcall %}{% set s %}{{ f[0].dispatch().data }}{% endset %}{{ s }}
      {%- if f[1].dispatch().data == "b" and f[2].data_or_throw() == "c" %}ok{% endif %}{{ [f[0].dispatch(), f[1].dispatch()]|length }}{% endblock %}`,
  };
  await withTemplates(files, async (templates) => {
    const f = [new FakeFuture(), new FakeFuture(), new FakeFuture()];
    const page = templates.render("t.html", { f });
    f[2]!.arrive("c");
    f[0]!.arrive("a");
    await new Promise((resolve) => setTimeout(resolve, 0));
    f[1]!.arrive("b");
    assert.equal(await page, "ab1[a](a)2[b](b)3[c](c)(c!b)aok2c");
  });
});

Deno.test("TPL-12 requests made in the template are made once, whatever else has to be waited for", async () => {
  const made: string[] = [];
  const was = {
    get(url: string): FakeFuture {
      made.push(url);
      return arrived(url);
    },
    sync: (n: number) => n + 1,
    plain: (x: string) => {
      made.push(x);
      return Promise.resolve(x);
    },
  };
  const text =
    `{% set l = [] %}{% for u in ["a", "b", "c"] %}{% set _ = l.append(was.get(u)) %}{% endfor -%}
{% for x in l %}{{ x.dispatch().data }}{{ was.sync(1) }}{% endfor %}{{ was.plain("p") }}{{ was.plain("q") }}
{%- set c = cycler("odd", "even") %} {{ c.next() }} {{ c.next() }} {{ was.get("d").dispatch().data }} {{ c.next() }}`;
  await withTemplates({ "t.html": text }, async (templates) => {
    assert.equal(await templates.render("t.html", { was }), "a2b2c2pq odd even d odd");
    assert.deepEqual(made, ["a", "b", "c", "p", "q", "d"]);
  });
});

Deno.test("TPL-12 a page with ten slow futures waits for all of them at once", async () => {
  const text = "{% for x in f %}{{ x.dispatch().data }},{% endfor %}";
  await withTemplates({ "t.html": text }, async (templates) => {
    const f = Array.from({ length: 10 }, () => new FakeFuture());
    const page = templates.render("t.html", { f });
    // They arrive in one go, last first: had each to arrive after the one before was printed, this
    // would hang.
    for (let i = 9; i >= 0; i--) f[i]!.arrive(i);
    assert.equal(await page, "0,1,2,3,4,5,6,7,8,9,");
    for (const future of f) assert.equal(future.asked, 1, "asked once, not once per pass");
  });
});

Deno.test("TPL-12 a result that is there is used without another pass", async () => {
  let passes = 0;
  const result = { data: 1 };
  const f = { settled: result, dispatch: () => assert.fail("not needed"), then: () => {} };
  await withTemplates({ "t.html": "{{ pass() }}{{ f.dispatch().data }}" }, async (templates) => {
    assert.equal(await templates.render("t.html", { f, pass: () => (passes++, "") }), "1");
  });
  assert.equal(passes, 1);
});

Deno.test("TPL-12 dispatch_or_throw() ends the page with its HTTP error", async () => {
  const files = {
    "t.html": "{{ f.dispatch_or_throw('500 Sorry').data }}",
    "i.html": "\n{% include 't.html' %}",
  };
  await withTemplates(files, async (templates) => {
    for (const name of ["t.html", "i.html"]) {
      const f = new FakeFuture();
      const page = templates.render(name, { f });
      const error = new HttpError("500 Sorry");
      f.fail(error);
      await assert.rejects(page, (thrown) => thrown === error);
      assert.deepEqual(f.args, ["500 Sorry"]);
    }
    const thrown = new HttpError(404, "at once");
    const f = {
      dispatch: () => {},
      then: () => {},
      dispatch_or_throw: () => {
        throw thrown;
      },
    };
    await assert.rejects(templates.render("t.html", { f }), (error) => error === thrown);
  });
});

Deno.test("TPL-12 arguments by name reach the methods of a future in their order", async () => {
  const text =
    "{{ f.dispatch(timeout=3).data }}{{ g.data_or_throw('503 Busy', timeout=2, reraise=true) }}{{ h.dispatch(4, reraise=true).data }}";
  await withTemplates({ "t.html": text }, async (templates) => {
    const [f, g, h] = [arrived(1), arrived(2), arrived(3)];
    assert.equal(await templates.render("t.html", { f, g, h }), "123");
    assert.deepEqual(f.args, [3]);
    assert.deepEqual(g.args, ["503 Busy", 2, { reraise: true }]);
    assert.deepEqual(h.args, [4, { reraise: true }]);
  });
});

Deno.test("TPL-12 what never arrives ends the page after the time allowed", async () => {
  await withTemplates({ "t.html": "\n{{ never() }}" }, async (templates) => {
    await assert.rejects(
      templates.render("t.html", { never: () => new Promise(() => {}) }),
      { message: "Template t.html: gave up waiting for never after 20 ms" },
    );
  }, { waitTimeoutMs: 20 });
});

Deno.test("TPL-12 a template that goes on waiting, or changes its course, is an error", async () => {
  const files = {
    "many.html": "{% for x in range(0, 2000) %}{{ soon(x) }}{% endfor %}",
    "course.html": "{% if flip() %}{{ a() }}{% else %}{{ b() }}{% endif %}{{ soon(1) }}",
  };
  await withTemplates(files, async (templates) => {
    const soon = (x: unknown) => Promise.resolve(x);
    await assert.rejects(
      templates.render("many.html", { soon }),
      /still waiting after 1000 passes/,
    );
    let side = false;
    const flip = () => side = !side;
    await assert.rejects(
      templates.render("course.html", { soon, flip, a: soon, b: soon }),
      /course\.html, line 1: Error: b\(\) was called where an earlier pass called a\(\)/,
    );
  });
});

Deno.test("TPL-12 pages that wait do not disturb each other, nor pages inside pages", async () => {
  await withTemplates({
    "o.html": "{{ x }}<{{ was.render('i.html', {f: f})|safe }}>{{ f.dispatch().data }}",
    "i.html": "({{ f.dispatch().data }})",
  }, async (templates) => {
    const was = {
      render: (name: string, values: Record<string, unknown>) => templates.render(name, values),
    };
    const futures = Array.from({ length: 5 }, () => new FakeFuture());
    const pages = futures.map((f, x) => templates.render("o.html", { was, f, x }));
    for (const [i, future] of [...futures.entries()].reverse()) {
      future.arrive(i * 10);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    assert.deepEqual(await Promise.all(pages), [
      "0<(0)>0",
      "1<(10)>10",
      "2<(20)>20",
      "3<(30)>30",
      "4<(40)>40",
    ]);
  });
});

Deno.test("TPL-12 a file that changes while a page waits does not change that page", async () => {
  await withTemplates({ "t.html": "{{ f.dispatch().data }} old" }, async (templates, directory) => {
    const f = new FakeFuture();
    const page = templates.render("t.html", { f });
    while (f.asked === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    await Deno.writeTextFile(`${directory}/t.html`, "new");
    f.arrive(1);
    assert.equal(await page, "1 old");
    assert.equal(await templates.render("t.html", {}), "new");
  }, { autoReload: true });
});
