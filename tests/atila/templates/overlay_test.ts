import assert from "node:assert/strict";
import { join } from "node:path";
import { Atila, type JinjaOverlay } from "../../../src/atila/mod.ts";
import { withTemplates } from "../../_support/template_files.ts";
import { checkOverlay } from "../../../src/atila/templates/overlay.ts";

/** Renders one template with an overlay. */
async function render(
  text: string,
  overlay: JinjaOverlay,
  values: Record<string, unknown> = {},
  files: Record<string, string> = {},
): Promise<string> {
  let output = "";
  await withTemplates({ "t.html": text, ...files }, async (templates) => {
    output = await templates.render("t.html", values);
  }, { overlay: checkOverlay(overlay) });
  return output;
}

Deno.test("TPL-05 other delimiters leave those of a client framework alone", async () => {
  const overlay = {
    variableStart: "[[",
    variableEnd: "]]",
    blockStart: "[%",
    blockEnd: "%]",
    commentStart: "[#",
    commentEnd: "#]",
  };
  assert.equal(
    await render(
      "{{ vue }} [[ a ]] {% raw %} {# c #} [# gone [[ a ]] #][% if b %]yes[% endif %]{{ [[ a ]] }}",
      overlay,
      { a: "<1>", b: true },
    ),
    "{{ vue }} &lt;1&gt; {% raw %} {# c #} yes{{ &lt;1&gt; }}",
  );
  assert.equal(
    await render("a  [%- for i in [1, 2] -%]  [[ i ]]  [%- endfor -%]  b", overlay),
    "a12b",
    "whitespace control",
  );
  assert.equal(
    await render("<% if x %>A<%= x %>B<% endif %>", {
      variableStart: "<%=",
      variableEnd: "%>",
      blockStart: "<%",
      blockEnd: "%>",
    }, { x: "1" }),
    "A1B",
    "the longer start wins",
  );
  assert.equal(
    await render("{{ {'a': {'b': [[1]]}}['a']['b'][0][0] }}{{ '}}' }}", {}),
    "1}}",
    "brackets inside of a tag",
  );
  assert.equal(
    await render("[[ list[names[0]] ]]", overlay, { list: { a: 7 }, names: ["a"] }),
    "7",
  );
  await assert.rejects(render("[[ (a ]] b", overlay), /t\.html, line 1/);
});

Deno.test("TPL-05 extends, include, macros and quotes with other delimiters", async () => {
  const overlay = { variableStart: "${", blockStart: "<%", lineStatement: "" };
  assert.equal(
    await render(
      `<% extends "base.html" %><% block body %><% import "m.html" as m %>\${ m.say("}") }<% include "i.html" %><% endblock %>`,
      overlay,
      { v: 1 },
      {
        "base.html": "<body><% block body %><% endblock %></body>",
        "m.html": "<% macro say(x) %>[${ x }]<% endmacro %>",
        "i.html": "${ v + 1 }",
      },
    ),
    "<body>[}]2</body>",
  );
});

Deno.test("TPL-05 line statements and line comments, and errors on the right line", async () => {
  const text = [
    "<ul>",
    "%% a comment {{ a }}",
    "  % for i in list:",
    "  <li>{{ i }}</li>  {# inline #}",
    "  %% in the loop",
    "  % endfor  %% done",
    "</ul>",
    "100% sure",
    "%} stays",
    "% if a",
    "yes",
    "% endif",
  ].join("\n");
  assert.equal(
    await render(text, {}, { list: [1, 2], a: 1 }),
    "<ul>\n  <li>1</li>  \n  <li>2</li>  \n</ul>\n100% sure\n%} stays\nyes\n",
  );
  for (
    const [broken, line] of [
      ["a\n%% c\n% set x = 1\nb\n{{ nope() }}", 5],
      ["a\n% for i in\nb", 2],
      ["{#\n\n#}\n{{ x", 4],
      ["a\n% raw\nb", 2],
    ] as const
  ) {
    await assert.rejects(render(broken, {}), (error: Error & { line?: number }) => {
      assert.match(error.message, /Template t\.html/);
      assert.equal(error.line, line, error.message);
      return true;
    });
  }
  assert.equal(
    await render("a\n% raw\n{{ x }}\n% if\n% endraw\nb", {}),
    "a\n{{ x }}\n% if\nb",
  );
  assert.equal(await render("$ if 1\nx\n$ endif", { lineStatement: "$" }), "x\n");
  assert.equal(await render("% if 1", { lineStatement: "" }), "% if 1");
});

