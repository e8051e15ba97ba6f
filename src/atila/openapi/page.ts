/**
 * The page that shows a description: complete in itself, nothing is loaded from elsewhere.
 *
 * @module
 */

import { escapeHtml } from "../../core/error_page.ts";

/** Addresses the page needs. */
export interface BrowserPage {
  /** Title. */
  readonly title: string;
  /** Address of the description. */
  readonly description: string;
  /** Address of {@link SCRIPT}. */
  readonly script: string;
  /** Address of {@link STYLE}. */
  readonly style: string;
}

/** The page. */
export function browserPage({ title, description, script, style }: BrowserPage): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${escapeHtml(style)}">
<script defer src="${escapeHtml(script)}"></script>
</head>
<body data-description="${escapeHtml(description)}">
<header><h1>${escapeHtml(title)}</h1><p id="about"></p>
<p><a href="${escapeHtml(description)}">openapi.json</a></p>
<label>Find <input id="find" type="search" autocomplete="off"></label>
<label>Authorization <input id="authorization" placeholder="Bearer …" autocomplete="off"></label>
</header>
<main id="operations" aria-live="polite">Loading …</main>
<noscript>This page needs JavaScript; the description itself does not.</noscript>
</body>
</html>
`;
}

/** Its style. */
export const STYLE = `:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6776;--back:#f4f6f8;
--card:#fff;--line:#dde3ea;--mark:#1f6feb}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#93a0b0;--back:#14181e;--card:#1c222b;
--line:#2d3642;--mark:#6ea8fe}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
header,main{max-width:60rem;margin:auto;padding:1rem 1.25rem}
h1{margin:.5rem 0 0;font-size:1.7rem}h2{margin:1.5rem 0 .5rem;font-size:1.1rem;color:var(--soft)}
a{color:var(--mark)}
label{display:inline-block;margin:.25rem 1rem .25rem 0;font-size:.9rem;color:var(--soft)}
input,textarea,select{font:14px ui-monospace,Consolas,monospace;color:inherit;
background:var(--back);border:1px solid var(--line);border-radius:6px;padding:.35rem .5rem}
textarea{width:100%;min-height:7rem}
details{margin:.4rem 0;border:1px solid var(--line);border-radius:8px;background:var(--card)}
summary{padding:.55rem .8rem;cursor:pointer;overflow-wrap:anywhere}
.method{display:inline-block;min-width:4.5rem;font:600 13px ui-monospace,Consolas,monospace}
.path{font:14px ui-monospace,Consolas,monospace}.note{color:var(--soft)}
.deprecated .path{text-decoration:line-through}
.inside{padding:0 .9rem .9rem}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-top:1px solid var(--line);
overflow-wrap:anywhere}
pre{margin:.5rem 0;padding:.7rem;overflow:auto;max-height:28rem;background:var(--back);
border:1px solid var(--line);border-radius:6px;font:13px/1.45 ui-monospace,Consolas,monospace}
button{font:inherit;padding:.35rem .9rem;border:0;border-radius:6px;background:var(--mark);
color:var(--card);cursor:pointer;margin-top:.6rem}
`;

/**
 * Its script. It builds elements and sets texts, never HTML: descriptions come from others, too.
 */
export const SCRIPT = `"use strict";
(async () => {
  const main = document.getElementById("operations");
  const make = (name, text, cls) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (cls) element.className = cls;
    return element;
  };
  let api;
  try {
    const answer = await fetch(document.body.dataset.description);
    if (!answer.ok) throw new Error("status " + answer.status);
    api = await answer.json();
  } catch (error) {
    main.textContent = "The description cannot be loaded: " + error.message;
    return;
  }
  document.getElementById("about").textContent =
    ["version " + api.info.version, api.info.description].filter(Boolean).join(" · ");
  const at = (reference) =>
    reference.slice(2).split("/").reduce((value, key) => value?.[key], api) ?? {};
  const real = (schema, depth = 0) =>
    schema?.$ref && depth < 10 ? real(at(schema.$ref), depth + 1) : schema ?? {};
  const typeOf = (schema) => {
    if (schema?.$ref) return schema.$ref.split("/").at(-1);
    if (schema?.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
    if (schema && "const" in schema) return JSON.stringify(schema.const);
    const parts = schema?.anyOf ?? schema?.oneOf ?? schema?.allOf;
    if (parts) return parts.map(typeOf).join(schema.allOf ? " & " : " | ");
    if (schema?.format === "binary") return "file";
    if (schema?.type === "array") return typeOf(schema.items ?? {}) + "[]";
    return [schema?.type ?? "any"].flat().join(" | ");
  };
  const example = (given, depth = 0) => {
    const schema = real(given);
    if ("default" in schema) return schema.default;
    if (schema.examples?.length) return schema.examples[0];
    if ("const" in schema) return schema.const;
    if (schema.enum) return schema.enum[0];
    const parts = schema.anyOf ?? schema.oneOf ?? schema.allOf;
    if (parts && depth < 5) return example(parts[0], depth + 1);
    switch ([schema.type].flat()[0]) {
      case "object": {
        const value = {};
        if (depth < 5) {
          for (const [name, member] of Object.entries(schema.properties ?? {})) {
            value[name] = example(member, depth + 1);
          }
        }
        return value;
      }
      case "array":
        return depth < 5 && schema.items ? [example(schema.items, depth + 1)] : [];
      case "integer":
      case "number":
        return schema.minimum > 0 ? schema.minimum : 0;
      case "boolean":
        return false;
      case "null":
        return null;
      default:
        return "";
    }
  };
  const table = (head, rows) => {
    const element = make("table");
    const first = element.createTHead().insertRow();
    for (const text of head) first.append(make("th", text));
    const body = element.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      for (const cell of row) line.insertCell().append(cell);
    }
    return element;
  };
  const tryOut = (path, method, operation, schema, bodyType) => {
    const form = make("form");
    const fields = (operation.parameters ?? []).map((parameter) => {
      const field = make("input");
      field.name = parameter.name;
      field.placeholder = typeOf(parameter.schema);
      field.required = parameter.in === "path";
      const label = make("label", parameter.name + " ");
      label.append(field);
      form.append(label);
      return { parameter, field };
    });
    let text;
    const files = [];
    const isMultipart = bodyType === "multipart/form-data";
    if (schema) {
      const value = example(schema);
      for (const [name, given] of Object.entries(isMultipart ? real(schema).properties ?? {} : {})) {
        const member = real(given);
        const isList = member.type === "array";
        if ((isList ? real(member.items) : member).format !== "binary") continue;
        delete value[name];
        const field = make("input");
        field.type = "file";
        field.name = name;
        field.multiple = isList;
        const label = make("label", name + " ");
        label.append(field);
        form.append(label);
        files.push(field);
      }
      text = make("textarea", JSON.stringify(value, null, 2));
      text.setAttribute("aria-label", "Body");
      form.append(text);
    }
    form.append(make("button", "Send"));
    const result = make("pre");
    result.hidden = true;
    result.className = "result";
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      let target = path;
      const query = new URLSearchParams();
      for (const { parameter, field } of fields) {
        if (parameter.in === "path") {
          target = target.replace("{" + parameter.name + "}", encodeURIComponent(field.value));
        } else if (field.value !== "") query.append(parameter.name, field.value);
      }
      const base = (api.servers?.[0]?.url ?? "/").replace(/\\/$/, "");
      const headers = { accept: "application/json" };
      const authorization = document.getElementById("authorization").value;
      if (authorization) headers.authorization = authorization;
      // That of a multipart form is made with its boundary by fetch().
      if (text && !isMultipart) headers["content-type"] = bodyType;
      result.hidden = false;
      try {
        let body = text?.value;
        if (isMultipart) {
          body = new FormData();
          for (const [name, value] of Object.entries(JSON.parse(text.value))) {
            for (const one of [value].flat()) body.append(name, one);
          }
          for (const field of files) {
            for (const file of field.files) body.append(field.name, file);
          }
        } else if (text && bodyType !== "application/json") {
          body = new URLSearchParams(JSON.parse(text.value));
        }
        const answer = await fetch(base + target + (query.size ? "?" + query : ""), {
          method: method.toUpperCase(),
          headers,
          body,
        });
        let content = await answer.text();
        if (/json/.test(answer.headers.get("content-type") ?? "")) {
          try {
            content = JSON.stringify(JSON.parse(content), null, 2);
          } catch {
            // Shown as it came.
          }
        }
        result.textContent = answer.status + " " + answer.statusText + "\\n\\n" + content;
      } catch (error) {
        result.textContent = error.message;
      }
    });
    form.append(result);
    return form;
  };
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const box = make("details", undefined, operation.deprecated ? "deprecated" : "");
      box.dataset.text = (method + " " + path + " " + (operation.summary ?? "") + " " +
        (operation.tags ?? []).join(" ")).toLowerCase();
      const line = make("summary");
      line.append(
        make("span", method.toUpperCase(), "method"),
        make("span", path, "path"),
        make("span", "  " + (operation.summary ?? ""), "note"),
      );
      box.append(line);
      box.addEventListener("toggle", () => {
        if (!box.open || box.children.length > 1) return;
        const inside = make("div", undefined, "inside");
        if (operation.description) inside.append(make("p", operation.description));
        if (operation.deprecated) inside.append(make("p", "Deprecated", "note"));
        if (operation.security) {
          const names = operation.security.flatMap((entry) => Object.keys(entry));
          inside.append(make("p", "Authentication: " + names.join(", "), "note"));
        }
        if (operation.parameters?.length) {
          inside.append(table(
            ["Parameter", "In", "Type", "Default", ""],
            operation.parameters.map((parameter) => [
              parameter.name + (parameter.required ? " *" : ""),
              parameter.in,
              typeOf(parameter.schema),
              "default" in (parameter.schema ?? {}) ? JSON.stringify(parameter.schema.default) : "",
              parameter.description ?? parameter.schema?.description ?? "",
            ]),
          ));
        }
        const content = operation.requestBody?.content ?? {};
        const bodyType = "application/json" in content ? "application/json" : Object.keys(content)[0];
        const schema = content[bodyType]?.schema;
        if (schema) {
          inside.append(make("h2", "Body: " + Object.keys(content).join(", ")));
          const { properties = {}, required = [] } = real(schema);
          inside.append(table(
            ["Member", "Type", "Default", ""],
            Object.entries(properties).map(([name, member]) => [
              name + (required.includes(name) ? " *" : ""),
              typeOf(member),
              "default" in member ? JSON.stringify(member.default) : "",
              member.description ?? "",
            ]),
          ));
        }
        inside.append(make("h2", "Answers"));
        inside.append(table(
          ["Status", "", "Type"],
          Object.entries(operation.responses ?? {}).map(([status, answer]) => [
            status,
            answer.description ?? "",
            answer.content ? typeOf(Object.values(answer.content)[0].schema) : "",
          ]),
        ));
        inside.append(tryOut(path, method, operation, schema, bodyType));
        box.append(inside);
      });
      const tag = operation.tags?.[0] ?? "";
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(box);
    }
  }
  main.textContent = groups.size === 0 ? "This API has no routes." : "";
  for (const [tag, boxes] of [...groups].sort(([a], [b]) => a < b ? -1 : 1)) {
    const section = make("section");
    if (tag) section.append(make("h2", tag));
    section.append(...boxes);
    main.append(section);
  }
  document.getElementById("find").addEventListener("input", ({ target }) => {
    const words = target.value.toLowerCase().split(/\\s+/);
    for (const box of main.querySelectorAll("details")) {
      box.hidden = !words.every((word) => box.dataset.text.includes(word));
    }
    for (const section of main.querySelectorAll("section")) {
      section.hidden = !section.querySelector("details:not([hidden])");
    }
  });
})();
`;
