import assert from "node:assert/strict";
import { deriveRequest } from "../../src/core/derive_request.ts";

Deno.test("MNT-16 HTTP-09 a derived request keeps what was not changed", async () => {
  const abort = new AbortController();
  const req = new Request("http://h.example/x/a?q=1", {
    method: "PUT",
    body: "body",
    headers: { "x-a": "1", "content-type": "a/b" },
    signal: abort.signal,
  });
  const derived = deriveRequest(req, { url: "http://h.example/a?q=1" });
  assert.equal(derived.url, "http://h.example/a?q=1");
  assert.equal(derived.method, "PUT");
  assert.equal(derived.headers.get("x-a"), "1");
  assert.equal(derived.headers.get("content-type"), "a/b");
  assert.equal(derived.signal, req.signal);
  assert.equal(await derived.text(), "body");

  const other = deriveRequest(new Request("http://h.example/", { method: "POST", body: "old" }), {
    body: new Blob(["new"]).stream(),
  });
  assert.equal(await other.text(), "new");
  const none = deriveRequest(new Request("http://h.example/"), { url: "http://h.example/b" });
  assert.equal(none.method, "GET");
  assert.equal(none.body, null);
});