Deno.test("TPL-06 one text that begins and ends; twice it stands for itself", async () => {
  const overlay = { variableStart: "##", blockStart: "[%", lineStatement: "%" };
  assert.equal(
    await render("<p class='#'>## a ## #### ## b|upper ##</p>", overlay, { a: 1, b: "x" }),
    "<p class='#'>1 ## X</p>",
  );
  assert.equal(
    await render("#a# and ## and #b#", { variableStart: "#" }, { a: 1, b: 2 }),
    "1 and # and 2",
  );
  await assert.rejects(render("x\n## a", overlay), /t\.html, line 2: ## is not closed by ##/);
});

Deno.test("TPL-05 a mark that is off is free, comments may be those of HTML", async () => {
  const values = { a: 1 };
  assert.equal(await render("%%a%%", { variableStart: "%%", lineComment: "" }, values), "1");
  assert.equal(await render("<!-- {{ a }}\n-->{{ a }}", { commentStart: "<!--" }, values), "1");
});

Deno.test("TPL-05 TPL-04 hyphens in a comment cut the blanks beside it", async () => {
  for (
    const [text, expected] of [
      ["a [#- - b - -#]\n c", "ac"],
      ["a [#- b\n#] c", "a c"],
      ["a [# b -#] c", "a c"],
      ["a [#-#] c", "a c"],
      ["a [# - b - #] c", "a  c"],
      ["a\n[# b\n-#]\n\n{{ [[ nope() ]]", /t\.html, line 5: TypeError: Cannot call nope/],
    ] as const
  ) {
    const overlay = { variableStart: "[[", commentStart: "[#" };
    const page = render(text, overlay);
    if (typeof expected === "string") assert.equal(await page, expected, text);
    else await assert.rejects(page, expected);
  }
});

Deno.test("TPL-05 what looks like a comment inside of quotes of a line statement is none", async () => {
  assert.equal(
    await render(`% set a = 'x %% y'  %% it's one\n{{ a }}|{{ b }}\n% set b = "\\"%%"\n`, {}),
    "x %% y|\n",
  );
});

Deno.test("TPL-05 delimiters that cannot be used, and too late", async () => {
  assert.throws(() => checkOverlay({ variableStart: "{%" }), /cannot be told apart/);
  // A line that begins with a value would pass for a comment, and be gone without a word.
  assert.throws(() => checkOverlay({ variableStart: "%%" }), /%% .* cannot be told apart/);
  assert.throws(() => checkOverlay({ blockStart: "%" }), /cannot be told apart/);
  assert.throws(() => checkOverlay({ lineComment: "%" }), /cannot be told apart/);
  assert.throws(() => checkOverlay({ variableStart: "" }), /cannot be variableStart/);
  assert.throws(() => checkOverlay({ blockStart: "<!-" }), /cannot be blockStart/);
  assert.throws(() => checkOverlay({ variable: "x" } as JinjaOverlay), /unknown delimiter/);
  const directory = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(directory, "templates"));
    await Deno.writeTextFile(join(directory, "templates", "t.html"), "[[ a ]]{{ b }}");
    const app = new Atila(join(directory, "app.ts"));
    app.jinjaOverlay({ variableStart: "[[" });
    app.route("/", (was) => was.render("t.html", { a: "<" }));
    assert.equal((await app.makeClient().get("/")).text, "&lt;{{ b }}");
    assert.throws(() => app.jinjaOverlay(), /templates are in use/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
