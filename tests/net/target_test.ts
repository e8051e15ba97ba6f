import { deepEqual, equal, throws } from "node:assert/strict";
import { parseTarget } from "../../src/net/target.ts";

Deno.test("WAS-03 targets are what the URL parser says, in the quick way too", () => {
  const urls = [
    "http://localhost",
    "http://localhost:8080",
    "https://example.org/",
    "https://example.org:443/a?b=c",
    "https://example.org:8443/a/b;c=d/~e!$'()*+,@:?q=[1]&r=a_b-c.d%20%C3%A9",
    "http://a.test?x=1",
    "http://127.0.0.1:5000/x",
    "http://[::1]:5000/x",
    "http://EXAMPLE.org/Path",
    "http://a.test/a/../b/./c",
    "http://a.test/a/%2e%2e/b",
    'http://a.test/é ü?ö="<>#frag',
    "http://a.test/a\\b",
    "http://a.test/#frag",
    "http://user:p%40ss@a.test/x",
    "http://b\u00fccher.test/",
  ];
  for (const text of urls) {
    const url = new URL(text);
    const target = parseTarget(text);
    equal(target.path, url.pathname + url.search, text);
    equal(target.authority, url.host, text);
    equal(`${target.scheme}:`, url.protocol, text);
    equal(target.hostname, url.hostname.replace(/[[\]]/g, ""), text);
    equal(target.port, Number(url.port || (url.protocol === "https:" ? 443 : 80)), text);
  }
  const { user, password } = parseTarget("http://user:p%40ss@a.test/x");
  deepEqual([user, password], ["user", "p@ss"]);
});

Deno.test("WAS-23 what is no URL of a web server is refused by name", () => {
  for (const text of ["", "/x", "a.test/x", "ftp://a.test/", "http://", "http://a:99999/", "@x"]) {
    throws(() => parseTarget(text), /expected an http or https URL/, text);
  }
});
