import assert from "node:assert/strict";
import { join } from "node:path";
import { Atila } from "../../../src/atila/mod.ts";
import { TemplateError } from "../../../src/atila/mod.ts";
import { tal } from "../../../src/atila/templates/tal.ts";
import { withTemplates } from "../../_support/template_files.ts";

/** Renders one template. */
async function render(
  text: string,
  values: Record<string, unknown> = {},
  files: Record<string, string> = {},
): Promise<string> {
  let output = "";
  await withTemplates({ "t.pt": text, ...files }, async (templates) => {
    output = await templates.render("t.pt", values);
  }, { engines: new Map([[".pt", tal], [".ptal", tal]]) });
  return output;
}

Deno.test("TPL-10 content, replace, condition, omit-tag, and what is escaped", async () => {
  const values = { v: "<b>", yes: true, no: false, n: 3 };
  for (
    const [text, expected] of [
      [`<p tal:content="v">gone <b>too</b></p>`, "<p>&lt;b&gt;</p>"],
      [`<p tal:content="structure v"></p>`, "<p><b></p>"],
      [`<p tal:replace="v">gone</p>!`, "&lt;b&gt;!"],
      [`<p tal:condition="no">a</p><p tal:condition="not:no">b</p>`, "<p>b</p>"],
      [`<p tal:condition="n &gt; 2 and n &lt; 4">in</p>`, "<p>in</p>"],
      [`<p tal:condition="exists:v">v</p><p tal:condition="exists:w">w</p>`, "<p>v</p>"],
      [
        `<p tal:omit-tag="">in</p><p tal:omit-tag="yes">a</p><p tal:omit-tag="no">b</p>`,
        "ina<p>b</p>",
      ],
      [
        `<p tal:content="v"/>|<p tal:content="n" class="c" />`,
        '<p>&lt;b&gt;</p>|<p class="c">3</p>',
      ],
      [
        `<p tal:omit-tag="yes" tal:content="n"/><p tal:omit-tag="no" tal:content="n"/>`,
        "3<p>3</p>",
      ],
      [`<p tal:replace="n"/>|<p tal:condition="yes"/>|<br tal:condition="yes"/>`, "3|<p />|<br />"],
      [`<tal:block condition="yes" content="n">x</tal:block>`, "3"],
      [`<tal:x replace="n" />|<tal:x>kept</tal:x>`, "3|kept"],
      [
        `\${v} \${structure: v} $\${v} {{ v }} {% if %} {# c #}`,
        "&lt;b&gt; <b> ${v} {{ v }} {% if %} {# c #}",
      ],
      [`<a title="\${v}: \${n}">\${'}' + "{"}</a>`, `<a title="&lt;b&gt;: 3">}{</a>`],
      [`<p tal:content="string:n is \${n + 1}!"></p>`, "<p>n is 4!</p>"],
      [`<p tal:content="v | upper"></p>`, "<p>&lt;B&gt;</p>"],
      [`<p tal:content="nothing">x</p>`, "<p></p>"],
    ] as const
  ) assert.equal(await render(text, values), expected, text);
});

Deno.test("TPL-10 repeat with its counters, nested, and define with its scope", async () => {
  const text =
    `<ul tal:define="title 'List;; all'; size items | length"><li tal:repeat="item items">` +
    `<b tal:define="i repeat.item.index">\${i}:\${repeat.item.number}\${'.' if repeat.item.end else ','}</b>` +
    `<i tal:repeat="(k, v) item.items()">\${k}=\${v}</i></li>\${title} \${size}</ul>\${title}`;
  assert.equal(
    await render(text, { items: [{ a: 1 }, { b: 2, c: 3 }], title: "outer" }),
    "<ul><li><b>0:1,</b><i>a=1</i></li><li><b>1:2.</b><i>b=2</i><i>c=3</i></li>List; all 2</ul>outer",
  );
  assert.equal(
    await render(`<tal:x define="global g 5" /><p>\${g}</p>`),
    "<p>5</p>",
  );
  assert.equal(
    await render(`<div tal:repeat="x list"><div>\${x}</div></div>`, { list: [1, 2] }),
    "<div><div>1</div></div><div><div>2</div></div>",
    "an element of the same name inside",
  );
});

