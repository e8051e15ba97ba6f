import assert from "node:assert/strict";
import { withTemplates } from "../../_support/template_files.ts";

/** Renders one template by name `t.html`, beside others. */
async function render(
  text: string,
  values: Record<string, unknown> = {},
  files: Record<string, string> = {},
): Promise<string> {
  let output = "";
  await withTemplates({ "t.html": text, ...files }, async (templates) => {
    output = await templates.render("t.html", values);
  });
  return output;
}

Deno.test("TPL-01 values are one record, a leading slash is ignored", async () => {
  await withTemplates(
    { "sub/index.html": "<p>{{ choice }} {{ missing }}</p>" },
    async (templates) => {
      for (const name of ["sub/index.html", "/sub/index.html", "//sub/./index.html"]) {
        assert.equal(await templates.render(name, { choice: 2 }), "<p>2 </p>");
      }
    },
  );
});

Deno.test("TPL-01 text is escaped in HTML and XML, not in plain text", async () => {
  const text = "{{ v }}|{{ v|safe }}|{{ v|e }}";
  const files = Object.fromEntries(
    ["a.html", "a.htm", "a.xml", "a.j2", "a.njk", "a.html.j2", "a.txt", "a.txt.j2", "a.sql.njk"]
      .map((name) => [name, text]),
  );
  await withTemplates(files, async (templates) => {
    for (const name of Object.keys(files)) {
      const plain = /txt|sql/.test(name);
      assert.equal(
        await templates.render(name, { v: `<b>"&'` }),
        `${plain ? `<b>"&'` : "&lt;b&gt;&quot;&amp;&#39;"}|<b>"&'|&lt;b&gt;&quot;&amp;&#39;`,
        name,
      );
    }
  });
});

Deno.test("TPL-01 a missing template names itself and where it was searched", async () => {
  await withTemplates(
    { "t.html": "\n{% include 'gone.html' %}", "d.html/x": "" },
    async (templates, directory) => {
      await assert.rejects(
        templates.render("/nope.html", {}),
        (error: Error & { template?: string }) => {
          assert.equal(error.name, "TemplateError");
          assert.equal(error.message, `Template nope.html: not found; searched ${directory}`);
          assert.equal(error.template, "nope.html");
          return true;
        },
      );
      await assert.rejects(templates.render("t.html", {}), {
        message: `Template t.html, line 2: Template gone.html: not found; searched ${directory}`,
      });
      await assert.rejects(templates.render("d.html", {}), /d\.html: not found/);
      await assert.rejects(templates.render("t.html/x.html", {}), /not found/);
      await assert.rejects(
        templates.render("page.foo", {}),
        /"page.foo": no engine takes this ending; known are \.html/,
      );
      await assert.rejects(templates.render("page", {}), /no engine/);
      await assert.rejects(templates.render(7 as unknown as string, {}), TypeError);
    },
  );
});

Deno.test("TPL-01 names do not lead out of the directories", async () => {
  await withTemplates(
    { "in/t.html": "{% include name %}", "in/ok.html": "ok", "secret.html": "!" },
    async (_, directory) => {
      const { createTemplates } = await import("../../../src/atila/templates/engine.ts");
      const templates = createTemplates({ directories: [`${directory}/in`] });
      const bad = [
        "../secret.html",
        "a/../../secret.html",
        "/../secret.html",
        "..\\secret.html",
        `..%2f/../secret.html`,
        "C:/secret.html",
        "a\0.html",
        "/.html/..",
      ];
      for (const name of bad) {
        await assert.rejects(
          templates.render(name.endsWith(".html") ? name : `${name}/.html`, {}),
          /leads out|not found/,
          name,
        );
        await assert.rejects(templates.render("t.html", { name }), /leads out|not found/, name);
      }
      assert.equal(await templates.render("t.html", { name: "./ok.html" }), "ok");
      assert.equal(await templates.render("t.html", { name: "/ok.html" }), "ok");
    },
  );
});

