import assert from "node:assert/strict";
import { Router } from "../../src/atila/router.ts";
import { parseRule } from "../../src/atila/rule.ts";

function routerOf(...rules: string[]) {
  const router = new Router<{ rule: ReturnType<typeof parseRule>; methods: undefined }>();
  for (const rule of rules) router.add({ rule: parseRule(rule), methods: undefined });
  return (path: string) => {
    const match = router.find(path, "GET");
    if (match.kind === "redirect") return `-> ${match.path}`;
    if (match.kind !== "route") return match.kind;
    return [match.route.rule.text, ...Object.values(match.values ?? {})].join(" ");
  };
}

Deno.test("ATL-14 each of thousands of literal segments leads to its own route", () => {
  // "Aa" and "BB" have the same hash, and so have all words made of them.
  const words = Array.from(
    { length: 256 },
    (_, n) => n.toString(2).padStart(8, "0").replace(/./g, (bit) => bit === "0" ? "Aa" : "BB"),
  );
  const texts = [...words, ...Array.from({ length: 3000 }, (_, n) => `w${n}`)];
  const find = routerOf(
    ...texts.map((text) => `/${text}`),
    ...texts.map((text) => `/in/${text}/<int:n>`),
  );
  for (const text of texts) {
    assert.equal(find(`/${text}`), `/${text}`);
    assert.equal(find(`/in/${text}/7`), `/in/${text}/<int:n> 7`);
  }
  assert.equal(find("/AaAaAaAaAaAaAaA"), "none");
  assert.equal(find("/in/w3000/7"), "none");
});

Deno.test("ATL-14 a way that ends nowhere leaves no values behind", () => {
  const find = routerOf("/<int:a>/x/<b>/end", "/<s>/<t>/<path:rest>");
  assert.equal(find("/1/x/2/end"), "/<int:a>/x/<b>/end 1 2");
  assert.equal(find("/1/x/2/other"), "/<s>/<t>/<path:rest> 1 x 2/other");
  assert.equal(find("/999999999999999/x/2/end"), "/<int:a>/x/<b>/end 999999999999999 2");
  assert.equal(
    find("/9999999999999999/x/2/end"),
    "/<s>/<t>/<path:rest> 9999999999999999 x 2/end",
  );
});

Deno.test("ATL-14 an encoded path is found by its text", () => {
  const find = routerOf("/é/", "/a b", "/100%", "/x/<path>");
  assert.equal(find("/%C3%A9/"), "/é/");
  assert.equal(find("/é"), "-> /é/");
  assert.equal(find("/%C3%A9"), "-> /é/");
  assert.equal(find("/a%20b"), "/a b");
  assert.equal(find("/100%25"), "/100%");
  assert.equal(find("/x/a%2Fb"), "/x/<path> a/b");
  assert.throws(() => find("/x/%zz"), URIError);
  for (const path of ["", "*", "x"]) assert.equal(find(path), "none");
});
