/**
 * Renders a page, a table in a layout, in the way named by the first argument, and times that on
 * demand. The text is the same in all ways.
 *
 * @module
 */

import { join } from "node:path";
import nunjucks from "nunjucks";
import vento from "ventojs";
import * as skitai from "../../mod.ts";
import type { AtilaWas } from "../../src/atila/mod.ts";
import { TemporaryDirectory } from "../temporary_directory.ts";
import { measureOnDemand } from "./measured.ts";

const FILES: Readonly<Record<string, string>> = {
  "layout.html": `<!doctype html>
<title>{{ title }}</title>
<nav>{% for link in links %}<a href="{{ link.href }}">{{ link.text }}</a>{% endfor %}</nav>
<main>{% block content %}{% endblock %}</main>
`,
  "page.html": `{% extends "layout.html" %}{% block content %}<h1>{{ title | upper }}</h1>
<table>
{% for row in rows %}<tr>
<td>{{ loop.index }}</td><td>{{ row.name }}</td><td>{{ row.email | lower }}</td>
<td>{% if row.paid %}paid{% else %}open{% endif %}</td></tr>
{% endfor %}</table>
{% endblock %}`,
  "layout.vto": `<!doctype html>
<title>{{ title }}</title>
<nav>{{ for link of links }}<a href="{{ link.href }}">{{ link.text }}</a>{{ /for }}</nav>
<main>{{ content |> safe }}</main>
`,
  "page.vto": `{{ layout "layout.vto" }}<h1>{{ title |> toUpperCase }}</h1>
<table>
{{ for index, row of rows }}<tr>
<td>{{ index + 1 }}</td><td>{{ row.name }}</td><td>{{ row.email |> toLowerCase }}</td>
<td>{{ if row.paid }}paid{{ else }}open{{ /if }}</td></tr>
{{ /for }}</table>
{{ /layout }}`,
};

await using temporary = await TemporaryDirectory.make();
const root = temporary.path;
const directory = join(root, "templates");
await Deno.mkdir(directory);
for (const [name, text] of Object.entries(FILES)) {
  await Deno.writeTextFile(join(directory, name), text);
}

const links = Array.from({ length: 6 }, (_, i) => ({ href: `/part/${i}`, text: `Part ${i}` }));
const rows = Array.from({ length: 50 }, (_, i) => ({
  name: `Anna & Ben ${i}`,
  email: `Anna.Ben.${i}@Example.COM`,
  paid: i % 3 === 0,
}));
const values = () => ({ title: "Members & friends", links, rows });

/** A `was` of an app whose templates lie there. */
async function appContext(): Promise<AtilaWas> {
  const app = new skitai.Atila(`file://${root}/app.ts`);
  let kept: AtilaWas | undefined;
  app.route("/", (was) => {
    kept = was;
    return "";
  });
  await app.makeClient().get("/");
  return kept!;
}

/** Renders through an app. */
async function throughAtila(name: string): Promise<() => Promise<string>> {
  const was = await appContext();
  return () => was.render(name, values());
}

const WAYS: Readonly<Record<string, () => Promise<() => string | Promise<string>>>> = {
  "Atila with nunjucks": () => throughAtila("page.html"),
  "nunjucks alone": () => {
    const loader = new nunjucks.FileSystemLoader(directory, { noCache: false, watch: false });
    const env = new nunjucks.Environment(loader, { autoescape: true });
    return Promise.resolve(() => env.render("page.html", values()));
  },
  "Atila with Vento": () => throughAtila("page.vto"),
  "Vento alone": () => {
    const env = vento({ autoescape: true, includes: directory });
    return Promise.resolve(async () => (await env.run("page.vto", values())).content);
  },
};

const render = await WAYS[Deno.args[0]!]!();
const text = await render();
if (!text.includes("<td>50</td><td>Anna &amp; Ben 49</td><td>anna.ben.49@example.com</td>")) {
  throw new Error(`${Deno.args[0]} rendered something else:\n${text}`);
}
await measureOnDemand(async () => {
  for (let i = 0; i < 50; i++) await render();
  return 50;
});