Deno.test("TPL-03 was and everything on it is in reach, in both spellings", async () => {
  class Was {
    #secret = "private";
    g: Record<string, unknown> = { x: 1 };
    request = { args: { q: "<q>" } };
    csrfTokenInput = "input";
    ab(name: string, ...args: unknown[]): string {
      return `/${name}/${args.map((arg) => JSON.stringify(arg)).join("/")}${this.#secret}`;
    }
    statusCode = 200;
  }
  assert.equal(
    await render(
      "{{ was.g.x }} {{ was.request.args.q }} {{ was.csrf_token_input }} {{ was.status_code }} {{ was.ab('f', 1, n=2)|safe }} {{ was.nothing.at.all }}",
      { was: new Was() },
    ),
    `1 &lt;q&gt; input 200 /f/1/{"n":2}private `,
  );
});

Deno.test("TPL-04 Jinja syntax", async () => {
  const cases: [text: string, output: string][] = [
    [
      "{% for x in l %}{{ loop.index }}{{ x }}{% if not loop.last %},{% endif %}{% else %}none{% endfor %}",
      "1a,2b",
    ],
    ["{% for x in [] %}{{ x }}{% else %}none{% endfor %}", "none"],
    [
      "{% for x in l if x != 'a' %}{{ loop.index }}{{ x }}{{ loop.last }}{% endfor %}" +
      "{% for x in l if x == n %}{{ x }}{% else %}none{% endfor %}",
      "1btruenone",
    ],
    [
      "{% for k, v in d.items() if v > 1 %}{{ k }}{% endfor %}" +
      "{% for k, v in d if v == 1 %}{{ k }}{% endfor %}{% for x in nothing if x %}{% else %}no{% endfor %}" +
      "{% for x in (l if n == 2) %}{{ x }}{% endfor %}{% for x in l if n == 3 else [n] %}{{ x }}{% endfor %}",
      "banoab2",
    ],
    ["{% for x in [1, 2, 3] %}{{ loop.cycle('odd', 'even') }}{% endfor %}", "oddevenodd"],
    [
      "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k, v in d %}{{ k }}{% endfor %}",
      "a=1;b=2;ab",
    ],
    [
      "{% if n > 2 %}big{% elif n == 2 %}two{% else %}small{% endif %}{{ 'y' if n is defined else 'n' }}",
      "twoy",
    ],
    ["{% set y = n * 2 %}{{ y }}{% set z %}<i>{{ y }}</i>{% endset %}{{ z|safe }}", "4<i>4</i>"],
    [
      "{% macro f(a, b='x') %}{{ a }}-{{ b }}{% endmacro %}{{ f(1) }} {{ f(1, b=2) }}{% call f(3) %}{% endcall %}",
      "1-x 1-23-x",
    ],
    ["{# no #}a  {%- if true -%}  b  {%- endif -%}  c", "abc"],
    [
      "{{ 'Hello'|upper|lower|title }} {{ l|join('+') }} {{ l|length }} {{ None is none }} {{ True }}",
      "Hello a+b 2 true true",
    ],
    [
      "{{ 'a' in l }} {{ 'z' not in l }} {{ 7 // 2 }} {{ 2 ** 3 }} {{ 'a' ~ 1 }}",
      "true true 3 8 a1",
    ],
    ["{{ l[:1] }} {{ 'hello'[1:3] }} {{ l[-1] }}", "a el b"],
    [
      "{{ ' x '.strip() }}{{ 'ab'.upper() }}{{ 'abc'.startswith('ab') }}{{ d.get('q', 9) }}{{ l.index('b') }}",
      "xABtrue91",
    ],
    ["{% set m = [] %}{{ m.append(1) }}{{ m.append(2) }}{{ m }}", "1,2"],
    [
      "{{ {'a': '</script>'}|tojson }} {{ l|map('upper')|join }} {{ rows|map(attribute='n')|join('-') }}",
      '{"a":"\\u003c/script\\u003e"} AB 3-1',
    ],
    [
      "{{ rows|max(attribute='n')|attr('n') }} {{ [3,1,3]|unique|join }} {{ [3,1]|min }} {{ d|items|length }}",
      "3 31 1 2",
    ],
    ["{% raw %}{{ x }}{% endraw %}{% filter upper %}a{% endfilter %}", "{{ x }}A"],
    ["{{ o.items }} {{ o.values }}", "mine 5"],
    ["{{ p.later }}{% for x in p.list %}{{ x }}{% endfor %}", "late12"],
  ];
  const values = () => ({
    l: ["a", "b"],
    d: { a: 1, b: 2 },
    n: 2,
    rows: [{ n: 3 }, { n: 1 }],
    o: { items: "mine", values: 5 },
    p: { later: Promise.resolve("late"), list: Promise.resolve([1, 2]) },
  });
  for (const [text, output] of cases) assert.equal(await render(text, values()), output, text);
});

