import assert from "node:assert/strict";
import { createContext, hostnameOf, splitUrl } from "../../src/core/context.ts";

Deno.test("splitUrl() cuts the target exactly as it was sent", () => {
  const cases: [string, string, string, string][] = [
    ["http://a.com/", "a.com", "/", ""],
    ["http://a.com", "a.com", "/", ""],
    ["http://a.com?x=1", "a.com", "/", "x=1"],
    ["http://a.com:8080/x/../y?q=%2F?z", "a.com", "/x/../y", "q=%2F?z"],
    ["https://[::1]:5000//a%00b#frag", "::1", "//a%00b", ""],
    ["http://A.Com/?a#b?c", "a.com", "/", "a"],
  ];
  for (const [url, hostname, path, query] of cases) {
    const parts = splitUrl(url);
    assert.deepEqual([parts.hostname, parts.path, parts.query], [hostname, path, query], url);
  }
  assert.equal(splitUrl("https://a/").scheme, "https");
});

Deno.test("hostnameOf() drops user, port and brackets", () => {
  assert.equal(hostnameOf("Example.COM:80"), "example.com");
  assert.equal(hostnameOf("user:pw@example.com:80"), "example.com");
  assert.equal(hostnameOf("[2001:db8::1]:443"), "2001:db8::1");
  assert.equal(hostnameOf(""), "");
});

Deno.test("createContext() derives path, query and host from the URL", () => {
  const ctx = createContext({ url: "https://b.org/p?q=1", remoteAddr: "10.0.0.9" });
  assert.equal(ctx.path, "/p");
  assert.equal(ctx.query, "q=1");
  assert.equal(ctx.hostname, "b.org");
  assert.equal(ctx.scheme, "https");
  assert.equal(ctx.remoteAddr, "10.0.0.9");
});
