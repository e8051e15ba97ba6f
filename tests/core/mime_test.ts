import assert from "node:assert/strict";
import { contentTypeOf } from "../../src/core/mime.ts";

Deno.test("HTTP-31 ordinary types are known at once, others from the complete table", async () => {
  const cases: [string, string][] = [
    ["a.css", "text/css; charset=utf-8"],
    ["a.js", "text/javascript; charset=utf-8"],
    ["A.HTML", "text/html; charset=utf-8"],
    ["a.json", "application/json"],
    ["a.svg", "image/svg+xml"],
    ["a.mp4", "video/mp4"],
    ["a.tar.gz", "application/gzip"],
  ];
  for (const [name, type] of cases) assert.equal(contentTypeOf(name), type, name);
  const rare = contentTypeOf("a.odt");
  assert.ok(rare instanceof Promise);
  assert.equal(await rare, "application/vnd.oasis.opendocument.text");
  assert.equal(contentTypeOf("b.odt"), "application/vnd.oasis.opendocument.text");
  // The complete table does not replace what was answered before it was loaded.
  for (const [name, type] of cases) assert.equal(contentTypeOf(name), type, name);
});

Deno.test("HTTP-31 a name without a known extension is a stream of bytes", async () => {
  for (const name of ["README", "a.unheardof", "a.", "dir.css/README", ""]) {
    assert.equal(await contentTypeOf(name), "application/octet-stream", name);
  }
});