Deno.test("TPL-04 what is empty is not true", async () => {
  const values = { list: [], record: {}, map: new Map(), set: new Set(), full: [0], text: "" };
  for (
    const [text, expected] of [
      ["{% for v in [list, record, map, set, text, 0, none, nope] %}{{ 1 if v else 0 }}{% endfor %}"],
      ["{{ 1 if full else 0 }}{{ 1 if {'a': 0} else 0 }}{{ 1 if 'x' else 0 }}", "111"],
      ["{% if list %}a{% elif full %}b{% else %}c{% endif %}{% if not record %}d{% endif %}", "bd"],
      ["{{ list or 'none' }} {{ full and 'some' }} {{ (record or {'a': 5}).a }}", "none some 5"],
      ["{{ (list and nope()) | length }}{{ 'x' or nope() }}", "0x"],
      ["{% for v in [[], [1], []] if v %}{{ v }}{% endfor %}", "1"],
      [
        "{{ list | default('none', true) }} {{ nope | d('x') }} {{ text | default('y') }}|",
        "none x |",
      ],
      ["{% set t %}{% endset %}{% if t %}a{% else %}b{% endif %}", "b"],
    ] as const
  ) assert.equal(await render(text, values), expected ?? "00000000", text);
});

Deno.test("TPL-04 a block of text is escaped once, and is text to functions", async () => {
  const seen: unknown[] = [];
  const values = { v: "<v>", see: (value: unknown) => seen.push(value) && "" };
  for (
    const [text, expected] of [
      ["{% set t %}<b>{{ v }}</b>{% endset %}{{ t }}", "<b>&lt;v&gt;</b>"],
      [
        "{% set t %}<b>{% endset %}{{ t | upper }}{{ t | lower }}{{ v | upper }}",
        "<B><b>&lt;V&gt;",
      ],
      ["{% filter upper %}<b>{{ v }}</b>{% endfilter %}", "<B>&LT;V&GT;</B>"],
      ["{% set t %}abc{% endset %}{{ t.upper() }}{{ t | length }}{{ t == 'abc' }}", "ABC3true"],
      ["{% set t %}abc{% endset %}{{ t in ['abc'] }}{{ t in 'xabc' }}{{ see(t) }}", "truetrue"],
      [`{% set t %}a"{% endset %}{{ t | tojson }}{{ [t] | tojson }}`, `"a\\""["a\\""]`],
    ] as const
  ) assert.equal(await render(text, values), expected, text);
  assert.deepEqual(seen, ["abc"]);
  await withTemplates({ "t.txt": "{% set t %}<{{ v }}>{% endset %}{{ t }}" }, async (templates) => {
    assert.equal(await templates.render("t.txt", values), "<<v>>");
  });
});

Deno.test("TPL-04 a loop with one name runs through the names of a record", async () => {
  const values = { d: { a: 1, b: 2 }, none: {} };
  for (
    const [text, expected] of [
      ["{% for k in d %}{{ k }}={{ d[k] }}{{ '' if loop.last else ',' }}{% endfor %}", "a=1,b=2"],
      [
        "{% for k, v in d %}{{ k }}{{ v }}{% endfor %}{% for k in d if k > 'a' %}{{ k }}{% endfor %}",
        "a1b2b",
      ],
      ["{% for k in none %}x{% else %}nothing{% endfor %}", "nothing"],
    ] as const
  ) assert.equal(await render(text, values), expected, text);
});

