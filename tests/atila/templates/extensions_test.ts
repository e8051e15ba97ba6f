import assert from "node:assert/strict";
import { join } from "node:path";
import {
  Atila,
  type EngineSettings,
  type TemplateEngine,
  TemplateError,
} from "../../../src/atila/mod.ts";

/** An app with templates in a directory of its own. */
async function withApp(
  files: Record<string, string>,
  test: (app: Atila, directory: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(directory, "templates"));
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(join(directory, "templates", name), text);
    }
    const app = new Atila(join(directory, "app.ts"));
    app.route("/<name>", (was, { name }) => was.render(name, { v: "<v>", page: 2 }));
    await test(app, directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("TPL-07 globals, filters and tests of the environment can be added to at any time", async () => {
  await withApp(
    { "t.html": "{{ token(1) }} {{ site }} {{ 'x' | twice }} {{ 4 is even }}{{ 5 is big(3) }}" },
    async (app) => {
      app.jinjaEnv.globals.token = (n: number) => `t${n}`;
      app.jinjaEnv.globals.site = "<site>";
      app.jinjaEnv.filters.twice = (text) => text + text;
      app.jinjaEnv.tests.big = (n, than) => n > than;
      const client = app.makeClient();
      assert.equal((await client.get("/t.html")).text, "t1 &lt;site&gt; xx truetrue");
      app.jinjaEnv.globals.site = "changed";
      assert.match((await client.get("/t.html")).text, /changed/);
    },
  );
});

Deno.test("TPL-07 TPL-08 TPL-09 globals, filters and tests of the app come before the engine's", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(directory, "templates"));
    await Deno.writeTextFile(
      join(directory, "templates", "t.html"),
      "{{ range(2) }} {{ 'x' | upper }} {{ 3 is odd }} {{ cycler is defined }}" +
        "{% set joiner = 'own' %} {{ joiner }} {% for lipsum in range(1) %}{{ lipsum }}{% endfor %}",
    );
    const app = new Atila(join(directory, "app.ts"));
    app.templateFilter("upper", (text: string) => `${text} of the app`);
    app.jinjaEnv.tests.odd = () => false;
    const page = () => app.templates.render("t.html", {});
    assert.equal(await page(), "0,1 x of the app false true own 0");
    app.templateGlobal("range", (_was, size: number) => ["a", "b", "c"].slice(0, size));
    assert.equal(await page(), "a,b x of the app false true own a");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("TPL-08 a template global gets was first, in pages, includes, macros and in Vento", async () => {
  await withApp({
    "t.html": `{{ where("a") }} {% include "i.html" %} {% import "m.html" as m %}{{ m.here() }}`,
    "i.html": `{{ where("b") }}`,
    "m.html": `{% macro here() %}{{ where("c") }} {{ was.request.path }}{% endmacro %}`,
    "t.vto": `{{ where("d") }}`,
    "slow.html": `{{ later() }}`,
  }, async (app) => {
    const fn = app.templateGlobal("where", (was, what: string) => `${was.request.path}:${what}`);
    assert.equal(typeof fn, "function");
    app.templateGlobal("later", async (was) => {
      await Promise.resolve();
      return was.app.name;
    });
    const client = app.makeClient();
    assert.equal((await client.get("/t.html")).text, "/t.html:a /t.html:b /t.html:c /t.html");
    assert.equal((await client.get("/t.vto")).text, "/t.vto:d");
    assert.equal((await client.get("/slow.html")).text, "app", "promises are waited for");
    assert.throws(() => app.templateGlobal("a b", () => ""), /global "a b": no identifier/);
    assert.throws(() => app.templateGlobal("x", 1 as never), /no function/);
  });
});

Deno.test("TPL-09 template filters, with arguments, in both engines; what they give is escaped", async () => {
  await withApp({
    "t.html": `{{ "Hello" | reverse }} {{ v | wrap("(", end=")") }} {{ "a" | gone }}`.replace(
      ` {{ "a" | gone }}`,
      "",
    ),
    "t.vto": `{{ "Hello" |> reverse }}`,
    "bad.html": "\n\n{{ 'a' | gone }}",
    "throws.html": "\n{{ 'a' | broken }}",
  }, async (app) => {
    app.templateFilter("reverse", (s: string) => [...s].reverse().join(""));
    app.templateFilter("wrap", (s, start, named) => `${start}${s}${named.end}`);
    app.templateFilter("broken", () => {
      throw new Error("cannot filter");
    });
    const client = app.makeClient();
    assert.equal((await client.get("/t.html")).text, "olleH (&lt;v&gt;)");
    assert.equal((await client.get("/t.vto")).text, "olleH");
    await assert.rejects(
      app.templates.render("bad.html", {}),
      /Template bad\.html, line 3: .*No filter is named gone/,
    );
    await assert.rejects(
      app.templates.render("throws.html", {}),
      /Template throws\.html, line 2: .*cannot filter/,
    );
    assert.equal((await client.get("/bad.html")).statusCode, 500);
  });
});

/** An engine that knows `${name}`, `tal:content` and `tal:repeat`, as an add-on would. */
function tinyTal({ source }: EngineSettings): TemplateEngine {
  return {
    render(name, values) {
      const file = source.read(source.resolve(name));
      if (file === undefined) return Promise.reject(source.missing(name));
      const escape = (text: unknown) => String(text).replaceAll("<", "&lt;");
      const text = file.text
        .replace(
          /<(\w+) tal:repeat="(\w+) (\w+)">\$\{\2\}<\/\1>/g,
          (_, tag, _item, list) =>
            (values[list] as unknown[]).map((item) => `<${tag}>${escape(item)}</${tag}>`).join(""),
        )
        .replace(
          /<(\w+) tal:content="(\w+)"><\/\1>/g,
          (_, tag, key) => `<${tag}>${escape(values[key])}</${tag}>`,
        )
        .replace(/\$\{(\w+)\}/g, (_, key) => escape(values[key]));
      return Promise.resolve(text);
    },
  };
}

Deno.test("TPL-10 another engine takes its endings; without one the error says what to do", async () => {
  await withApp({
    "page.pt": `<p tal:content="v"></p><li tal:repeat="x list">\${x}</li>\${page}`,
    "page.ptal": "${v}",
  }, async (app) => {
    for (const name of ["page.pt", "page.ptal"]) {
      await assert.rejects(app.templates.render(name, {}), (error) => {
        assert.ok(error instanceof TemplateError);
        assert.match(error.message, /TAL needs an engine of its own.*app\.registerEngine/);
        return true;
      });
    }
    let made = 0;
    app.registerEngine([".pt", ".ptal"], (settings) => {
      if (made++ === 0) throw new Error("not ready");
      return tinyTal(settings);
    });
    await assert.rejects(app.templates.render("page.pt", {}), /not ready/);
    assert.equal(
      await app.templates.render("page.pt", { v: "<", list: [1, "<"], page: 3 }),
      "<p>&lt;</p><li>1</li><li>&lt;</li>3",
    );
    assert.equal((await app.makeClient().get("/page.ptal")).text, "&lt;v>");
    assert.equal(made, 2, "made when it is needed, and once");
    await assert.rejects(app.templates.render("gone.pt", {}), /gone\.pt: not found; searched/);

    app.registerEngine([".up"], {
      render: (name, values) => Promise.resolve(`${name} ${values.v}`.toUpperCase()),
    });
    assert.equal((await app.makeClient().get("/x.up")).text, "X.UP <V>");
    assert.throws(
      () => app.registerEngine(["pt"], { render: () => Promise.resolve("") }),
      /no ending/,
    );
    assert.throws(() => app.registerEngine([".x"], {} as TemplateEngine), /has a function render/);
  });
});

Deno.test("TPL-09 SUB-07 filters come and go, also for pages that were rendered before", async () => {
  const files = {
    "t.html": "{{ 'abc' | shout }} {{ '<' | safe }}",
    "t.vto": "{{ 'abc' |> shout }} {{ '<' |> safe }}",
  };
  await withApp(files, async (app) => {
    const service = {
      mount(app: Atila) {
        app.templateFilter("shout", (text: string) => `${text}!`);
        app.templateFilter("safe", () => "own");
      },
    };
    for (const name of ["t.html", "t.vto"]) {
      await assert.rejects(app.templates.render(name, {}), /shout/, name);
      app.mountWith(service);
      assert.equal(await app.templates.render(name, {}), "abc! own", name);
      await app.umountService(service);
      await assert.rejects(app.templates.render(name, {}), /shout/, name);
      const fn = app.templateFilter("shout", async (text: string) => await `${text}?`);
      assert.equal(await app.templates.render(name, {}), "abc? <", name);
      assert.equal(app.jinjaEnv.filters.shout, fn);
      delete app.jinjaEnv.filters.shout;
    }
  });
});

Deno.test("TPL-13 services use the templates of the app; further directories may be added", async () => {
  await withApp({ "t.html": "main {{ v }}" }, async (app, directory) => {
    const more = join(directory, "more");
    await Deno.mkdir(more);
    await Deno.writeTextFile(join(more, "t.html"), "never: the first directory wins");
    await Deno.writeTextFile(join(more, "u.html"), "more {% include 't.html' %}");
    app.mountWith({
      mount(app: Atila) {
        app.templateGlobal("v", () => "from the service");
        app.templateFilter("own", () => "filtered");
        app.route("/service/<name>", (was, { name }) => was.render(name, { v: "s" }));
      },
    });
    const client = app.makeClient();
    assert.equal((await client.get("/service/t.html")).text, "main s");
    app.templateDirs.push(more);
    assert.equal((await client.get("/service/u.html")).text, "more main s");
  });
});

Deno.test("TPL-03 RSP-14 a function keeps its members: was.response ends a page and sets headers", async () => {
  const files = {
    "throws.html": `{% if v %}{{ was.response.throw("402 Payment Required", "soon") }}{% endif %}`,
    "throws.vto": `{{ was.response.throw("402 Payment Required", "soon") }}`,
    "sets.html": `{{ was.response.set_header("x-page", "1") }}{% set res = was.response %}` +
      `{{ res.getHeader("x-page") }} {{ was.get.map is callable }}`,
  };
  await withApp(files, async (app) => {
    const client = app.makeClient();
    for (const name of ["throws.html", "throws.vto"]) {
      const { statusCode, text } = await client.get(`/${name}`);
      assert.equal(statusCode, 402, name);
      assert.match(text, /<p>soon<\/p>/, name);
    }
    const page = await client.get("/sets.html");
    assert.equal(page.text, "1 true");
    assert.equal(page.headers.get("x-page"), "1");
  });
});

Deno.test("TPL-02 values are one record, of any type that is one", async () => {
  interface Page {
    readonly title: string;
  }
  await withApp({ "page.html": "{{ title }}" }, async (app) => {
    const page: Page = { title: "by an interface" };
    app.route("/own/page", (was) => was.render("page.html", page));
    // @ts-expect-error a list has no names
    app.route("/own/list", (was) => was.render("page.html", ["title"]));
    // @ts-expect-error one record
    app.route("/own/two", (was) => was.render("page.html", page, { more: 1 }));
    const client = app.makeClient();
    assert.equal((await client.get("/own/page")).text, "by an interface");
    assert.equal((await client.get("/own/list")).statusCode, 500);
    assert.equal((await client.get("/own/two")).statusCode, 500);
  });
});