Deno.test("TPL-10 attributes: set, replaced, left out, without value", async () => {
  const text =
    `<a href="x" class="c" tal:attributes="href url; title none; id 0; hidden no; lang empty">t</a>` +
    `<input type="checkbox" disabled tal:attributes="checked yes" /><br><img src="a.png">`;
  assert.equal(
    await render(text, { url: `/?a="1"&b`, yes: true, no: false, empty: "" }),
    `<a class="c" href="/?a=&quot;1&quot;&amp;b" id="0" lang="">t</a>` +
      `<input type="checkbox" disabled checked="checked" /><br><img src="a.png">`,
  );
});

Deno.test("TPL-10 what is no TAL stays as it is", async () => {
  const text =
    `<!DOCTYPE html>\n<html xmlns:tal="http://xml.zope.org/namespaces/tal"><!-- \${no} -->` +
    `<!--! gone --><![CDATA[ <\${x}> ]]><script>if (a < 1) b("</p>"); c = \${n}</script>` +
    `<p class='a "b"' data-x=1>1 < 2 & 3</p><br/></html>`;
  assert.equal(
    await render(text, { n: 7 }),
    `<!DOCTYPE html>\n<html><!-- \${no} --><![CDATA[ <\${x}> ]]>` +
      `<script>if (a < 1) b("</p>"); c = 7</script>` +
      `<p class="a &quot;b&quot;" data-x="1">1 < 2 & 3</p><br /></html>`,
  );
});

Deno.test("TPL-10 errors name template and line", async () => {
  for (
    const [text, line, message] of [
      ["<p>\n<i tal:condition='x'>\n</p>", 2, /<i> is not closed/],
      ["\n\n<p tal:repeat='x'></p>", 3, /tal:repeat: cannot read "x"/],
      ["\n<p tal:magic='x'></p>", 2, /tal:magic is not known/],
      ["\n<p metal:use-macro='x'></p>", 2, /metal:use-macro is not supported/],
      ["a\n${x", 2, /is not closed by/],
      ["<p\n  class='a'\n  tal:content='x'>\n</p>\n\n${nope()}", 6, /nope/],
      ["<p tal:content=''></p>", 1, /an expression is empty/],
      ["\n<p tal:content='default'>kept?</p>", 2, /default is not supported; write a condition/],
      [
        "<p\n tal:repeat='i x'\n tal:attributes=\"class 'a' if repeat.i.odd else 'b'\"></p>",
        1,
        /repeat\.i\.odd is not known; known are index, number, start, end, .*length/,
      ],
    ] as const
  ) {
    await assert.rejects(render(text), (error) => {
      assert.ok(error instanceof TemplateError, String(error));
      assert.match(error.message, message);
      assert.deepEqual([error.template, error.line], ["t.pt", line], error.message);
      return true;
    });
  }
});

Deno.test("TPL-10 TPL-08 an app with TAL pages: was, globals, filters, waiting for futures", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(directory, "templates"));
    await Deno.writeTextFile(
      join(directory, "templates", "page.pt"),
      `<p tal:define="r later()" tal:content="r">x</p><p>\${was.request.path} \${loud(name)}</p>` +
        `<p tal:content="name | reverse"></p>`,
    );
    const app = new Atila(join(directory, "app.ts"));
    app.registerEngine([".pt", ".ptal"], tal);
    app.templateGlobal("loud", (was, text: string) => `${text}! ${was.app.name}`);
    app.templateGlobal("later", () => Promise.resolve("waited"));
    app.templateFilter("reverse", (text: string) => [...text].reverse().join(""));
    app.route("/page", (was) => was.render("page.pt", { name: "Kim" }));
    assert.equal(
      (await app.makeClient().get("/page")).text,
      "<p>waited</p><p>/page Kim! app</p><p>miK</p>",
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