Deno.test("TPL-04 filters by attribute and test, and arguments by name", async () => {
  const values = {
    items: [{ n: "a", v: 1, o: { on: [] } }, { n: "b", v: 2, o: { on: [1] } }],
    d: { b: 1, A: 2 },
  };
  for (
    const [text, expected] of [
      ["{{ items | selectattr('v', 'gt', 1) | map(attribute='n') | join }}", "b"],
      ["{{ items | rejectattr('v', 'equalto', 1) | join(',', 'n') }}", "b"],
      ["{{ items | selectattr('o.on') | join(attribute='n') }}", "b"],
      ["{{ items | rejectattr('o.on') | join(d='-', attribute='n') }}", "a"],
      [
        "{{ items | sum(attribute='v') }} {{ [1, 2] | sum(start=4) }} {{ items | sum('v') }}",
        "3 7 3",
      ],
      [
        "{{ d | dictsort(reverse=true) | join(';') }} {{ d | dictsort(by='value') | join(';') }}",
        "b,1;A,2 b,1;A,2",
      ],
      ["{{ d | dictsort | join(';') }} {{ d | dictsort(true) | join(';') }}", "A,2;b,1 A,2;b,1"],
      ["{{ 1.234 | round(precision=1) }} {{ nope | default(default_value='x') }}", "1.2 x"],
      [
        "{{ 'abcdef' | truncate(length=3, killwords=true, end='') }}|{{ 'a\nb' | indent(width=2) }}",
        "abc|a\n  b",
      ],
    ] as const
  ) assert.equal(await render(text, values), expected, text);
  await assert.rejects(
    render("\n{{ [1] | sum(attr='v') }}"),
    /t\.html, line 2: TypeError: Filter sum takes attribute, start, but not attr/,
  );
  await assert.rejects(
    render("{{ items | selectattr('v', 'nope') }}", values),
    /No test is named nope/,
  );
});

Deno.test("TPL-04 extends, blocks, super, include, import", async () => {
  const files = {
    "base.html": "<{% block head %}H{% endblock %}|{% block body %}B{% endblock %}>",
    "mid.html": "{% extends 'base.html' %}{% block head %}{{ super() }}M{% endblock %}",
    "sub/part.html": "[{{ v }}{% include './leaf.html' %}]",
    "sub/leaf.html": "leaf",
    "macros.html": "{% macro b(x) %}<b>{{ x }}</b>{% endmacro %}{% set k = 5 %}",
  };
  const text =
    `{% extends "mid.html" %}{% import "macros.html" as m %}{% from "macros.html" import b as bold, k %}
{% block body %}{{ m.b("<") }}{{ bold(1) }}{{ k }}{% for v in [1, 2] %}{% include "sub/part.html" %}{% endfor %}{% include "gone.html" ignore missing %}{% include ["gone.html", "sub/leaf.html"] %}{% endblock %}`;
  assert.equal(await render(text, {}, files), "<HM|<b>&lt;</b><b>1</b>5[1leaf][2leaf]leaf>");
});

Deno.test("TPL-04 with autoReload changed files are read again, parents and parts too", async () => {
  const files = {
    "t.html": "{% extends 'p.html' %}{% block b %}{% include 'i.html' %}1{% endblock %}",
    "p.html": "P1{% block b %}{% endblock %}",
    "i.html": "I1",
  };
  for (const autoReload of [true, false]) {
    await withTemplates(files, async (templates, directory) => {
      const page = () => templates.render("t.html", {});
      const change = (name: string, text: string) =>
        Deno.writeTextFile(`${directory}/${name}`, text);
      assert.equal(await page(), "P1I11");
      await change("i.html", "I2");
      assert.equal(await page(), autoReload ? "P1I21" : "P1I11");
      await change("p.html", "P2{% block b %}{% endblock %}");
      assert.equal(await page(), autoReload ? "P2I21" : "P1I11");
      await change("t.html", "{{ broken");
      if (!autoReload) return assert.equal(await page(), "P1I11");
      await assert.rejects(page(), /t\.html, line 1/);
      await change("t.html", "fine");
      assert.equal(await page(), "fine");
      await Deno.remove(`${directory}/t.html`);
      await assert.rejects(page(), /not found/);
    }, { autoReload });
  }
});

Deno.test("TPL-01 errors name template and line, and keep their cause", async () => {
  const files = {
    "syntax.html": "a\n\n{% if %}",
    "unknown.html": "\n{% frob %}",
    "open.html": "\n\n{% for x in y %}",
    "outer.html": "x\n{% include 'syntax.html' %}",
    "call.html": "{% block a %}\n\n{% endblock %}\n{{ boom() }}",
    "undefined.html": "\n{{ nothing.here() }}",
    "nofilter.html": "\n\n\n{{ 1|frob }}",
    "filter.html": "{% if true %}\n{% set x = 1|boomf %}{% endif %}",
    "getter.html": "\n{{ bad.value }}",
    "macro.html": "{% macro m() %}\n\n{{ boom() }}{% endmacro %}\n{{ m() }}",
    "base.html": "1\n2\n{% block b %}{% endblock %}\n{{ boom() }}",
    "child.html": "{% extends 'base.html' %}\n{% block b %}x{% endblock %}",
    "child2.html": "{% extends 'base.html' %}\n\n\n{% block b %}\n{{ boom() }}{% endblock %}",
    "noname.html": "\n{% include nothing %}",
    "loop.html": "{% include 'loop.html' %}",
    "late.html": "\n\n{{ late() }}",
  };
  const cause = new RangeError("boom");
  const boom = () => {
    throw cause;
  };
  const bad = {
    get value(): never {
      throw cause;
    },
  };
  const cases: [name: string, message: RegExp][] = [
    ["syntax.html", /^Template syntax\.html, line 3: /],
    ["unknown.html", /^Template unknown\.html, line 2: unknown block tag: frob/],
    ["open.html", /^Template open\.html, line \d+: /],
    ["outer.html", /^Template outer\.html, line 2: Template syntax\.html, line 3: /],
    ["call.html", /^Template call\.html, line 4: RangeError: boom$/],
    [
      "undefined.html",
      /^Template undefined\.html, line 2: TypeError: Cannot call .*here.*undefined/,
    ],
    ["nofilter.html", /^Template nofilter\.html, line 4: TypeError: No filter is named frob$/],
    ["filter.html", /^Template filter\.html, line 2: RangeError: boom$/],
    ["getter.html", /^Template getter\.html, line 2: RangeError: boom$/],
    ["macro.html", /^Template macro\.html, line 3: RangeError: boom$/],
    ["child.html", /^Template base\.html, line 4: RangeError: boom$/],
    ["child2.html", /^Template child2\.html, line 5: RangeError: boom$/],
    [
      "noname.html",
      /^Template noname\.html, line 2: TypeError: the name of a template is undefined/,
    ],
    ["loop.html", /Maximum call stack/],
    ["late.html", /^Template late\.html, line 3: RangeError: boom$/],
  ];
  await withTemplates(files, async (templates) => {
    const late = () => Promise.reject(cause);
    for (const [name, message] of cases) {
      await assert.rejects(templates.render(name, { boom, bad, late }), (error: Error) => {
        assert.equal(error.name, "TemplateError");
        assert.match(error.message, message);
        if (/boom$/.test(error.message)) assert.equal(error.cause, cause);
        return true;
      });
    }
  }, { filters: { boomf: boom } });
});

Deno.test("TPL-03 globals and filters of the app, also ones that are added later", async () => {
  const globals: Record<string, unknown> = { site: "S", twice: (n: number) => n * 2 };
  const filters: Record<string, (value: string) => unknown> = {};
  const directories: string[] = [];
  await withTemplates({
    "t.html":
      "{{ site }}{{ twice(4) }}{{ later }}{{ 'abc'|reverse }}{{ 'abc'|slow }}{{ ['x']|map('slow')|length }}",
  }, async (templates, directory) => {
    await assert.rejects(templates.render("t.html", {}), /searched no directory/);
    directories.push(directory);
    globals.later = "L";
    filters.reverse = (text) => [...text].reverse().join("");
    filters.slow = (text) => Promise.resolve(text.toUpperCase());
    assert.equal(await templates.render("t.html", { site: "<V>" }), "&lt;V&gt;8LcbaABC1");
  }, { globals, filters, directories });
});
